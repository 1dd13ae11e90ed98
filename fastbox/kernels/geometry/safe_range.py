"""The range of boxes in which plain formulas neither overflow nor underflow, and of areas that may be screened."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import ordered_bits, ordered_bits_less_one
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.transpose import all_within
from fastbox.kernels.geometry.formulas import Box, larger, smaller

# A box is safe if on each axis the coordinate farthest from the origin is the origin or between these, in pixels: then
# no square and no product of sides leaves float32, neither of the box nor of its hull with another safe box.
LEAST, MOST = 2.0**-38, 2.0**60

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
