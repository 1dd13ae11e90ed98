"""The boxes of a frame in memory: a table of pandas, polars or pyarrow, or a dict of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import Place, UnsortedError, image_runs, is_number, one_chunk, plain, plain_type
from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.arrow.held import readable
from fastbox.arrow.layouts import BoxColumns, to_columns
from fastbox.errors import InputError
from fastbox.values.formats import Columns, four
from fastbox.values.names import IMAGE, BoxArgument, column_of
from fastbox.values.numbers import shown

__all__ = ["Frame", "frame_columns", "image_column", "read_frame", "sorting"]

pc = deferred("pyarrow.compute")


@dataclass(frozen=True)
class Frame:
    """A frame as Arrow, and where its boxes and image ids are; ``unread`` has the errors of columns of nulls."""

    table: pa.Table
    unread: Mapping[str, InputError]
    found: BoxColumns
    image: str | None
    where: str

    def column(self, name: str) -> pa.Array:
        """Return a column as one array.

        Raises
        ------
        InputError
            No such column, or values that no column can hold.
        """
        require(self.table.schema, name, self.where)
        if name in self.unread:
            raise self.unread[name]
        return one_chunk(self.table.column(name))

    def coordinates(self) -> Columns:
        """View the boxes as four columns, in the order of the rows.

        Raises
        ------
        InputError
            The errors of :func:`fastbox.arrow.layouts.to_columns`, and lists of boxes in place of one box a row.
        """
        if self.found.layout == "ragged":
            name = self.found.names[0]
            came = f"lists of boxes in column {name!r}: explode the column"
            raise InputError(f"expected one box in each row of {self.where}, got {came}")
        return four(to_columns(self.table, self.found, where=self.where)[0])

    def by_image(self) -> tuple[NDArray[np.int64] | None, NDArray[Any], NDArray[np.int64]]:
        """Return the rows by image, None if they are so already; the image ids, ascending; and their offsets.

        Rows of one image stay in their order.

        Raises
        ------
        InputError
            Ids that are null, beyond int64, or neither integers nor strings.
        """
        assert self.image is not None
        ids, place = self.column(self.image), Place(self.where, self.image)
        try:
            return None, *image_runs(ids, place)
        except UnsortedError:
            ids = plain(ids)
            rows = pc.array_sort_indices(ids)  # a stable sort
            return rows.to_numpy().astype(np.int64), *image_runs(ids.take(rows), place)


def read_frame(
    frame: Any,
    *,
    boxes: str | None = None,
    format: str | None = None,
    image: str | bool | None = True,
    where: str = "table",
    call: str = "Boxes.from_arrow(frame, boxes={})",
) -> Frame:
    """Find the boxes and the image ids of a frame, whose rows may have any order.

    Arguments are those of :meth:`fastbox.Boxes.from_arrow`; ``call`` is the call that names the boxes, for messages.

    Raises
    ------
    InputError
        No such column, or a wrong type.
    """
    arrow, unread = readable(frame, where)
    if boxes is None and arrow.schema.names == ["0", "1", "2", "3"]:  # a frame of an array
        boxes = "0,1,2,3"
    for name, given in (("boxes", boxes), ("image", None if isinstance(image, bool) else image)):
        if not isinstance(given, str | None):
            raise TypeError(f"expected {name} to be the name of a column, got {shown(given)}")
    found = find_boxes(arrow.schema, boxes, format, where=where, argument=BoxArgument("--box", call))
    named = image_column(arrow.schema, image, where)
    for column in (*found.names, *([] if named is None else [named])):
        if column in unread:
            raise unread[column]
    return Frame(arrow, unread, found, named, where)


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
    read = read_frame(frame, boxes=boxes, format=format, image=image, where=where)
    arrow, found, named = read.table, read.found, read.image
    if named is None:
        columns, offsets, images = to_columns(arrow, found, where=where)
        return four(columns), found.format, offsets, images
    fix = sorting(frame, named, "Boxes.from_arrow(frame, image=False)")
    columns, offsets, images = to_columns(arrow, found, image=named, where=where, fix=fix)
    return four(columns), found.format, offsets, images


def sorting(frame: Any, image: str, without: str) -> str:
    """Return the remedy for a frame whose image ids do not ascend: to sort it, or a call `without` images."""
    calls = {
        "sort_values": f", as with frame.sort_values({image!r}, kind='stable')",
        "with_columns": f", as with frame.sort({image!r}, maintain_order=True)",
        "sort_by": f", as with frame.sort_by({image!r})",
    }
    call = next((call for method, call in calls.items() if hasattr(frame, method)), "")
    return f"sort the frame{call}, or leave the images out: {without}"


def image_column(schema: pa.Schema, image: str | bool | None, where: str) -> str | None:
    """Return the column of image ids: the one named, the usual one if True and there is one, or else None."""
    return _usual_ids(schema, where) if image is True else image or None


def _usual_ids(schema: pa.Schema, where: str) -> str | None:
    """Return the column with a usual name of image ids; a column that may hold images must hold numbers or text."""
    name = column_of(schema.names, IMAGE, where)
    kind = None if name is None else plain_type(require(schema, name, where).type)
    held = kind is not None and (is_number(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return name if held or column_of(schema.names, IMAGE.strictly) else None
