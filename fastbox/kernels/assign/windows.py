"""Points on a grid, and the window of columns and rows of each level in which a truth's candidates lie.

A grid is the x of all columns, the y of all rows, the table of its levels, their strides, and the first level of each
image. A level is where its columns begin, their number, where its rows begin, their number, and its first point; an
image has one level for each stride. Both ends of an interval are monotonic tests of a column, so that the
window comes from one division, and the exact test in the boxes' own dtype moves its ends by a place at most.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.point_codes import AT_CENTRE, AT_CENTRE_INSIDE, ROUND_CENTRE
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.geometry.extremes import valid
from fastbox.kernels.geometry.formulas import Box, larger, smaller
from fastbox.kernels.geometry.pack import corners_of

X, COLUMNS, Y, ROWS, FIRST = range(5)  # of a level


@device
def level_at(grid, image, k):
    """Return where the columns of a level begin, their number, where its rows begin, their number, its first point."""
    levels, row = grid[2], grid[4][image] + k
    return levels[row, X], levels[row, COLUMNS], levels[row, Y], levels[row, ROWS], levels[row, FIRST]


@device
def points_of(grid, image):
    """Return the number of points of an image."""
    _, columns, _, rows, first = level_at(grid, image, grid[3].size - 1)
    return first + columns * rows


@device
def place_of(grid, image, p):
    """Return x, y and the number of the level of a point."""
    xs, ys = grid[0], grid[1]
    k = grid[3].size - 1
    while k > 0 and p < grid[2][grid[4][image] + k, FIRST]:
        k -= 1
    x, columns, y, _, first = level_at(grid, image, k)
    row = (p - first) // columns
    return xs[x + (p - first) - row * columns], ys[y + row], k


@inlined
def corners_at(boxes, j):
    """Return the corners of the j-th box, nan for an invalid one."""
    arrangement, p, q, r, s = boxes
    x0, y0, x1, y1 = corners_of(arrangement, p[j], q[j], r[j], s[j])
    if valid(Box(x0, y0, x1, y1, x0, x0)):
        return x0, y0, x1, y1
    nan = type(x0)(np.nan)
    return nan, nan, nan, nan


@device
def window(values, begin, n, low, high, margin):
    """Return the first and the last of n columns that lie more than a margin behind low and before high."""
    if not low < high:
        return 0, 0
    origin = np.float64(values[begin])
    step = np.float64(values[begin + 1]) - origin if n > 1 else 1.0
    most = np.float64(n)
    i = np.int64(min(max((np.float64(low) - origin) / step + 1.0, 0.0), most))
    j = np.int64(min(max((np.float64(high) - origin) / step, 0.0), most))
    while i > 0 and values[begin + i - 1] - low > margin:
        i -= 1
    while i < n and not values[begin + i] - low > margin:
        i += 1
    while j < n and high - values[begin + j] > margin:
        j += 1
    while j > 0 and not high - values[begin + j - 1] > margin:
        j -= 1
    return (i, j) if i < j else (0, 0)


@device
def widened(x0, y0, x1, y1, floor, to):
    """Return a box through its centre and sides, sides below the floor widened: ultralytics' candidate box."""
    two = type(x0)(2)
    x, y, w, h = (x0 + x1) / two, (y0 + y1) / two, x1 - x0, y1 - y0
    w, h = (to if w < floor else w) / two, (to if h < floor else h) / two
    return x - w, y - h, x + w, y + h


@device
def stretch(values, begin, n, low, high, radius, mode, margin):
    """Return the first and the last of the columns that are candidates of a side from low to high."""
    centre = (low + high) / type(low)(2)
    if mode == AT_CENTRE:
        return window(values, begin, n, centre - radius, centre + radius, margin)
    if mode == AT_CENTRE_INSIDE:
        return window(values, begin, n, larger(centre - radius, low), smaller(centre + radius, high), margin)
    i, j = window(values, begin, n, low, high, margin)
    if mode == ROUND_CENTRE and i < j:  # the distance is rounded, not the ends: one column more, then its own test
        around = radius + radius / type(low)(2)
        a, b = window(values, begin, n, centre - around, centre + around, margin)
        i, j = max(i, a), min(j, b)
        while i < j and not abs(values[begin + i] - centre) < radius:
            i += 1
        while i < j and not abs(values[begin + j - 1] - centre) < radius:
            j -= 1
    return i, j


@device
def farther(x, low, high):
    """Return the distance of a column to the farther end of a side."""
    return larger(x - low, high - x)


@device
def within_reach(values, begin, i, j, low, high, most, strict):
    """Return the first and the last of some columns whose farther end is at most so far; `strict`: nearer than that."""
    if i < j and most < type(most)(np.inf):
        slack = type(most)(1)  # ends may be included: a pixel more, then the exact test
        a, b = window(values, begin, j, high - most - slack, low + most + slack, type(most)(0))
        i, j = max(i, a), min(j, b)
        while i < j and too_far(values[begin + i], low, high, most, strict):
            i += 1
        while i < j and too_far(values[begin + j - 1], low, high, most, strict):
            j -= 1
    return i, max(i, j)


@device
def too_far(x, low, high, most, strict):
    far = farther(x, low, high)
    return not (far < most if strict else far <= most)


@device
def too_near(x, low, high, least, strict):
    """Tell whether both ends of a side are nearer than a bound, or as near where the bound is strict."""
    far = farther(x, low, high)
    return not far > least if strict else far < least


@device
def in_range(grid, image, k, truth, shape, ranges):
    """Return the rows and columns of a level in which a truth's candidates lie: first row, last, first column, last.

    The shape is a rule's: mode, radius in strides, floor and its replacement, margin, and whether the ranges are
    strict. A range is the least and the greatest distance of a point to the farthest side of its truth.
    """
    mode, radius, _, _, margin, strict = shape
    xs, ys, strides = grid[0], grid[1], grid[3]
    x, columns, y, rows, _ = level_at(grid, image, k)
    x0, y0, x1, y1 = truth
    around = radius * strides[k]
    left, right = stretch(xs, x, columns, x0, x1, around, mode, margin)
    if left == right:
        return 0, 0, 0, 0
    top, bottom = stretch(ys, y, rows, y0, y1, around, mode, margin)
    if ranges.shape[0]:
        left, right = within_reach(xs, x, left, right, x0, x1, ranges[k, 1], strict)
        top, bottom = within_reach(ys, y, top, bottom, y0, y1, ranges[k, 1], strict)
    return top, bottom, left, right


def grid_type(t):
    return group(vector(t), vector(t), vector(i8, 2), vector(t), vector(i8))


def truths_type(t):
    return group(side(t), readonly(i8))


def shape_type(t):
    return group(i8, t, t, t, t, types.boolean)
