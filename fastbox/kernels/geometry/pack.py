"""Packing: boxes of any format, stride or dtype become a tile of corners and areas in the first-level cache.

A tile is an array of six rows, x0, y0, x1, y1, area and angle, and often a seventh for values. Compiled functions pack
boxes at most COLS at a time, and measure the tile.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import ordered_bits, ordered_bits_less_one, ordered_view
from fastbox.kernels.build.device import apart, device, inlined
from fastbox.kernels.build.nontemporal import copy_lanes, copy_line, moved, per_line
from fastbox.kernels.build.stack import stack_array, stack_columns
from fastbox.kernels.build.transpose import (
    WIDE,
    are_whole,
    fill_from,
    row_stride,
    rows_apart_to_columns,
    rows_to_columns,
)
from fastbox.kernels.codes import CXCYWH, LANES, XYWH, XYXY, YXYX
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.extremes import valid
from fastbox.kernels.geometry.formulas import Box, larger, smaller
from fastbox.kernels.geometry.safe_range import (
    LEAST_SCREENABLE,
    MOST_SCREENABLE,
    are_safe,
    are_screenable,
    safe_area,
    start_ranges,
    widen_range,
)

COLS = 1024  # boxes of b packed together: six rows of float64 are 48 KiB

# With a constant count of LANES the compiler turns boxes measured side by side into whole vector registers, whatever
# their width. A tile is filled up to whole lanes with invalid boxes, so that such loops have no remainder.


@device
def whole_lanes(n):
    """Return the least multiple of LANES from n on."""
    return (n + LANES - 1) // LANES * LANES


@device
def box_at(tile, j):
    """Return the j-th box of a tile."""
    return Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j])


@inlined
def corners_of(arrangement, p, q, r, s):
    """Convert the four numbers of a box in some format to its corners."""
    half = type(p)(0.5)
    if arrangement == XYWH:
        r, s = p + r, q + s
    elif arrangement == CXCYWH:
        w, h = half * r, half * s
        p, q, r, s = p - w, q - h, p + w, q + h
    elif arrangement == YXYX:
        p, q, r, s = q, p, s, r
    return p, q, r, s


@inlined
def columns_to_corners(arrangement, n, x0, y0, x1, y1):
    """Convert n boxes in some format, given as four columns, to corners in place.

    The branch on the format stands around the loop: in the loop it would block vectorisation.
    """
    if arrangement == XYWH:
        for j in range(n):
            x0[j], y0[j], x1[j], y1[j] = corners_of(XYWH, x0[j], y0[j], x1[j], y1[j])
    elif arrangement == CXCYWH:
        for j in range(n):
            x0[j], y0[j], x1[j], y1[j] = corners_of(CXCYWH, x0[j], y0[j], x1[j], y1[j])
    elif arrangement == YXYX:
        for j in range(n):
            x0[j], y0[j], x1[j], y1[j] = corners_of(YXYX, x0[j], y0[j], x1[j], y1[j])


@device
def write_angles(n, tile):
    """Write the angle of each box's diagonal, which CIoU compares."""
    for j in range(n):
        tile[5, j] = aspect(tile[2, j] - tile[0, j], tile[3, j] - tile[1, j])


@device
def clear_invalid(n, tile):
    """Make all numbers of invalid boxes nan, so that every value with an invalid box is nan.

    Returns whether the areas of the other boxes are screenable.
    """
    zero, nan = tile.dtype.type(0), tile.dtype.type(np.nan)
    low, high = tile.dtype.type(LEAST_SCREENABLE), tile.dtype.type(MOST_SCREENABLE)
    screenable = True
    for j in range(n):
        size = safe_area(tile[0, j], tile[1, j], tile[2, j], tile[3, j])
        tile[4, j] = size
        if size != size:
            if valid(Box(tile[0, j], tile[1, j], tile[2, j], tile[3, j], size, size)):
                screenable = False
            else:
                tile[0, j], tile[1, j], tile[2, j], tile[3, j] = nan, nan, nan, nan
        elif (size > high) | ((size < low) & (size > zero)):
            screenable = False
    return screenable


@apart
def gather(boxes, first, n, whole, tile):
    """Write the corners of n boxes in any layout and format to a tile; the boxes behind, or points, fill it up."""
    arrangement, p, q, r, s = boxes
    zero = tile.dtype.type(0)
    x0, y0, x1, y1 = tile[0], tile[1], tile[2], tile[3]
    stride = row_stride(p, q, r, s)
    if first + whole <= p.size and stride == 4 * p.itemsize:
        for j in range(0, whole, WIDE):
            rows_to_columns(p, first + j, (x0, y0, x1, y1), j)
    elif first + whole <= p.size and stride != 0:
        for j in range(0, whole, WIDE):
            rows_apart_to_columns(p, first + j, (x0, y0, x1, y1), j)
    elif first + whole <= p.size and are_whole(p, q, r, s):
        for j in range(0, whole, per_line(x0)):
            copy_line(x0, j, p, first + j)
            copy_line(y0, j, q, first + j)
            copy_line(x1, j, r, first + j)
            copy_line(y1, j, s, first + j)
    else:
        for j in range(n):
            k = np.uint64(first + j)  # unsigned: no test for an index from the end
            x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
        for j in range(n, whole):
            x0[j], y0[j], x1[j], y1[j] = zero, zero, zero, zero
    columns_to_corners(arrangement, whole, x0, y0, x1, y1)


@inlined
def pack(boxes, first, last, tile):
    """Write boxes [first, last) to a tile as corners and area.

    The area is nan if :func:`~fastbox.kernels.geometry.safe_range.safe_area` says so, and so are the corners of an
    invalid box. Returns whether all areas of valid boxes are screenable.
    """
    return pack_usual(boxes, first, last, LANES, tile) or clear_invalid(last - first, tile)


@inlined
def pack_usual(boxes, first, last, lanes, tile):
    """Write boxes to a tile, and fill it up to a multiple of a number of lanes with invalid boxes.

    Returns whether all boxes are valid, safe and screenable; otherwise the tile is not ready.
    """
    tile = moved(tile, 0)  # without an owner, whose references would be counted
    arrangement, p, q, r, s = boxes
    n, zero, nan = last - first, tile.dtype.type(0), tile.dtype.type(np.nan)
    whole = (n + lanes - 1) // lanes * lanes  # not by a call: a loop up to the result of a call would keep a remainder
    rows = arrangement == XYXY and first + whole <= p.size and row_stride(p, q, r, s) == 4 * p.itemsize
    if not rows:
        gather(boxes, first, n, whole, tile)
    # Made here, for then the compiler knows that these overlap neither each other nor the tile.
    x0, y0, x1, y1 = stack_columns(tile, WIDE)
    area, bits = stack_array(tile, WIDE), ordered_view(tile)
    tops, lows, least = stack_array(bits, WIDE), stack_array(bits, WIDE), stack_array(bits, WIDE)
    start_ranges(tops, lows, zero)
    start_ranges(tops, least, zero)
    for start in range(0, whole, WIDE):
        if rows:  # the boxes behind the last one are read, and made invalid
            rows_to_columns(p, first + start, (x0, y0, x1, y1), 0)
        else:
            read_columns(tile, start, x0, y0, x1, y1)
        for lane in range(WIDE):
            size = (x1[lane] - x0[lane]) * (y1[lane] - y0[lane])
            tops[lane], lows[lane] = widen_range(tops[lane], lows[lane], x0[lane], y0[lane], x1[lane], y1[lane])
            tops[lane] = larger(tops[lane], ordered_bits(size))
            least[lane] = smaller(least[lane], ordered_bits_less_one(size))
            area[lane] = size
        fill_from(x0, n - start, nan)
        fill_from(area, n - start, nan)
        copy_lanes(tile[0], start, x0)
        copy_lanes(tile[1], start, y0)
        copy_lanes(tile[2], start, x1)
        copy_lanes(tile[3], start, y1)
        copy_lanes(tile[4], start, area)
    return are_safe(tops, lows, zero) and are_screenable(tops, least, zero)


@device
def pack_few(boxes, first, last, tile):
    """Write boxes to a tile as :func:`pack` does, one by one, and none behind them.

    For few boxes, each of which is compared with many: the kernel that assigns a grid compiles a second sooner.
    """
    arrangement, p, q, r, s = boxes
    for j in range(last - first):
        k = np.uint64(first + j)
        tile[0, j], tile[1, j], tile[2, j], tile[3, j] = corners_of(arrangement, p[k], q[k], r[k], s[k])
    return clear_invalid(last - first, tile)


@inlined
def pack_usual_with_angles(boxes, first, last, lanes, tile):
    """Write boxes to a tile as :func:`pack_usual` does, and their angles."""
    usual = pack_usual(boxes, first, last, lanes, tile)
    write_angles(last - first, tile)
    return usual


@inlined
def read_columns(tile, start, x0, y0, x1, y1):
    """Read the corners of WIDE boxes of a tile."""
    for line in range(0, WIDE, per_line(x0)):
        copy_line(x0, line, tile[0], start + line)
        copy_line(y0, line, tile[1], start + line)
        copy_line(x1, line, tile[2], start + line)
        copy_line(y1, line, tile[3], start + line)


@inlined
def pack_with_angles(boxes, first, last, tile):
    """Write boxes to a tile as :func:`pack` does, and their angles, for a metric that compares them."""
    screenable = pack(boxes, first, last, tile)
    write_angles(last - first, tile)
    return screenable


@device
def tile_ranges(starts_a, starts_b, skip, image, first, last):
    """Visit rows [first, last) of a: rows [lo, hi) of one image with its columns [s, e), a tile of columns at most.

    `image` holds the first row; images marked in `skip` are left out. The visitor packs: a generator that held arrays
    of boxes between visits, or its arguments in tuples, would cost 100 to 150 ns each time.
    """
    g = image
    while g < starts_a.size - 1 and starts_a[g] < last:
        for s in range(starts_b[g], starts_b[g] if skip[g] else starts_b[g + 1], COLS):
            yield g, max(starts_a[g], first), min(starts_a[g + 1], last), s, min(s + COLS, starts_b[g + 1])
        g += 1
