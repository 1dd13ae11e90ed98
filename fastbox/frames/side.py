"""One of the frames that are compared: its boxes by image, whatever the order of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.arrow.frame import Frame, read_frame
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.evaluation.registry import Default
from fastbox.values.formats import in_pixels, promoted
from fastbox.values.names import Usual, column_of

__all__ = ["Side", "check_both", "check_images", "side_of"]


class Side(NamedTuple):
    """A frame as boxes by image, and the row of each box; rows are None where the frame is by image already."""

    frame: Frame
    boxes: Boxes
    rows: NDArray[np.int64] | None

    def column(self, name: str) -> Any:
        """Return a column in the order of the boxes, by another of its usual names where the name is a default."""
        names = self.frame.table.schema.names
        column = self.frame.column(column_of(names, name, self.frame.where) or name)
        return column if self.rows is None else column.take(self.rows)

    def optional(self, name: str | None) -> Any:
        """Return a column as :meth:`column` does; None without a name, and for a default that the frame lacks."""
        if name is None:
            return None
        names = self.frame.table.schema.names
        missing = isinstance(name, Usual | Default) and column_of(names, name, self.frame.where) is None
        return None if missing else self.column(name)

    def by_row(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the boxes in the order of the rows."""
        if self.rows is None:
            return values
        placed = np.empty_like(values)
        placed[self.rows] = values
        return placed

    def rows_of(self, boxes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of boxes; -1 stays."""
        return boxes if self.rows is None else np.append(self.rows, -1)[boxes]


def side_of(frame: Any, where: str, **reading: Any) -> Side:
    """Read a frame, whose name in messages is ``where``.

    Raises
    ------
    InputError
        No columns of boxes, lists of boxes in a row, null coordinates or ids.

    Examples
    --------
    >>> side_of({"bbox": [[0, 0, 1, 1], [0, 0, 2, 2]], "image_id": [2, 1]}, "frame").rows
    array([1, 0])
    """
    given = frame.collect() if hasattr(frame, "collect") else frame  # a lazy frame
    read = read_frame(given, **reading, where=where, call="frame.fastbox(boxes={})")
    boxes = Boxes.of(*in_pixels(promoted(read.coordinates()), read.found.format, None))
    if read.image is None:
        return Side(read, boxes, None)
    rows, ids, offsets = read.by_image()
    boxes = boxes if rows is None else boxes[rows]
    return Side(read, Boxes.of(boxes.columns, boxes.format, offsets, ids), rows)


def check_images(mine: Side, its: Side) -> None:
    """Refuse a frame with image ids beside one without."""
    how = "compare all boxes with frame.fastbox(image=False)"
    check_both("image ids", (mine, its), (mine.frame.image is not None, its.frame.image is not None), how)


def check_both(what: str, sides: tuple[Side, Side], have: tuple[bool, bool], otherwise: str) -> None:
    """Refuse a column that one frame has and the other one lacks.

    Raises
    ------
    InputError
        Only one frame has the column; ``otherwise`` tells how to do without it.
    """
    if have[0] != have[1]:
        there, missing = (side.frame.where for side in (sides if have[0] else sides[::-1]))
        came = f"one in {there} and none in {missing}: add the column, or {otherwise}"
        raise InputError(f"expected a column of {what} in both frames or in neither, got {came}")
