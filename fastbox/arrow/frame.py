"""The boxes of a frame in memory: a table of pandas, polars or pyarrow, or a dict of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.arrays import is_number, plain_type
from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.arrow.held import readable
from fastbox.arrow.layouts import to_columns
from fastbox.values.formats import Columns
from fastbox.values.names import IMAGE, BoxArgument, column_of
from fastbox.values.numbers import shown

__all__ = ["frame_columns"]


def frame_columns(
    frame: Any,
    *,
    boxes: str | None = None,
    format: str | None = None,
    image: str | bool | None = True,
    where: str = "table",
) -> tuple[Columns, str, NDArray[np.int64] | None, NDArray[Any] | None]:
    """View the boxes of a frame in memory as four columns, with their format, the offsets of images and the image ids.

    Arguments are those of :meth:`fastbox.Boxes.from_arrow`.

    Raises
    ------
    InputError
        As :func:`fastbox.arrow.find.find_boxes` and :func:`fastbox.arrow.layouts.to_columns`.
    """
    arrow, unread = readable(frame, where)
    if boxes is None and arrow.schema.names == ["0", "1", "2", "3"]:  # a frame of an array
        boxes = "0,1,2,3"
    for name, given in (("boxes", boxes), ("image", None if isinstance(image, bool) else image)):
        if not isinstance(given, str | None):
            raise TypeError(f"expected {name} to be the name of a column, got {shown(given)}")
    found = find_boxes(
        arrow.schema, boxes, format, where=where, argument=BoxArgument("--box", "Boxes.from_arrow(frame, boxes={})")
    )
    named = _usual_ids(arrow.schema, where) if image is True else image or None
    for column in (*found.names, *([] if named is None else [named])):
        if column in unread:
            raise unread[column]
    if named is None:
        columns, offsets, images = to_columns(arrow, found, where=where)
        return columns, found.format, offsets, images
    calls = {
        "sort_values": f", as with frame.sort_values({named!r}, kind='stable')",
        "with_columns": f", as with frame.sort({named!r}, maintain_order=True)",
        "sort_by": f", as with frame.sort_by({named!r})",
    }
    call = next((call for method, call in calls.items() if hasattr(frame, method)), "")
    fix = f"sort the frame{call}, or leave the images out: Boxes.from_arrow(frame, image=False)"
    columns, offsets, images = to_columns(arrow, found, image=named, where=where, fix=fix)
    return columns, found.format, offsets, images


def _usual_ids(schema: pa.Schema, where: str) -> str | None:
    """Return the column with a usual name of image ids; a column that may hold images must hold numbers or text."""
    name = column_of(schema.names, IMAGE, where)
    kind = None if name is None else plain_type(require(schema, name, where).type)
    held = kind is not None and (is_number(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return name if held or column_of(schema.names, IMAGE.strictly) else None
