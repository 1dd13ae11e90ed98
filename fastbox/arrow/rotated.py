"""The columns of a frame that hold rotated boxes: five or eight flat columns, or one column of lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.arrays import Place, image_runs, is_list, is_number, numbers, one_chunk, plain, plain_type
from fastbox.arrow.fields import listing, require
from fastbox.arrow.frame import image_column, sorting
from fastbox.arrow.held import readable
from fastbox.arrow.turned import ANGLES, LISTS, QUADS, RECTANGLE
from fastbox.errors import InputError

__all__ = ["rotated_columns"]


def rotated_columns(
    frame: Any, count: int, *, boxes: str | None = None, image: str | bool | None = True, where: str = "table"
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64] | None, NDArray[Any] | None]:
    """View the boxes of a frame in memory as columns, with the offsets of images and the image ids.

    Parameters
    ----------
    frame
        A table of pyarrow, pandas or polars, or a dict of columns.
    count : int
        The number of columns, 5 or 8.
    boxes : str, optional
        One column of lists, or `count` names with commas between; by default found by the usual names.
    image : str or bool
        As for :meth:`fastbox.Boxes.from_arrow`.

    Raises
    ------
    InputError
        No such columns, a wrong type, a null, a list of another length, or ids that are unsorted.
    """
    table, unread = readable(frame, where)
    names = _names(table.schema, count, boxes, where)
    for name in names:
        require(table.schema, name, where)
        if name in unread:
            raise unread[name]
    columns = [one_chunk(table.column(name)) for name in names]
    found = _of_lists(columns[0], count, Place(where, names[0])) if len(names) == 1 else None
    if found is None:
        for name, column in zip(names, columns, strict=True):
            if not is_number(column.type):
                raise InputError(f"expected numbers in column {name!r} of {where}, got {column.type}: cast it")
        found = tuple(numbers(column, Place(where, name)) for name, column in zip(names, columns, strict=True))
    named = image_column(table.schema, image, where)
    if named is None:
        return found, None, None
    fix = sorting(frame, named, "RotatedBoxes.from_arrow(frame, FORMAT, image=False)")
    require(table.schema, named, where)
    ids, offsets = image_runs(one_chunk(table.column(named)), Place(where, named), fix)
    return found, offsets, ids


def _names(schema: pa.Schema, count: int, boxes: str | None, where: str) -> tuple[str, ...]:
    if boxes is not None:
        names = (boxes,) if boxes in schema.names else tuple(name.strip() for name in boxes.split(","))
        if len(names) not in (1, count):
            raise InputError(
                f"expected one column of boxes or {count} in {where}, got {len(names)}: {', '.join(names)}"
            )
        return names
    flat: list[tuple[str, ...]]
    flat = [(*RECTANGLE, angle) for angle in ANGLES] if count == 5 else [QUADS]
    for known in (*flat, *((name,) for name in LISTS)):
        if set(known) <= set(schema.names):
            return tuple(known)
    usual = ", ".join(flat[0])
    raise InputError(
        f"expected columns of boxes in {where} ({usual}, or one column obb of lists), got {listing(schema.names)}: "
        f"name them with boxes='A,B,...'"
    )


def _of_lists(column: pa.Array, count: int, place: Place) -> tuple[NDArray[Any], ...]:
    """View the numbers of a column of lists, each of the same count."""
    kind = plain_type(column.type)
    fixed = pa.types.is_fixed_size_list(kind)
    if not (fixed or is_list(kind)) or not is_number(kind.value_type):
        raise InputError(
            f"expected lists of {count} numbers in column {place.name!r} of {place.where}, got {column.type}"
        )
    array = plain(column)
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"expected a box in {place(row)}, got null: fill it or drop the row")
    lengths = np.full(len(array), kind.list_size) if fixed else np.diff(array.offsets.to_numpy())
    wrong = np.flatnonzero(lengths != count)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"expected a list of {count} numbers in {place(row)}, got {lengths[row]}: fix or drop the row")
    values = numbers(array.flatten(), place, per_box=count).reshape(-1, count)
    return tuple(values.T)
