"""Any format, stride or dtype becomes a packed tile in the first-level cache; and the way through all tiles."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.kernel import device, inlined
from fastbox.kernels.build.transpose import WIDE, beside, split
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.extremes import valid
from fastbox.kernels.geometry.metrics import Box, larger, smaller
from fastbox.kernels.geometry.safe_range import all_usual, nothing_seen, order, order_less_one, seen, usual_area

XYXY, XYWH, CXCYWH, YXYX = range(4)

# Boxes measured side by side. With a constant count the compiler turns them into whole vector registers, whatever their
# width; a tile is filled up to whole lanes with boxes that are invalid, so that such loops have no remainder.
LANES = 32
COLS = 1024  # boxes of b packed together: six rows of float64 are 48 KiB
TAME_LEAST, TAME_MOST = 2.0**-60, 2.0**60  # areas that may be screened


@device
def at(tile, j):
    return Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j])


@device
def turn(n, tile):
    """Write the angle of each box's diagonal, as CIoU has it."""
    for j in range(n):
        tile[5, j] = aspect(tile[2, j] - tile[0, j], tile[3, j] - tile[1, j])


@device
def sort_out(n, tile):
    """Make invalid boxes all nan, so that nothing but that nan comes of them. Say whether the other areas are tame."""
    zero, nan = tile.dtype.type(0), tile.dtype.type(np.nan)
    low, high = tile.dtype.type(TAME_LEAST), tile.dtype.type(TAME_MOST)
    tame = True
    for j in range(n):
        size = usual_area(tile[0, j], tile[1, j], tile[2, j], tile[3, j])
        tile[4, j] = size
        if size != size:
            if valid(Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], size, size)):
                tame = False
            else:
                tile[0, j], tile[1, j], tile[2, j], tile[3, j] = nan, nan, nan, nan
        elif (size > high) | ((size < low) & (size > zero)):
            tame = False
    return tame


@inlined
def pack(boxes, first, last, angles, tile):
    """Write boxes [first, last) as corners, area and, if asked for, angle. Say whether all areas are tame.

    An area is nan where :func:`~fastbox.kernels.geometry.safe_range.usual_area` has it so; so are corners of an
    invalid box.

    An area is tame if it is nan of an invalid box, 0, or between 2^-60 and 2^60: far enough from both ends of float32
    that no product of two of them is rounded by more than its last bit, which is what screening counts on.
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
    whole = (n + LANES - 1) // LANES * LANES
    for j in range(n, whole):
        x0[j], y0[j], x1[j], y1[j] = zero, zero, zero, zero
    top, low = nothing_seen(zero)
    least = low
    for j in range(whole):
        size = (x1[j] - x0[j]) * (y1[j] - y0[j])
        area[j] = size
        top, low = seen(top, low, x0[j], y0[j], x1[j], y1[j])
        top, least = larger(top, order(size)), smaller(least, order_less_one(size))
    plain = all_usual(top, low, zero) and least >= order_less_one(tile.dtype.type(TAME_LEAST))
    tame = plain or sort_out(n, tile)
    for j in range(n, whole):
        x0[j], area[j] = nan, nan
    if angles:
        turn(n, tile)
    return tame


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
