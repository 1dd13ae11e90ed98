"""Any format, stride or dtype becomes a packed tile in the first-level cache; and the way through all tiles."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.compile import device
from fastbox.kernels.metrics import Box, ratio

XYXY, XYWH, CXCYWH, YXYX = range(4)

# Boxes measured side by side. With a constant count the compiler unrolls them into whole vector registers, whatever
# their width; a tile is filled up to whole lanes with invalid boxes, so that no loop has a remainder.
LANES = 16
COLS = 1024  # boxes of b packed together: six rows of float64 are 48 KiB
TWO_OVER_PI = 2 / math.pi


@device
def at(tile, j):
    return Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j])


@device
def whole_lanes(n):
    return (n + LANES - 1) // LANES * LANES


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
    for j in range(n):
        c0, c1, c2, c3 = p[first + j], q[first + j], r[first + j], s[first + j]
        if arrangement == XYWH:
            c2, c3 = c0 + c2, c1 + c3
        elif arrangement == CXCYWH:
            w, h = half * c2, half * c3
            c0, c1, c2, c3 = c0 - w, c1 - h, c0 + w, c1 + h
        elif arrangement == YXYX:
            c0, c1, c2, c3 = c1, c0, c3, c2
        x0[j], y0[j], x1[j], y1[j] = c0, c1, c2, c3
    for j in range(n, whole_lanes(n)):
        x0[j], y0[j], x1[j], y1[j] = zero, zero, nan, zero
    low, high = tile.dtype.type(2.0**-60), tile.dtype.type(2.0**60)
    wild = np.int32(0)
    for j in range(whole_lanes(n)):
        w, h = x1[j] - x0[j], y1[j] - y0[j]
        infinite = (x0[j] - x0[j]) + (y0[j] - y0[j]) + (x1[j] - x1[j]) + (y1[j] - y1[j])  # 0, or nan
        size = w * h if (w >= zero) & (h >= zero) & (infinite == zero) else nan
        area[j] = size
        wild = np.int32(wild | np.int32((size > high) | ((size < low) & (size > zero))))
    if angles:
        scale = tile.dtype.type(TWO_OVER_PI)
        for j in range(n):
            tile[5, j] = scale * tile.dtype.type(math.atan(ratio(x1[j] - x0[j], y1[j] - y0[j])))
    return wild == 0


@device
def tiles(a, b, starts_a, starts_b, image, first, last, angles, tile_a, tile_b):
    """Visit rows [first, last) of a against all of b in their image, at most LANES rows and COLS columns at a time.

    `image` holds the first row. Both are packed when a visit begins. Yields the image, the rows [i, i + m), the columns
    [s, e) and whether all areas are tame.
    """
    g = image
    while g < starts_a.size - 1 and starts_a[g] < last:
        for s in range(starts_b[g], starts_b[g + 1], COLS):
            e = min(s + COLS, starts_b[g + 1])
            tame_b = pack(b, s, e, angles, tile_b)
            for i in range(max(starts_a[g], first), min(starts_a[g + 1], last), LANES):
                m = min(LANES, min(starts_a[g + 1], last) - i)
                tame_a = pack(a, i, i + m, angles, tile_a)
                yield g, i, m, s, e, tame_a and tame_b
        g += 1
