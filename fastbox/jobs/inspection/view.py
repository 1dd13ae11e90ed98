"""A chunk in the form for inspection: corners, sides, classes and image sizes, one row for each box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.arrow import columns
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import frames as upright
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.jobs.inspection.turned import sides_in
from fastbox.tables.chunk import Chunk
from fastbox.tables.images import Listed
from fastbox.values.formats import sides_of
from fastbox.values.groups import groups_of_rows
from fastbox.values.labels import union

__all__ = ["View", "look"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class View(NamedTuple):
    """Whole images and their boxes.

    Attributes
    ----------
    ids, counts : arrays of shape (g,)
        The images, ascending, and the number of boxes of each.
    times : array of shape (g,), int64
        The number of rows of each image in the table of images; 1 without such a table.
    frames : two arrays of shape (g,), float64
        The widths and heights of the images, nan where unknown.
    image : array of shape (n,), int64
        The place of each box's image among the images.
    boxes : Boxes or RotatedBoxes
        The boxes as they are stored.
    first_row : int
        The number of the first box in the whole table.
    reasons : array of shape (n,), uint8
        The reason for which each box is invalid, as ``Boxes.invalid`` returns it.
    x0, y0, x1, y1, w, h : arrays of shape (n,), float64
        Corners and sides in pixels; corners of a rotated box are those of the upright frame around it.
    across, down : arrays of shape (n,), float64
        The size of each box's image, nan where it is not known.
    codes, labels : array of shape (n,), int64, and list
        The place of each box's class among the labels, -1 for a null; one class for all boxes without labels.
    box_ids : Arrow batch or None
        The boxes' ids, in a column ``id``.
    order : array or None
        The rows of the boxes before the table was sorted; None for a table that was sorted already.
    """

    ids: NDArray[Any]
    counts: Ints
    times: Ints
    frames: tuple[Floats, Floats]
    image: Ints
    boxes: Boxes | RotatedBoxes
    first_row: int
    reasons: NDArray[np.uint8]
    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats
    w: Floats
    h: Floats
    across: Floats
    down: Floats
    codes: Ints
    labels: list[Any]
    box_ids: Any = None
    order: Ints | None = None

    def given_rows(self, numbers: Ints) -> Ints:
        """Return the rows, in the table as it was given, of boxes by their numbers in the whole table; -1 stays."""
        if self.order is None:
            return numbers
        rows = np.asarray(numbers, np.int64).copy()
        rows[rows >= 0] = self.order[rows[rows >= 0]]
        return rows

    @property
    def valid(self) -> NDArray[np.bool_]:
        """The boxes that are finite and not inverted, as a mask."""
        valid: NDArray[np.bool_] = self.reasons == 0
        return valid


def look(
    chunk: Chunk,
    label: str | None,
    size: tuple[str, str] | None,
    listed: Listed | None = None,
    box_id: str | None = None,
) -> View:
    """Return the view of a chunk and of the images listed beside it; classes, sizes and ids are in named columns.

    If the list of images has sizes, these replace the sizes in the columns of the chunk.
    """
    assert chunk.images is not None and chunk.a.offsets is not None
    boxes, counts = chunk.a, np.diff(chunk.a.offsets)
    ids, times = chunk.images, np.ones(len(counts), np.int64)
    image = groups_of_rows(chunk.a.offsets)
    if listed is not None:
        ids = union(chunk.images, listed.ids)
        image = np.searchsorted(ids, chunk.images)[image]
        counts = np.bincount(image, minlength=len(ids))
        places = np.searchsorted(ids, listed.ids)
        times = np.zeros(len(ids), np.int64)
        times[places] = listed.times
    frames = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    if listed is not None and listed.sized:
        for frame, sides in zip(frames, listed.sizes, strict=True):
            frame[places] = sides
        across, down = (frame[image] for frame in frames)
    elif size is not None and len(boxes):
        across, down = (_above_0(columns.number_column(chunk.a_columns, name, missing=np.nan)) for name in size)
        for frame, sides in zip(frames, (across, down), strict=True):
            frame[image[::-1]] = sides[::-1]
    else:
        across, down = np.full(len(boxes), np.nan), np.full(len(boxes), np.nan)
    codes, labels = np.zeros(len(boxes), np.int64), [None]
    if label is not None and len(boxes):
        codes, labels = columns.coded_column(chunk.a_columns, label)
    with np.errstate(invalid="ignore", over="ignore"):
        x0, y0, x1, y1 = np.ascontiguousarray(upright(boxes).T).astype(np.float64)
    finite = np.isfinite(x0) & np.isfinite(y0) & np.isfinite(x1) & np.isfinite(y1)
    if isinstance(boxes, RotatedBoxes):
        reasons, extents = boxes.invalid(), sides_in(boxes)
    else:
        reasons = np.where(finite, np.where((x1 < x0) | (y1 < y0), 2, 0), 1).astype(np.uint8)
        extents = sides_of(boxes.columns, boxes.format)
    seen = ids, counts, times, frames, image, boxes, chunk.a_start, reasons
    box_ids = None if box_id is None else columns.alone(chunk.a_columns, box_id, "id")
    return View(*seen, x0, y0, x1, y1, *extents, across, down, codes, labels, box_ids, chunk.a_order)


def _above_0(sides: NDArray[Any]) -> Floats:
    """Return the sides of images, nan where a side is not a number above 0."""
    pixels = sides.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where((pixels > 0) & np.isfinite(pixels), pixels, np.nan)
