"""Points on a grid, and the window of columns and rows of each level in which a truth's candidates lie.

A grid is the table of levels, the steps of each level, the strides, the first level of each image, and the offset. A
level is the numbers of its columns and rows and its first point; an image has one level for each stride. An axis is the
number of columns or rows, the offset, the step, and one over the step. Both ends of an interval are monotonic tests of
a column, so that a product guesses the window, and the exact test in the boxes' own dtype moves its ends.

Functions of one level take numbers alone. An array costs eight arguments of a call and the count of its references, and
no value that is read from an array stays in a register while references are counted.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.point_codes import AT_CENTRE, AT_CENTRE_INSIDE, ROUND_CENTRE, WIDENED
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.geometry.extremes import valid
from fastbox.kernels.geometry.formulas import Box, larger, smaller
from fastbox.kernels.geometry.pack import corners_of

COLUMNS, ROWS, FIRST = range(3)  # of a level
STEP_X, STEP_Y, PER_STEP_X, PER_STEP_Y = range(4)  # of its steps


@inlined
def level_at(levels, steps, offset, at):
    """Return the axis of columns of a level, the axis of rows, and the first point."""
    across = levels[at, COLUMNS], offset, steps[at, STEP_X], steps[at, PER_STEP_X]
    down = levels[at, ROWS], offset, steps[at, STEP_Y], steps[at, PER_STEP_Y]
    return across, down, levels[at, FIRST]


@device
def points_of(levels, last):
    """Return the number of points of an image, given its last level."""
    return levels[last, FIRST] + levels[last, COLUMNS] * levels[last, ROWS]


@device
def coordinate(axis, c, like):
    """Return the x of a column or the y of a row, which is float32, in the dtype of another number."""
    _, offset, step, _ = axis
    return type(like)((np.float32(c) + offset) * step)


@device
def place_of(levels, steps, offset, first, last, p, like):
    """Return x, y and the level of a point, given the first and the last level of its image."""
    at = last
    while at > first and p < levels[at, FIRST]:
        at -= 1
    across, down, begin = level_at(levels, steps, offset, at)
    row = (p - begin) // across[0]
    return coordinate(across, p - begin - row * across[0], like), coordinate(down, row, like), at


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
def widened(x0, y0, x1, y1, floor, to):
    """Return a box through its centre and sides, sides below the floor widened: ultralytics' candidate box."""
    two = type(x0)(2)
    x, y, w, h = (x0 + x1) / two, (y0 + y1) / two, x1 - x0, y1 - y0
    w, h = (to if w < floor else w) / two, (to if h < floor else h) / two
    return x - w, y - h, x + w, y + h


@device
def candidate_box(truth, shape):
    """Return the box that a truth's candidates lie in: the truth, or its widened box."""
    if shape[0] == WIDENED:
        x0, y0, x1, y1 = truth
        return widened(x0, y0, x1, y1, shape[2], shape[3])
    return truth


@inlined
def window(axis, low, high, margin):
    """Return the first and the last of the columns that lie more than a margin behind low and before high."""
    n, offset, _, per_step = axis
    T = type(low)
    zero, most, per, ahead = T(0), T(n), T(per_step), T(1) - T(offset)
    i = np.int64(smaller(larger(low * per + ahead, zero), most))
    j = np.int64(smaller(larger(high * per + ahead, zero), most))
    while i > 0 and coordinate(axis, i - 1, low) - low > margin:
        i -= 1
    while i < n and not coordinate(axis, i, low) - low > margin:
        i += 1
    while j > 0 and not high - coordinate(axis, j - 1, low) > margin:
        j -= 1
    while j < n and high - coordinate(axis, j, low) > margin:
        j += 1
    return i, max(i, j)


@device
def bounds(low, high, radius, mode):
    """Return the ends of the interval in which candidates of a side from low to high lie."""
    centre = (low + high) / type(low)(2)
    if mode == AT_CENTRE:
        return centre - radius, centre + radius
    if mode == ROUND_CENTRE:  # the distance is rounded, not the ends: half a radius more, then its own test
        radius += radius / type(low)(2)
    elif mode != AT_CENTRE_INSIDE:
        return low, high
    return larger(centre - radius, low), smaller(centre + radius, high)


@device
def stretch(axis, low, high, radius, mode, margin):
    """Return the first and the last of the columns that are candidates of a side from low to high."""
    a, b = bounds(low, high, radius, mode)
    if not a < b:
        return 0, 0
    i, j = window(axis, a, b, margin)
    if mode == ROUND_CENTRE:
        centre = (low + high) / type(low)(2)
        while i < j and not abs(coordinate(axis, i, low) - centre) < radius:
            i += 1
        while i < j and not abs(coordinate(axis, j - 1, low) - centre) < radius:
            j -= 1
    return i, j


@device
def in_window(across, down, box, around, mode, margin):
    """Return the rows and columns of a level in which a truth's candidates lie: first row, last, first column, last."""
    x0, y0, x1, y1 = box
    left, right = stretch(across, x0, x1, around, mode, margin)
    if left == right:
        return 0, 0, 0, 0
    top, bottom = stretch(down, y0, y1, around, mode, margin)
    return top, bottom, left, right


@device
def list_candidates(grid, image, box, shape, points):
    """List the candidates of a truth; return their number."""
    levels, steps, strides, images, offset = grid
    n = 0
    for k in range(strides.size):
        across, down, begin = level_at(levels, steps, offset, images[image] + k)
        top, bottom, left, right = in_window(across, down, box, shape[1] * strides[k], shape[0], shape[4])
        for row in range(top, bottom):
            for p in range(begin + row * across[0] + left, begin + row * across[0] + right):
                points[np.uint64(n)] = p
                n += 1
    return n


@device
def farther(x, low, high):
    """Return the distance of a column to the farther end of a side."""
    return larger(x - low, high - x)


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
def within_reach(axis, i, j, low, high, most, strict):
    """Return the first and the last of some columns whose farther end is at most so far; `strict`: nearer than that.

    The distance rises to both sides: where both ends are near enough, all columns are.
    """
    if i < j and (
        too_far(coordinate(axis, i, low), low, high, most, strict)
        or too_far(coordinate(axis, j - 1, low), low, high, most, strict)
    ):
        slack = type(most)(1)  # ends may be included: a pixel more, then the exact test
        a, b = high - most - slack, low + most + slack
        first, last = window(axis, a, b, type(most)(0)) if a < b else (0, 0)
        i, j = max(i, first), min(j, last)
        while i < j and too_far(coordinate(axis, i, low), low, high, most, strict):
            i += 1
        while i < j and too_far(coordinate(axis, j - 1, low), low, high, most, strict):
            j -= 1
    return i, max(i, j)


@device
def range_of(ranges, k):
    """Return the least and the greatest distance of a level's points to the farthest side of their truths."""
    endless = ranges.dtype.type(np.inf)
    return (ranges[k, 0], ranges[k, 1]) if ranges.shape[0] else (-endless, endless)


@device
def in_range(across, down, box, around, limits, shape):
    """Return what in_window does, without the points that are too far from a side of their truth.

    A truth with a side of more than twice the greatest distance has no candidate, nor has a truth without a side of
    the least distance.

    Parameters
    ----------
    limits
        The least and the greatest distance of the level, as range_of has them.
    shape
        Of a rule: the mode, the radius in strides, a floor of sides and its replacement, the margin, and whether
        limits are strict.
    """
    x0, y0, x1, y1 = box
    least, most = limits
    side = larger(x1 - x0, y1 - y0)
    if side < least or side / type(side)(2) > most:
        return 0, 0, 0, 0
    top, bottom, left, right = in_window(across, down, box, around, shape[0], shape[4])
    if most < type(most)(np.inf):
        left, right = within_reach(across, left, right, x0, x1, most, shape[5])
        top, bottom = within_reach(down, top, bottom, y0, y1, most, shape[5])
    return top, bottom, left, right


def grid_type(t):
    return group(vector(i8, 2), vector(types.float32, 2), vector(t), vector(i8), types.float32)


def truths_type(t):
    return group(side(t), readonly(i8))


def shape_type(t):
    return group(i8, t, t, t, t, types.boolean)
