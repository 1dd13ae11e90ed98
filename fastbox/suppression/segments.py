"""Segments of boxes that can suppress one another, those of one image and class; and the checks of this room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.values.labels import as_labels, codes_of
from fastbox.values.numbers import as_column, as_floats, as_number_from

__all__ = ["as_scores", "as_threshold", "image_bounds", "kept_rows", "order", "segments"]


def segments(boxes: Collection, classes: Any = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of boxes by image and class, ascending within each, and the bounds of these segments.

    Raises
    ------
    ValueError
        Classes of another shape, or a missing class.
    TypeError
        Classes that are neither integers nor strings.
    """
    n = len(boxes)
    rows, images = np.arange(n), image_bounds(boxes)
    if classes is None:
        return rows, images
    codes = _codes(classes, n)
    order(-codes, rows, images)
    codes = codes[rows]
    begins = np.zeros(n + 1, np.bool_)
    begins[1:n] = codes[1:] != codes[:-1]
    begins[images] = True
    return rows, np.flatnonzero(begins)


def image_bounds(boxes: Collection) -> NDArray[np.int64]:
    """Return the first row of each image, and the end; boxes without groups are of one image."""
    return np.array([0, len(boxes)]) if boxes.offsets is None else boxes.offsets


def kept_rows(boxes: Collection, left: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the rows whose score is not nan, by image and descending score, and their scores."""
    (rows,) = (left == left).nonzero()
    order(left, rows, np.array([0, len(rows)]) if boxes.offsets is None else np.searchsorted(rows, boxes.offsets))
    return rows, left[rows]


def order(keys: NDArray[Any], rows: NDArray[np.int64], bounds: NDArray[np.int64]) -> None:
    """Sort the rows between two bounds by descending key, in place."""
    if spans := parallel.cut((bounds[1:] - bounds[:-1]) * 8):
        sort, no_codes = parallel.kernels("common.sorting").SORT[keys.dtype, ""], np.empty(0, np.int64)
        parallel.run(lambda *span: sort(no_codes, keys, bounds, rows, *span), spans)


def as_threshold(value: float) -> float:
    """Read the IoU above which boxes are duplicates.

    Raises
    ------
    ValueError
        A number outside [0, 1].
    """
    return as_number_from(value, "iou_threshold", 0, 1)


def as_scores(scores: Any, n: int) -> NDArray[np.float64]:
    """Read one score for each of n boxes, in float64.

    Raises
    ------
    ValueError, TypeError
        Another shape, or values that are not numbers.
    """
    return np.ascontiguousarray(as_column(as_floats(scores, "scores"), "scores", n), dtype=np.float64)


def _codes(classes: Any, n: int) -> NDArray[np.float64]:
    """Return classes as floats, equal for equal classes."""
    array = as_column(as_labels(classes, "classes", n), "classes", n)
    exact = array.dtype.kind == "i" and n and max(-int(array.min()), int(array.max())) < 2**53
    return (array if exact else codes_of(array)[0]).astype(np.float64)
