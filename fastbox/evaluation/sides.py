"""Boxes as corner and sides in float64, the arithmetic of COCO's evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes
from fastbox.evaluation.matching import Columns

__all__ = ["invalid", "read_as", "rows_of", "sided", "unmatchable"]


def sided(boxes: Boxes) -> Columns:
    """Return x, y, w and h in float64, as stored or subtracted."""
    return read_as(boxes.astype(np.float64).columns, boxes.format)


def read_as(columns: Columns, format: str) -> Columns:
    """Return x, y, w and h of boxes of a format."""
    if format == "xywh":
        x, y, w, h = columns
    elif format == "cxcywh":
        cx, cy, w, h = columns
        with np.errstate(invalid="ignore", over="ignore"):
            x, y = cx - 0.5 * w, cy - 0.5 * h
    else:
        x, y, right, bottom = columns if format == "xyxy" else (columns[k] for k in (1, 0, 3, 2))
        with np.errstate(invalid="ignore", over="ignore"):
            w, h = right - x, bottom - y
    return x, y, w, h


def invalid(boxes: Columns) -> NDArray[np.bool_]:
    """Return which boxes have a corner that is not finite, or are inverted."""
    x, y, w, h = boxes
    with np.errstate(invalid="ignore", over="ignore"):
        valid: NDArray[np.bool_] = np.isfinite(x + w) & np.isfinite(y + h) & (w >= 0) & (h >= 0)
    return ~valid


def unmatchable(boxes: Columns, rows: NDArray[np.bool_]) -> Columns:
    """Return the boxes, some of them with sides of nan: their IoU with any box is nan or 0, which reaches nothing."""
    if not rows.any():
        return boxes
    x, y, w, h = boxes
    return x, y, np.where(rows, np.nan, w), np.where(rows, np.nan, h)


def rows_of(boxes: Columns, rows: NDArray[np.int64]) -> Boxes:
    """Return some of the boxes."""
    x, y, w, h = (column[rows] for column in boxes)
    return Boxes.of((x, y, w, h), "xywh")
