"""Conversions between Arrow columns and NumPy arrays, for computing with columns and writing tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.arrays import is_flag, is_number, one_chunk, plain, plain_type, rows_of
from fastbox.arrow.rows import Rows
from fastbox.errors import InputError
from fastbox.values.labels import Codes, first_seen

__all__ = [
    "alone",
    "appended",
    "batch_of",
    "coded_batch",
    "coded_column",
    "common_field",
    "empty",
    "extended",
    "flag_column",
    "joined",
    "label_columns",
    "labelled",
    "number_column",
    "schema_of",
    "table_of",
    "taken",
]

flags = deferred("fastbox.values.flags")
pc = deferred("pyarrow.compute")


EVERY = Rows()  # of a batch that is a whole table


def schema_of(types: Mapping[str, str], *more: pa.Schema) -> pa.Schema:
    """Return the schema of columns, named with the NumPy type of each, and of the columns of further schemas.

    >>> schema_of({"image_id": "int64", "score": "float32"}).names
    ['image_id', 'score']
    """
    fields = [pa.field(name, pa.type_for_alias(alias)) for name, alias in types.items()]
    return pa.schema([*fields, *(field for schema in more for field in schema)])


def batch_of(columns: Sequence[NDArray[Any] | pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Return arrays of one length as a batch; each array is cast to the type of its column, rounded if necessary.

    Masked values become nulls. Arrow arrays have the type of their column already.

    >>> import numpy as np
    >>> batch_of([np.array([0.1, 0.2])], schema_of({"score": "float32"})).num_rows
    2
    """
    return pa.RecordBatch.from_arrays([_array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def extended(schema: pa.Schema, names: Sequence[str], types: Mapping[str, str]) -> pa.Schema:
    """Return the schema of some columns of a table, followed by new columns."""
    return schema_of({}, pa.schema([schema.field(name) for name in names]), schema_of(types))


def alone(batch: pa.RecordBatch, name: str, title: str) -> pa.RecordBatch:
    """Return a column by itself under another name, without its dictionary.

    >>> alone(pa.record_batch({"n": [1, 2], "m": [3, 4]}), "m", "id").to_pylist()
    [{'id': 3}, {'id': 4}]
    """
    return pa.RecordBatch.from_arrays([plain(batch.column(name))], [title])


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of a schema without rows.

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
    """Return rows as a table; a missing value of a row is null, and a column of several kinds of values becomes text.

    >>> table_of([{"name": "iou", "mean": 0.5}, {"name": "giou"}]).to_pydict()
    {'name': ['iou', 'giou'], 'mean': [0.5, None]}
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _inferred([row.get(name) for row in rows]) for name in names})


def taken(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> pa.RecordBatch:
    """Return rows of a batch in the given order; a masked row number gives a row of nulls."""
    indices = pa.array(rows)
    return pa.RecordBatch.from_arrays([rows_of(column, indices) for column in batch.columns], schema=batch.schema)


def number_column(
    batch: pa.RecordBatch | pa.Table,
    name: str,
    *,
    missing: float | None = None,
    what: str = "a number",
    rows: Rows = EVERY,
) -> NDArray[Any]:
    """Return a column of numbers as float32 if its type is float32 or narrower, else float64; nulls are ``missing``.

    Raises
    ------
    InputError
        A null, without ``missing``; the message says that ``what`` was expected, and counts rows from ``rows``.
    """
    column = plain(one_chunk(batch.column(name)))
    if missing is None:
        _refuse_nulls(column, name, what, rows)
    narrow = pa.types.is_float16(column.type) or pa.types.is_float32(column.type)
    if not column.null_count and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return np.asarray(column.to_numpy()).astype(np.float32 if narrow else np.float64, copy=False)
    values = column.cast(pa.float32() if narrow else pa.float64(), safe=False)
    return np.asarray((values if missing is None else values.fill_null(missing)).to_numpy(zero_copy_only=False))


def flag_column(batch: pa.RecordBatch | pa.Table, name: str, rows: Rows = EVERY) -> NDArray[np.bool_]:
    """Return a column of flags as booleans, read as :mod:`fastbox.values.flags` says; a null is False.

    Raises
    ------
    InputError
        Values that mean neither yes nor no; the message counts rows from ``rows``.

    Examples
    --------
    >>> flag_column(pa.record_batch({"iscrowd": ["0", None, "yes"]}), "iscrowd")
    array([False, False,  True])
    """
    column = plain(one_chunk(batch.column(name)))
    kind = column.type
    if not is_flag(kind):
        raise InputError(f"expected booleans, numbers or text in column {name!r}, got {kind}: cast it")
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.bool_)
    if pa.types.is_boolean(kind):
        return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False))
    if is_number(kind):
        values = number_column(batch, name, missing=0.0)
        return np.asarray((values != 0) & (values == values))
    coded = column.dictionary_encode()
    known = [flags.is_set(value) for value in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    if None in known:
        row = int(np.argmax(codes == known.index(None)))
        came = f"{column[row].as_py()!r} at {rows.described(row)}"
        raise InputError(f"expected 1 or 0, true or false, yes or no in column {name!r}, got {came}: set it to one")
    return np.asarray(np.array([*known, False], np.bool_)[codes])


def coded_column(batch: pa.RecordBatch, name: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return a column of labels as codes, and the labels: the code is the place of its label, -1 for a null.

    >>> coded_column(pa.record_batch({"run": ["b", "a", None, "b"]}), "run")
    (array([ 0,  1, -1,  0]), ['b', 'a'])
    """
    column = batch.column(name)
    if not pa.types.is_dictionary(column.type):
        column = plain(column)
        if not column.null_count and pa.types.is_integer(column.type) and (found := first_seen(column.to_numpy())):
            return found
        column = column.dictionary_encode()
    given = plain(column.dictionary).to_pylist()
    indices = np.asarray(column.indices.cast(pa.int64(), safe=False).fill_null(-1))
    if None not in given and len(set(given)) == len(given):
        return indices, given
    # Two places of a dictionary may have one label, or none at all.
    codes = {label: place for place, label in enumerate(dict.fromkeys(label for label in given if label is not None))}
    return np.array([*(codes.get(label, -1) for label in given), -1], np.int64)[indices], list(codes)


def label_columns(
    *columns: tuple[pa.RecordBatch, Rows],
    name: str,
    what: str = "a class",
    joined: Sequence[Callable[[Any], Any] | None] = (),
) -> tuple[list[NDArray[np.int64]], list[Any]]:
    """Return a column of several tables as codes that all tables share, and the labels.

    Each table comes with its rows; `joined` has for each table the numbers of its labels in the join, or None if
    they do not change (:func:`fastbox.tables.class_names.joined_classes`).

    Raises
    ------
    InputError
        A null; the message says ``what`` was expected.

    Examples
    --------
    >>> narrow, wide = pa.array([5], "int8"), pa.array([7, 5], "int64")
    >>> label_columns(*((pa.record_batch({"c": column}), Rows()) for column in (narrow, wide)), name="c")
    ([array([0]), array([1, 0])], [5, 7])
    """
    codes, found = Codes(), []
    for (batch, rows), change in zip_longest(columns, joined):
        places, labels = coded_column(batch, name)
        labels = labels if change is None else list(map(change, labels))
        if len(places) and places.min() < 0:
            row = rows.described(int(np.argmin(places)))
            raise InputError(f"expected {what} in column {name!r}, got a null at {row}: fill or drop it")
        own = codes.of(labels)
        found.append(places if np.array_equal(own, np.arange(len(own))) else own[places])
    return found, codes.labels


def common_field(fields: Sequence[pa.Field]) -> pa.Field:
    """Return a field whose type holds the labels of all fields, which are all integers or all text.

    Signed and unsigned 64-bit integers have no common type: int64 is used, and :func:`labelled` refuses greater labels.

    >>> common_field([pa.field("c", "int8"), pa.field("c", "uint8")])
    pyarrow.Field<c: int16>
    """
    kinds = list(dict.fromkeys(plain_type(field.type) for field in fields))
    if len(kinds) == 1:
        return pa.field(fields[0].name, kinds[0])
    if not all(map(pa.types.is_integer, kinds)):
        return pa.field(fields[0].name, pa.large_string())
    dtype = np.result_type(*(kind.to_pandas_dtype() for kind in kinds))
    return pa.field(fields[0].name, pa.from_numpy_dtype(dtype) if dtype.kind in "iu" else pa.int64())


def labelled(labels: Sequence[Any], codes: NDArray[np.int64], field: pa.Field) -> pa.Array:
    """Return labels by their codes as a column of a field.

    Raises
    ------
    InputError
        An integer that its type does not hold.
    """
    if pa.types.is_integer(field.type):
        limits = np.iinfo(field.type.to_pandas_dtype())
        for label in labels:
            if not limits.min <= label <= limits.max:
                came = f"{label} beside others that are below 0 or may be"
                raise InputError(f"expected integers of one type in column {field.name!r}, got {came}: cast all tables")
    return pa.array(labels, field.type).take(pa.array(codes))


def coded_batch(
    numbers: Mapping[str, NDArray[Any]], labels: Mapping[str, tuple[NDArray[np.int64], Sequence[Any]]]
) -> pa.RecordBatch:
    """Return columns of numbers, and columns of labels given as codes, which stay codes.

    >>> import numpy as np
    >>> coded_batch({"score": np.array([0.5, 1.0])}, {"model": (np.array([1, 0]), ["a", "b"])}).to_pylist()
    [{'score': 0.5, 'model': 'b'}, {'score': 1.0, 'model': 'a'}]
    """
    coded = {
        name: pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(own)))
        for name, (codes, own) in labels.items()
    }
    return pa.record_batch({name: pa.array(column) for name, column in numbers.items()} | coded)


def _refuse_nulls(column: pa.Array, name: str, what: str, rows: Rows) -> None:
    if column.null_count:
        row = rows.described(pc.index(pc.is_null(column), True).as_py())
        raise InputError(f"expected {what} in column {name!r}, got a null at {row}: fill or drop it")


def _array(column: NDArray[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
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
