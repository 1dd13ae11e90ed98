"""Tables that are in memory already: pandas and polars frames, Arrow tables and batches, dicts of arrays, Boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fastbox.arrow.arrays import plain, plain_type
from fastbox.arrow.held import UNREADABLE, as_table, columns_of, indexed, table_of_columns, without_rows
from fastbox.arrow.turned import BOX_FORMAT, coordinate_names, metadata_of
from fastbox.boxes.base import Collection
from fastbox.errors import InputError
from fastbox.values.formats import COORDINATES
from fastbox.values.groups import values_of_rows

__all__ = ["is_frame", "kind_of", "listed", "table_of"]

# The attributes of objects that can become tables: Arrow's interface, lazy and other frames, Arrow's datasets.
_MAKES = ("__arrow_c_stream__", "__arrow_c_array__", "collect", "to_arrow", "to_table")


def is_frame(given: Any) -> bool:
    """Tell whether this is a table in memory rather than the name of one.

    >>> import fastbox
    >>> is_frame({"x": [0.0]}), is_frame("boxes.parquet"), is_frame(fastbox.Boxes([]))
    (True, False, True)
    """
    if isinstance(given, Collection | Mapping):
        return True
    if isinstance(given, list | tuple):
        return bool(given) and all(isinstance(one, Mapping) or _is_made(one) for one in given)
    return _is_made(given)


def listed(given: Any) -> Any:
    """Return the items of a generator as a list, which can be read more than once; anything else as it is.

    >>> listed(name for name in ("a.parquet", "b.parquet"))
    ['a.parquet', 'b.parquet']
    """
    return list(given) if isinstance(given, Iterator) and not _is_made(given) and not hasattr(given, "read") else given


def kind_of(given: Any) -> str:
    """Return the kind of a table in memory, with its article.

    >>> import fastbox
    >>> kind_of({"x": [0.0]}), kind_of(fastbox.Boxes([]))
    ('a dict', 'Boxes')
    """
    if isinstance(given, Collection):
        return type(given).__name__
    if isinstance(given, Mapping):
        return "a dict"
    name = type(given).__name__
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def table_of(given: Any, name: str) -> pa.Table:
    """Return a table in memory as Arrow, in types that Parquet holds; ``name`` is its name in messages.

    Raises
    ------
    InputError
        The columns differ in length, or hold values that are neither numbers nor text.

    Examples
    --------
    >>> import fastbox
    >>> table_of({"image_id": [1, 2], "bbox": np.zeros((2, 4))}, "truths").schema.names
    ['image_id', 'bbox']
    >>> table_of(fastbox.Boxes([[0, 0, 1, 1]], images=[7]), "truths").to_pylist()
    [{'image_id': 7, 'xmin': 0.0, 'ymin': 0.0, 'xmax': 1.0, 'ymax': 1.0}]
    """
    if isinstance(given, Collection):
        table = _of_boxes(given)
    elif isinstance(given, Mapping):
        table = table_of_columns(_columns(given), name)
        formats = [values.format for values in given.values() if isinstance(values, Collection)]
        table = table.replace_schema_metadata(metadata_of(**{"": formats[0]})) if formats else table
    elif isinstance(given, list | tuple) and all(isinstance(one, Mapping) for one in given):
        table = table_of_columns(_of_rows(given), name)
    else:
        given = indexed(given.collect() if hasattr(given, "collect") else given)  # a lazy frame
        names = [str(column) for column in getattr(given, "columns", ()) if isinstance(column, str)]
        for column in dict.fromkeys(names):
            if (count := names.count(column)) > 1:
                raise InputError(f"expected one column {column!r} in {name}, got {count}: rename all but one")
        try:
            table = without_rows(_of_arrow(given))
        except UNREADABLE as error:
            table = table_of_columns(columns_of(given), name)  # which names the column
            if not table.num_columns:
                raise InputError(f"expected columns of one type each in {name}, got others: cast them") from error
    told = {key: value for key, value in (table.schema.metadata or {}).items() if key.decode() == BOX_FORMAT}
    return pa.Table.from_arrays([_plain(column) for column in table.columns], names=table.column_names, metadata=told)


def _is_made(given: Any) -> bool:
    """Tell whether an object is a frame or a table, rather than a list of them."""
    return not isinstance(given, Collection) and any(hasattr(given, name) for name in _MAKES)


def _of_rows(rows: Sequence[Mapping[Any, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the columns of dicts that are a row each; a missing value is null."""
    for name in dict.fromkeys(name for row in rows for name in row):
        yield str(name), [row.get(name) for row in rows]


def _of_arrow(given: Any) -> pa.Table:
    if isinstance(given, list | tuple):
        tables = [without_rows(_of_arrow(indexed(one.collect() if hasattr(one, "collect") else one))) for one in given]
        return pa.concat_tables(tables, promote_options="permissive")
    if hasattr(given, "to_table"):
        given = given.to_table()
    if (
        not isinstance(given, Mapping)
        and not hasattr(given, "__arrow_c_stream__")
        and not hasattr(given, "__arrow_c_array__")
    ):
        given = given.to_arrow()
    return as_table(given)


def _of_boxes(boxes: Collection) -> pa.Table:
    n = len(boxes)
    offsets = np.array([0, n]) if boxes.offsets is None else boxes.offsets
    ids = np.arange(len(offsets) - 1) if boxes.images is None else boxes.images
    images = values_of_rows(ids, offsets)
    columns = {"image_id": pa.array(images.tolist() if images.dtype.kind not in "iu" else images)}
    if not n:
        columns = {"image_id": pa.array([], pa.string() if images.dtype.kind in "USOT" else pa.int64())}
    names = COORDINATES[boxes.format] if boxes.format in COORDINATES else coordinate_names(boxes.format)
    columns |= {name: pa.array(side) for name, side in zip(names, boxes.columns, strict=True)}
    return pa.table(columns, metadata=metadata_of(**{"": boxes.format}))


def _columns(given: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, values in given.items():
        if isinstance(values, Collection):
            table = _of_boxes(values)
            names = [own for own in table.column_names if own != "image_id" or values.offsets is not None]
            yield from ((own, table[own]) for own in names)
        else:
            yield str(name), values


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that Parquet holds."""
    kind = column.type
    coded = pa.types.is_dictionary(kind) and plain_type(kind) == kind.value_type
    if coded and not any(chunk.dictionary.null_count for chunk in column.chunks):
        return column
    return pa.chunked_array([plain(chunk) for chunk in column.chunks], plain_type(kind))
