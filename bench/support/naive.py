"""Plain loops, well written, that a kernel must beat by its better method or its lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["histogram", "nms"]


@njit(error_model="numpy")
def _iou(a: Any, b: Any, i: int, j: int) -> Any:
    zero = a.dtype.type(0)
    w = max(min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0]), zero)
    h = max(min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1]), zero)
    own, its = (a[i, 2] - a[i, 0]) * (a[i, 3] - a[i, 1]), (b[j, 2] - b[j, 0]) * (b[j, 3] - b[j, 1])
    return w * h / (own + its - w * h)


@njit(error_model="numpy")
def _histogram(a: Any, b: Any, counts: Any) -> None:
    bins = len(counts)
    for i in range(len(a)):
        for j in range(len(b)):
            counts[min(int(_iou(a, b, i, j) * bins), bins - 1)] += 1


@njit(error_model="numpy")
def _nms(boxes: Any, order: Any, threshold: float, kept: Any) -> int:
    count = 0
    for row in order:
        free = True
        for k in range(count):
            if _iou(boxes, boxes, row, kept[k]) > threshold:
                free = False
                break
        if free:
            kept[count] = row
            count += 1
    return count


def histogram(a: NDArray[Any], b: NDArray[Any], bins: int) -> NDArray[np.int64]:
    """Count the IoUs of all pairs of corners in bins from 0 to 1."""
    counts = np.zeros(bins, np.int64)
    _histogram(a, b, counts)
    return counts


def nms(boxes: NDArray[Any], scores: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """Keep each box, by descending score, that overlaps no kept box: each is compared with those kept before."""
    kept = np.empty(len(boxes), np.int64)
    return kept[: _nms(boxes, np.argsort(-scores, kind="stable"), threshold, kept)]
