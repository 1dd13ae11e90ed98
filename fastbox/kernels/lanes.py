"""Boxes a few at a time, in lanes, as corners: for what reads each box once.

Reading the next goes on while these are measured; with tiles as long as those of :mod:`fastbox.kernels.tiles` memory
and arithmetic would wait for each other.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.compile import device, inlined
from fastbox.kernels.metrics import Box, ratio
from fastbox.kernels.rows import WIDE, split
from fastbox.kernels.tiles import CXCYWH, TWO_OVER_PI, XYWH, YXYX

LANES = 64  # boxes at a time


@inlined
def fetch(boxes, rowwise, first, n, x0, y0, x1, y1):
    """Read n boxes from a row on as corners; boxes that are not there are invalid."""
    arrangement, p, q, r, s = boxes
    T = x0.dtype.type
    half, nan = T(0.5), T(np.nan)
    if rowwise and n == LANES:
        for j in range(0, LANES, WIDE):
            split(p, first + j, (x0, y0, x1, y1), j)
    else:
        for j in range(n):
            k = np.uint64(first + j)
            x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
        for j in range(n, LANES):
            x0[j], y0[j], x1[j], y1[j] = nan, nan, nan, nan
    if arrangement == XYWH:
        for j in range(LANES):
            x1[j], y1[j] = x0[j] + x1[j], y0[j] + y1[j]
    elif arrangement == CXCYWH:
        for j in range(LANES):
            x, y, w, h = x0[j], y0[j], half * x1[j], half * y1[j]
            x0[j], y0[j], x1[j], y1[j] = x - w, y - h, x + w, y + h
    elif arrangement == YXYX:
        for j in range(LANES):
            x0[j], y0[j], x1[j], y1[j] = y0[j], x0[j], y1[j], x1[j]


@inlined
def box(x0, y0, x1, y1, angle):
    """A box with its area, nan if it is invalid."""
    zero, nan = type(x0)(0), type(x0)(np.nan)
    w, h = x1 - x0, y1 - y0
    infinite = (x0 - x0) + (y0 - y0) + (x1 - x1) + (y1 - y1)  # 0, or nan
    return Box(x0, y0, x1, y1, w * h if (w >= zero) & (h >= zero) & (infinite == zero) else nan, angle)


@device
def turn(x0, y0, x1, y1, angle):
    """The angle of each box's diagonal, as CIoU has it."""
    scale = angle.dtype.type(TWO_OVER_PI)
    for j in range(LANES):
        angle[j] = scale * angle.dtype.type(math.atan(ratio(x1[j] - x0[j], y1[j] - y0[j])))
