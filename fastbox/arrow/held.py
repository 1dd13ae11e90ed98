"""Columns in memory as Arrow columns: lists, arrays, series and tensors; columns without rows get a usual type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fastbox.arrow.arrays import is_list, plain_type
from fastbox.errors import InputError
from fastbox.values.names import CLASS, IMAGE, column_of, one_box_column

__all__ = [
    "UNREADABLE",
    "as_column",
    "as_table",
    "columns_of",
    "indexed",
    "readable",
    "table_of_columns",
    "typed",
    "unreadable",
    "without_rows",
]

UNREADABLE = (pa.ArrowException, TypeError, ValueError, OverflowError, KeyError)


def as_column(values: Any) -> pa.Array | pa.ChunkedArray:
    """Return values as an Arrow column, or raise one of ``UNREADABLE`` for values that no column can hold.

    Examples
    --------
    >>> as_column([1, 2**63]).type, as_column(np.array([1, 2], ">i4")).type
    (DataType(uint64), DataType(int32))
    """
    dtype = getattr(values, "dtype", None)
    if hasattr(dtype, "fill_value") or not getattr(dtype, "isnative", True):  # series of pandas that Arrow can't read
        values = np.asarray(values)
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    if isinstance(values, set | frozenset):
        raise TypeError("a set has no order")
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        if values.ndim == 2:
            mask = np.ma.getmaskarray(values).any(axis=1) if isinstance(values, np.ma.MaskedArray) else None
            flat = pa.array(np.ascontiguousarray(values).ravel())
            mask = None if mask is None else pa.array(mask)
            return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=mask)
        if values.dtype.kind in "UST":
            values = values.tolist()
    if isinstance(values, list | tuple) and any(hasattr(one, "tolist") for one in values):
        values = [one.tolist() if hasattr(one, "tolist") else one for one in values]
    try:
        return pa.array(values)
    except OverflowError:
        return pa.array(values, pa.uint64())


def unreadable(values: Any, column: str, name: str) -> InputError:
    """Return the error for values that no column can hold."""
    got = getattr(values, "dtype", type(values).__name__)
    return InputError(f"expected numbers, text or boxes of one type in column {column!r} of {name}, got {got}: cast it")


def indexed(frame: Any) -> Any:
    """Return a pandas frame with the named levels of its index as columns, and anything else unchanged.

    Arrow does not see an index.
    """
    levels = getattr(getattr(frame, "index", None), "names", None)
    if not hasattr(frame, "columns") or not isinstance(levels, Sequence):
        return frame
    named = [name for name in levels if name is not None and name not in frame.columns]
    return frame.reset_index(named) if named else frame


def columns_of(frame: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and the columns of a frame, if it has columns."""
    for column in getattr(frame, "columns", ()):
        yield str(column), frame[column]


def as_table(obj: Any, name: str = "table") -> pa.Table:
    """View a dict of columns, or an object with the Arrow C interface, as a table; a series becomes column ``boxes``.

    ``name`` is its name in messages.

    Raises
    ------
    TypeError
        The object is not a dict and has neither ``__arrow_c_stream__`` nor ``__arrow_c_array__``.
    InputError
        A dict with columns of unequal lengths, or with values that no column can hold.

    Examples
    --------
    >>> import pyarrow as pa
    >>> as_table(pa.array([[0.0, 0.0, 1.0, 1.0]])).column_names
    ['boxes']
    """
    if isinstance(obj, pa.Table):
        return obj
    if isinstance(obj, pa.RecordBatch):
        return pa.Table.from_batches([obj])
    if isinstance(obj, Mapping):
        return table_of_columns(((str(column), values) for column, values in obj.items()), name)
    if hasattr(obj, "__arrow_c_stream__"):
        column = pa.chunked_array(obj)
    elif hasattr(obj, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(obj)])
    else:
        raise TypeError(f"expected a table with the Arrow C interface, got {type(obj).__name__}")
    if not pa.types.is_struct(column.type):
        return pa.table({"boxes": column})
    if not column.num_chunks:  # of which pyarrow 25 makes no table
        return pa.schema(list(column.type)).empty_table()
    return pa.Table.from_struct_array(column)


def readable(frame: Any, where: str) -> tuple[pa.Table, dict[str, InputError]]:
    """Return the readable columns of a frame, and the errors of the other columns, which become columns of nulls."""
    frame = indexed(frame)
    try:
        return without_rows(as_table(frame, where)), {}
    except UNREADABLE:
        if isinstance(frame, Mapping) or not hasattr(frame, "columns"):
            raise
    made, unread = {}, {}
    names = [str(column) for column in frame.columns]
    for column, values in columns_of(frame):
        if (count := names.count(column)) > 1:
            several = f"expected one column {column!r} in {where}, got {count}: rename all but one"
            made[column], unread[column] = pa.nulls(len(values)), InputError(several)
            continue
        try:
            made[column] = as_column(values)
        except UNREADABLE:
            made[column], unread[column] = pa.nulls(len(values)), unreadable(values, column, where)
    return pa.table(made), unread


def table_of_columns(columns: Iterable[tuple[str, Any]], name: str) -> pa.Table:
    """Return columns as a table; ``name`` is its name in messages.

    Raises
    ------
    InputError
        Values that no column can hold, or columns of unequal lengths.
    """
    made: dict[str, Any] = {}
    for column, values in columns:
        try:
            made[column] = as_column(values)
        except UNREADABLE as error:
            raise unreadable(values, column, name) from error
    lengths = {column: len(values) for column, values in made.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{count} in {column!r}" for column, count in lengths.items())
        raise InputError(f"expected columns of one length in {name}, got {said}: give each one value per row")
    return without_rows(pa.table(made))


def without_rows(table: pa.Table) -> pa.Table:
    """Return a table; without rows, columns with an unspecific type get the type that their name implies."""
    return table if table.num_rows else typed(table.schema).empty_table()


def typed(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a table without rows with types that fit the columns' names.

    Writers of empty tables often give no types, or floats for ids and boxes.

    >>> typed(pa.schema({"image_id": "float64", "bbox": pa.null(), "score": "float32"})).types
    [DataType(int64), ListType(list<item: double>), DataType(float)]
    """
    fields = [
        pa.field(field.name, kind) if (kind := _type_of_nothing(field.name, field.type)) is not None else field
        for field in schema
    ]
    return pa.schema(fields, schema.metadata)


def _type_of_nothing(name: str, kind: pa.DataType) -> pa.DataType | None:
    """Return the type that the name of a column without values implies, or None if its own type can stay."""
    kind = plain_type(kind)
    if is_list(kind) and pa.types.is_null(kind.value_type) and one_box_column([name], ""):
        return pa.list_(pa.float64())
    if not (pa.types.is_null(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return None
    if any(column_of([name], known) for known in (IMAGE, CLASS)):
        return pa.int64()
    return pa.list_(pa.float64()) if one_box_column([name], "") else None
