"""Any format, stride or dtype becomes a packed tile in the first-level cache; and the way through all tiles."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.compile import device
from fastbox.kernels.metrics import Box, ratio
from fastbox.kernels.rows import WIDE, beside, split

XYXY, XYWH, CXCYWH, YXYX = range(4)

# Boxes measured side by side. With a constant count the compiler turns them into whole vector registers, whatever their
# width; a tile is filled up to whole lanes with boxes that are invalid, so that such loops have no remainder.
LANES = 32
COLS = 1024  # boxes of b packed together: six rows of float64 are 48 KiB
TWO_OVER_PI = 2 / math.pi


@device
def at(tile, j):
    return Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j])


@device
def pack(boxes, first, last, angles, tile):
    """Write boxes [first, last) as corners, area and, if asked for, angle. Say whether all areas are tame.

    Tame areas are 0 or between 2^-60 and 2^60: far enough from both ends of float32 that no product of two of them is
    rounded by more than its last bit, which is what screening counts on.
    """
    arrangement, p, q, r, s = boxes
    n = last - first
    half = tile.dtype.type(0.5)
    zero = tile.dtype.type(0)
    nan = tile.dtype.type(np.nan)
    x0, y0, x1, y1, area = tile[0], tile[1], tile[2], tile[3], tile[4]
    done = 0
    if beside(p, q, r, s):
        done = n // WIDE * WIDE
        for j in range(0, done, WIDE):
            split(p, first + j, (x0, y0, x1, y1), j)
    for j in range(done, n):
        k = np.uint64(first + j)  # unsigned: no test for an index from the end
        x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
    if arrangement == XYWH:
        for j in range(n):
            x1[j], y1[j] = x0[j] + x1[j], y0[j] + y1[j]
    elif arrangement == CXCYWH:
        for j in range(n):
            x, y, w, h = x0[j], y0[j], half * x1[j], half * y1[j]
            x0[j], y0[j], x1[j], y1[j] = x - w, y - h, x + w, y + h
    elif arrangement == YXYX:
        for j in range(n):
            x0[j], y0[j], x1[j], y1[j] = y0[j], x0[j], y1[j], x1[j]
    low, high = tile.dtype.type(2.0**-60), tile.dtype.type(2.0**60)
    wild = np.int32(0)
    for j in range(n):
        w, h = x1[j] - x0[j], y1[j] - y0[j]
        infinite = (x0[j] - x0[j]) + (y0[j] - y0[j]) + (x1[j] - x1[j]) + (y1[j] - y1[j])  # 0, or nan
        size = w * h if (w >= zero) & (h >= zero) & (infinite == zero) else nan
        area[j] = size
        wild = np.int32(wild | np.int32((size > high) | ((size < low) & (size > zero))))
    for j in range(n, (n + LANES - 1) // LANES * LANES):
        area[j] = nan
    if angles:
        scale = tile.dtype.type(TWO_OVER_PI)
        for j in range(n):
            tile[5, j] = scale * tile.dtype.type(math.atan(ratio(x1[j] - x0[j], y1[j] - y0[j])))
    return wild == 0


@device
def spans(starts_a, starts_b, skip, image, first, last):
    """Visit rows [first, last) of a: rows [lo, hi) of one image with its columns [s, e), a tile at most.

    `image` holds the first row; images marked in `skip` are left out. What is packed is left to the visitor: a
    generator that held arrays of boxes between visits would cost 150 ns each time.
    """
    g = image
    while g < starts_a.size - 1 and starts_a[g] < last:
        for s in range(starts_b[g], starts_b[g] if skip[g] else starts_b[g + 1], COLS):
            yield g, max(starts_a[g], first), min(starts_a[g + 1], last), s, min(s + COLS, starts_b[g + 1])
        g += 1
