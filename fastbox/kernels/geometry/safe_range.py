"""The range of boxes in which plain formulas neither overflow nor underflow, and of areas that may be screened."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import multiply_add, ordered_bits, ordered_bits_less_one, ordered_view
from fastbox.kernels.build.device import apart, device, inlined
from fastbox.kernels.build.stack import stack_array, stack_columns
from fastbox.kernels.build.transpose import WIDE, all_within, rows_to_lanes
from fastbox.kernels.geometry.formulas import Box, larger, smaller

# A box is safe if on each axis the coordinate farthest from the origin is the origin or between these, in pixels: then
# no square and no product of sides leaves float32, neither of the box nor of its hull with another safe box.
LEAST, MOST = 2.0**-38, 2.0**60

# A box is ordinary if neither side is below LEAST_SIDE, and its area and the squares of x1 and y1, added to those of
# the boxes beside it, are not above MOST_TOTAL. Then no side is above MOST_TOTAL / LEAST_SIDE, and the box is safe: a
# test of less than half of the instructions, which nearly all boxes pass, but none without an area.
LEAST_SIDE, MOST_TOTAL = 2.0**-14, 2.0**44

# An area is screenable if it is 0 or between these, in square pixels: far enough from both ends of float32 that a
# product of two areas is rounded by no more than its last bit, which the screens without division rely on.
LEAST_SCREENABLE, MOST_SCREENABLE = 2.0**-60, 2.0**60


@device
def safe_area(x0, y0, x1, y1):
    """Compute the area of a box; nan if the box is invalid or not safe."""
    zero, least, most, nan = type(x0)(0), type(x0)(LEAST), type(x0)(MOST), type(x0)(np.nan)
    w, h = x1 - x0, y1 - y0
    x, y = larger(-x0, x1), larger(-y0, y1)
    safe = ((x >= least) | (x == zero)) & ((y >= least) | (y == zero)) & (x <= most) & (y <= most)
    return w * h if (w >= zero) & (h >= zero) & safe else nan


@inlined
def box(x0, y0, x1, y1, angle):
    """Return a box with its area, nan if the box is invalid or not safe."""
    return Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), angle)


@device
def is_screenable(area):
    """Return whether an area above 0 is screenable; nan is not."""
    return (area >= type(area)(LEAST_SCREENABLE)) & (area <= type(area)(MOST_SCREENABLE))


@device
def empty_range(zero):
    """Return the highest and the lowest bits of no box."""
    return ordered_bits(zero), ordered_bits_less_one(zero)


@device
def widen_range(top, low, x0, y0, x1, y1):
    """Return the highest and the lowest bits of sides and farthest coordinates, with one more box."""
    x, y = larger(-x0, x1), larger(-y0, y1)
    top = larger(
        larger(top, larger(ordered_bits(x1 - x0), ordered_bits(y1 - y0))), larger(ordered_bits(x), ordered_bits(y))
    )
    return top, smaller(low, smaller(ordered_bits_less_one(x), ordered_bits_less_one(y)))


@device
def all_safe(top, low, zero):
    """Return whether all boxes of a range are valid and safe; if not, every box needs a test."""
    return (top <= ordered_bits(type(zero)(MOST))) & (low >= ordered_bits_less_one(type(zero)(LEAST)))


@inlined
def start_ranges(tops, lows, zero):
    """Make each lane of highest and lowest bits the range of no box."""
    for j in range(len(tops)):
        tops[j], lows[j] = empty_range(zero)


@inlined
def are_safe(tops, lows, zero):
    """Return whether all boxes of all lanes are valid and safe."""
    least, most = ordered_bits_less_one(type(zero)(LEAST)), ordered_bits(type(zero)(MOST))
    return all_within(lows, least, tops, most)


@inlined
def are_screenable(tops, lows, zero):
    """Return whether all areas of all lanes are screenable, or 0."""
    least, most = ordered_bits_less_one(type(zero)(LEAST_SCREENABLE)), ordered_bits(type(zero)(MOST_SCREENABLE))
    return all_within(lows, least, tops, most)


@device
def widen_ordinary(low, total, box):
    """Return the shortest side, and the sum of areas and squares, with one more box."""
    w, h = box.x1 - box.x0, box.y1 - box.y0
    return smaller(smaller(w, h), low), total + multiply_add(box.x1, box.x1, multiply_add(box.y1, box.y1, w * h))


@inlined
def widen_lane(lows, totals, lane, a, b):
    """Take two more boxes into a lane of shortest sides and of sums."""
    low, total = widen_ordinary(lows[lane], totals[lane], a)
    lows[lane], totals[lane] = widen_ordinary(low, total, b)


@inlined
def start_ordinary(lows, totals):
    """Make each lane of shortest sides and of sums that of no box."""
    for j in range(len(lows)):
        lows[j], totals[j] = lows.dtype.type(1), totals.dtype.type(0)


@inlined
def are_ordinary(lows, totals):
    """Return whether all boxes of all lanes are ordinary; if not, they may be safe nevertheless."""
    return all_within(lows, lows.dtype.type(LEAST_SIDE), totals, totals.dtype.type(MOST_TOTAL))


@apart
def are_rows_safe(rows, first, last):
    """Return whether all boxes of rows of corners, whole times WIDE, are valid and safe."""
    x0, y0, x1, y1 = stack_columns(rows, WIDE)
    bits, zero = ordered_view(x0), x0.dtype.type(0)
    tops, lows = stack_array(bits, WIDE), stack_array(bits, WIDE)
    start_ranges(tops, lows, zero)
    for s in range(first, last, WIDE):
        rows_to_lanes(rows, s, (x0, y0, x1, y1), 0)
        for j in range(WIDE):
            tops[j], lows[j] = widen_range(tops[j], lows[j], x0[j], y0[j], x1[j], y1[j])
    return are_safe(tops, lows, zero)


@apart
def are_columns_safe(columns):
    """Return whether all boxes of columns of corners are valid and safe."""
    x0, y0, x1, y1 = columns
    zero = x0.dtype.type(0)
    top, low = empty_range(zero)
    for j in range(x0.size):
        top, low = widen_range(top, low, x0[j], y0[j], x1[j], y1[j])
    return all_safe(top, low, zero)
