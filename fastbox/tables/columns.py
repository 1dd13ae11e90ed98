"""NumPy columns -> Arrow, for those who write tables that they computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "alone",
    "appended",
    "batch_of",
    "coded_column",
    "empty",
    "extended",
    "joined",
    "numpy_column",
    "schema_of",
    "table_of",
    "taken",
]


def schema_of(types: Mapping[str, str], *more: pa.Schema) -> pa.Schema:
    """Return the schema of columns named with the NumPy type of each, and those of more schemas.

    >>> schema_of({"image_id": "int64", "score": "float32"}).names
    ['image_id', 'score']
    """
    fields = [pa.field(name, pa.type_for_alias(alias)) for name, alias in types.items()]
    return pa.schema([*fields, *(field for schema in more for field in schema)])


def batch_of(columns: Sequence[NDArray[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Return arrays of one length as a batch; each takes the type of its column, rounded where it must be.

    What is masked in a masked array becomes null.

    >>> import numpy as np
    >>> batch_of([np.array([0.1, 0.2])], schema_of({"score": "float32"})).num_rows
    2
    """
    return pa.RecordBatch.from_arrays([_array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def extended(schema: pa.Schema, names: Sequence[str], types: Mapping[str, str]) -> pa.Schema:
    """Return the schema of some columns of a table with new ones behind them."""
    return schema_of({}, pa.schema([schema.field(name) for name in names]), schema_of(types))


def alone(batch: pa.RecordBatch, name: str, title: str) -> pa.RecordBatch:
    """Return a column by itself under another name, without its dictionary.

    >>> alone(pa.record_batch({"n": [1, 2], "m": [3, 4]}), "m", "id").to_pylist()
    [{'id': 3}, {'id': 4}]
    """
    column = batch.column(name)
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return pa.RecordBatch.from_arrays([plain], [title])


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Return no rows.

    >>> empty(schema_of({"row": "int64"})).num_rows
    0
    """
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def appended(batch: pa.RecordBatch, columns: Sequence[NDArray[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of this schema: its first columns are the batch's own of these names, the others are given."""
    kept = [batch.column(name) for name in schema.names[: len(schema) - len(columns)]]
    new = [_array(c, f.type) for c, f in zip(columns, list(schema)[len(kept) :], strict=True)]
    return pa.RecordBatch.from_arrays([*kept, *new], schema=schema)


def joined(left: pa.RecordBatch, right: pa.RecordBatch) -> pa.RecordBatch:
    """Return the columns of two batches side by side."""
    return pa.RecordBatch.from_arrays([*left.columns, *right.columns], schema=schema_of({}, left.schema, right.schema))


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table; what a row lacks is null, and values of several kinds in a column become text.

    >>> table_of([{"name": "iou", "mean": 0.5}, {"name": "giou"}]).to_pydict()
    {'name': ['iou', 'giou'], 'mean': [0.5, None]}
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _inferred([row.get(name) for row in rows]) for name in names})


def taken(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> pa.RecordBatch:
    """Return some rows of a batch, in the order asked for; one of nulls where a row is masked."""
    return batch.take(pa.array(rows))


def numpy_column(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """Return a column as NumPy has it; strings as objects."""
    column = batch.column(name)
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return np.asarray(plain.to_numpy(zero_copy_only=False))


def coded_column(batch: pa.RecordBatch, name: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return a column of labels without nulls as codes, and the labels: the code is the place of its label.

    >>> coded_column(pa.record_batch({"run": ["b", "a", "b"]}), "run")
    (array([0, 1, 0]), ['b', 'a'])
    """
    column = batch.column(name)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return np.asarray(coded.indices.cast(pa.int64())), coded.dictionary.to_pylist()


def _array(column: NDArray[Any], kind: pa.DataType) -> pa.Array:
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    plain = np.asarray(column)
    if plain.dtype.kind not in "UO":
        plain = plain.astype(kind.to_pandas_dtype(), copy=False)
    return pa.array(plain, kind, mask=mask)


def _inferred(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
