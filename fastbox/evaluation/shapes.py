"""Boxes in the form in which kernels match them: corner and sides in float64, the arithmetic of COCO, or packed."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.base import Collection
from fastbox.kernels.codes import PLAIN
from fastbox.ops.geometry import packed

__all__ = ["Columns", "Shapes", "areas_of", "invalid", "read_as", "shapes_of", "sided", "unmatchable"]

AREA = 4  # the row of packed boxes with their areas, nan for an invalid box, behind the four rows of their frames

Columns = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
Shapes = Columns | NDArray[np.float64]  # x, y, w and h of plain boxes, or rotated boxes as a tile


def shapes_of(boxes: Collection, geometry: str, pixels: float = 0.0) -> Shapes:
    """Return boxes as kernels of a geometry match them, plain ones with `pixels` more in w and h."""
    return sided(boxes, pixels) if geometry == PLAIN else packed(boxes, geometry)


def areas_of(boxes: Shapes) -> NDArray[np.float64]:
    """Return the areas: width times height of plain boxes and of rectangles."""
    if isinstance(boxes, np.ndarray):
        areas: NDArray[np.float64] = boxes[AREA]
        return areas
    with np.errstate(invalid="ignore", over="ignore"):
        return boxes[2] * boxes[3]


def sided(boxes: Collection, pixels: float = 0.0) -> Columns:
    """Return x, y, w and h of plain boxes in float64, as stored or subtracted, with `pixels` more in w and h."""
    x, y, w, h = read_as(boxes.astype(np.float64).columns, boxes.format)
    return (x, y, w + pixels, h + pixels) if pixels else (x, y, w, h)


def read_as(columns: Any, format: str) -> Columns:
    """Return x, y, w and h of plain boxes of a format."""
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


def invalid(boxes: Shapes) -> NDArray[np.bool_]:
    """Return a flag for each box that has a corner that is not finite, or is invalid in another way."""
    if isinstance(boxes, np.ndarray):
        valid: NDArray[np.bool_] = boxes[AREA] == boxes[AREA]
        return ~valid
    x, y, w, h = boxes
    with np.errstate(invalid="ignore", over="ignore"):
        valid = np.isfinite(x + w) & np.isfinite(y + h) & (w >= 0) & (h >= 0)
    return ~valid


@overload
def unmatchable(boxes: Columns, rows: NDArray[np.bool_]) -> Columns: ...
@overload
def unmatchable(boxes: Shapes, rows: NDArray[np.bool_]) -> Shapes: ...
def unmatchable(boxes: Shapes, rows: NDArray[np.bool_]) -> Shapes:
    """Return the boxes, those of `rows` with sides of nan: an IoU with them is nan or 0, which reaches no threshold."""
    if not rows.any():
        return boxes
    if isinstance(boxes, np.ndarray):
        return np.where(rows & (np.arange(len(boxes)) <= AREA)[:, None], np.nan, boxes)
    x, y, w, h = boxes
    return x, y, np.where(rows, np.nan, w), np.where(rows, np.nan, h)
