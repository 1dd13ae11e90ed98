"""Boxes of the columns that were found in an Arrow table."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastbox.arrow.layouts import BoxColumns, Rectangular, to_columns
from fastbox.boxes.container import Boxes
from fastbox.values.formats import in_pixels, promoted

__all__ = ["to_boxes"]


def to_boxes(
    batch: Rectangular,
    columns: BoxColumns,
    *,
    image: str | None = None,
    where: str = "table",
    first_row: int = 0,
    size: tuple[ArrayLike, ArrayLike] | None = None,
) -> Boxes:
    """View the boxes of a batch: float32 and float64 without a copy, as long as a column is one chunk.

    With ``image`` the boxes are grouped by that column; a ragged batch without it is grouped by row. Rows in messages
    count from ``first_row``; the first row of a file is row 0.

    Raises
    ------
    InputError
        A null, a list that isn't of four, or image ids that are unsorted or neither integers nor strings.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from fastbox.arrow.find import find_boxes
    >>> table = pa.table({"bbox": [[[0.0, 0.0, 1.0, 1.0]], []], "image_id": ["a", "b"]})
    >>> to_boxes(table, find_boxes(table.schema), image="image_id").offsets
    array([0, 1, 1])
    """
    found, offsets, images = to_columns(batch, columns, image=image, where=where, first_row=first_row)
    return Boxes.of(*in_pixels(promoted(found), columns.format, size), offsets, images)
