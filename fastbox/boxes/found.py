"""Boxes of the columns that were found in an Arrow table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.arrow.layouts import BoxColumns, Rectangular, to_columns
from fastbox.boxes.container import Boxes
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.boxes.rotated import in_pixels as rotated_in_pixels
from fastbox.boxes.rotated import promoted as rotated_promoted
from fastbox.kernels.codes import FORMATS, QUADS
from fastbox.values.formats import four, in_pixels, promoted

__all__ = ["areas_of", "boxes_of_columns", "frames", "outline", "sides_of", "to_boxes"]


def frames(boxes: Boxes | RotatedBoxes) -> NDArray[Any]:
    """Return the corners of boxes, of rotated boxes those of the upright frames around them, of shape (n, 4).

    >>> frames(RotatedBoxes([[0, 0, 4, 2, 90]], "cxcywhd"))
    array([[-1., -2.,  1.,  2.]])
    """
    return (boxes.hulls() if isinstance(boxes, RotatedBoxes) else boxes).corners()


def outline(boxes: Boxes | RotatedBoxes) -> NDArray[Any] | None:
    """Return the four corners of each rotated box, of shape (n, 8); None for plain boxes.

    >>> outline(RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy"))
    array([[0., 0., 4., 0., 4., 2., 1., 2.]])
    """
    return boxes.corners().reshape(-1, 8) if isinstance(boxes, RotatedBoxes) else None


def sides_of(boxes: Boxes | RotatedBoxes) -> NDArray[Any]:
    """Return widths and heights, of shape (n, 2); of quadrilaterals those of their rectangles of smallest area.

    >>> sides_of(RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy"))
    array([[4., 2.]])
    """
    if isinstance(boxes, RotatedBoxes):
        return np.stack(boxes.rectangles().columns[2:4], axis=1)
    corners = boxes.corners()
    return np.asarray(corners[:, 2:] - corners[:, :2])


def areas_of(boxes: Boxes | RotatedBoxes) -> NDArray[np.float64]:
    """Return the areas of valid boxes, of quadrilaterals their own.

    >>> areas_of(RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy"))
    array([7.])
    """
    corners = boxes.corners().astype(np.float64)
    if not isinstance(boxes, RotatedBoxes):
        return np.asarray((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    if boxes.geometry == QUADS:
        (px, py), (qx, qy) = (corners[:, 2] - corners[:, 0]).T, (corners[:, 3] - corners[:, 1]).T
        return np.asarray(0.5 * np.abs(px * qy - py * qx))
    width, height = boxes.astype(np.float64).columns[2:4]
    return np.asarray(width * height)


def boxes_of_columns(
    columns: tuple[NDArray[Any], ...],
    format: str,
    offsets: NDArray[np.int64] | None = None,
    images: NDArray[Any] | None = None,
) -> Any:
    """Return plain or rotated boxes of columns of one float dtype in pixels, by their format; nothing is checked."""
    return (Boxes if format in FORMATS else RotatedBoxes).of(columns, format, offsets, images)  # type: ignore[arg-type]


def to_boxes(
    batch: Rectangular,
    columns: BoxColumns,
    *,
    image: str | None = None,
    where: str = "table",
    first_row: int = 0,
    size: tuple[ArrayLike, ArrayLike] | None = None,
) -> Any:
    """View the plain or rotated boxes of a batch: float32 and float64 without a copy, as long as a column is one chunk.

    With ``image`` the boxes are grouped by that column; a ragged batch without it is grouped by row. Rows in messages
    count from ``first_row``; the first row of a file is row 0.

    Raises
    ------
    InputError
        A null, a list of another length, or image ids that are unsorted or neither integers nor strings.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from fastbox.arrow.find import find_boxes
    >>> table = pa.table({"bbox": [[[0.0, 0.0, 1.0, 1.0]], []], "image_id": ["a", "b"]})
    >>> to_boxes(table, find_boxes(table.schema), image="image_id").offsets
    array([0, 1, 1])
    """
    found, offsets, images = to_columns(batch, columns, image=image, where=where, first_row=first_row)
    if columns.rotated:
        return RotatedBoxes.of(*rotated_in_pixels(rotated_promoted(found), columns.format, size), offsets, images)
    return Boxes.of(*in_pixels(promoted(four(found)), columns.format, size), offsets, images)
