"""Boxes a few at a time, in lanes, as corners: for what reads each box once.

Reading the next goes on while these are measured; with tiles as long as those of :mod:`fastbox.kernels.geometry.pack` memory
and arithmetic would wait for each other.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.kernel import device, inlined
from fastbox.kernels.build.transpose import WIDE, split
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.metrics import Box
from fastbox.kernels.geometry.pack import CXCYWH, XYWH, YXYX
from fastbox.kernels.geometry.safe_range import all_usual, nothing_seen, seen, usual_area

LANES = 64  # boxes at a time


@inlined
def fetch(boxes, rowwise, first, n, x0, y0, x1, y1):
    """Read n boxes from a row on as corners; those that are not there are points at the origin."""
    arrangement, p, q, r, s = boxes
    T = x0.dtype.type
    half, zero = T(0.5), T(0)
    if rowwise and n == LANES:
        for j in range(0, LANES, WIDE):
            split(p, first + j, (x0, y0, x1, y1), j)
    else:
        for j in range(n):
            k = np.uint64(first + j)
            x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
        for j in range(n, LANES):
            x0[j], y0[j], x1[j], y1[j] = zero, zero, zero, zero
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


@device
def usual(x0, y0, x1, y1):
    """Whether all boxes are valid, and plain formulas do for them."""
    zero = x0.dtype.type(0)
    top, low = nothing_seen(zero)
    for j in range(LANES):
        top, low = seen(top, low, x0[j], y0[j], x1[j], y1[j])
    return all_usual(top, low, zero)


@inlined
def usual_box(x0, y0, x1, y1, angle):
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), angle)


@inlined
def box(x0, y0, x1, y1, angle):
    """A box with its area, nan if it is invalid or not usual."""
    return Box(x0, y0, x1, y1, usual_area(x0, y0, x1, y1), angle)


@device
def turn(x0, y0, x1, y1, angle):
    """The angle of each box's diagonal, as CIoU has it."""
    for j in range(LANES):
        angle[j] = aspect(x1[j] - x0[j], y1[j] - y0[j])
