"""Sources of candidates, and a grid of anchors as one; boxes are another, in :mod:`~fastbox.kernels.assign.blocks`.

A source offers an image's parts; of a part the window of rows and columns that can exceed a value; and one row of the
window measured, whose k-th value belongs to anchor `number + k * step`. A grid's parts are its planes, one shape on one
level: a plane is the product of its columns and rows, so a window is found by halving, and only windows are measured.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.codes import BY_ANCHOR, BY_UNION
from fastbox.kernels.compare.measure import VALUES
from fastbox.kernels.geometry.elementary import epsilon
from fastbox.kernels.geometry.extremes import iof_of, iou_of
from fastbox.kernels.geometry.formulas import Box, larger, ratio, smaller
from fastbox.kernels.geometry.safe_range import safe_area

UNCLAIMED, DISREGARDED = -1, -2  # in place of the truth that claims an anchor

# A grid. Planes: the number of the first anchor, the step to the next in its row, rows, columns, and where its columns
# and rows lie in xs and ys, which hold low ends, then high ends. Extents: greatest width and height, smallest area.
NUMBER, STEP, ROWS, COLUMNS, X, Y = range(6)
WIDTH, HEIGHT, AREA = range(3)
OVERLAP, BREADTH = range(2)  # the rows of the work space that columns are written to


@device
def share(anchor, truth, divisor, plain):
    """Return the plain value, or if a box is not safe, the value computed as if exponents had no end."""
    if anchor.area == anchor.area and truth.area == truth.area:
        return plain
    zero = type(plain)(0)
    if divisor == BY_UNION:
        return iou_of(anchor, truth, zero)
    return iof_of(anchor, truth, zero) if divisor == BY_ANCHOR else iof_of(truth, anchor, zero)


@device
def grid_open(source, image, before, screenable, work):
    """Return the number of anchors of an image, the bounds of their parts, and whether areas are screenable."""
    tables, counts, screens, which = source[4], source[5], source[6], source[7]
    k = which[image]
    return counts[k], tables[k], tables[k + 1], screens[k] != 0


@device
def span(ends, first, last, low, high, need):
    """Find the intervals of [first, last), in order, that share more than 0 and at least `need` with another one."""
    zero = type(need)(0)
    left, right = first, last
    while left < right:
        middle = (left + right) >> 1
        shared = smaller(ends[1, middle], high) - low
        if shared > zero and shared >= need:
            right = middle
        else:
            left = middle + 1
    begin, right = left, last
    while left < right:
        middle = (left + right) >> 1
        shared = high - larger(ends[0, middle], low)
        if shared > zero and shared >= need:
            left = middle + 1
        else:
            right = middle
    return begin, left


@device
def write_columns(xs, left, right, one, work):
    """Write the widths of columns of anchors, and those that they share with a truth."""
    zero = type(one.x0)(0)
    for k in range(right - left):
        c = np.uint64(left + k)
        shared = smaller(xs[1, c], one.x1) - larger(xs[0, c], one.x0)
        work[OVERLAP, k] = shared if shared > zero else zero
        work[BREADTH, k] = xs[1, c] - xs[0, c]


@device
def grid_window(source, part, n, one, below, screenable, work):
    """Find the rows and columns of a plane that can exceed a value, and measure the columns.

    iou > t needs an intersection above t / (1 + t) * (area + area), whose sides are no longer than the shorter of truth
    and anchor. Rounding is monotonic, so the ends of two intervals bound their common part exactly; the slack is for
    the products. An unordered comparison prunes nothing.
    """
    planes, extents, xs, ys = source[0], source[1], source[2], source[3]
    T = type(below)
    zero, unit = T(0), T(1)
    w = smaller(one.x1 - one.x0, extents[part, WIDTH])
    h = smaller(one.y1 - one.y0, extents[part, HEIGHT])
    if not (w > zero and h > zero):
        return 0, 0, 0, 0
    need = zero
    if screenable and below >= T(2.0**-10):
        slack = unit - T(16) * epsilon(unit)
        need = slack * (below / (unit + below)) * (extents[part, AREA] + one.area)
        if w * h < need:
            return 0, 0, 0, 0
    x, y = planes[part, X], planes[part, Y]
    left, right = span(xs, x, x + planes[part, COLUMNS], one.x0, one.x1, need / h)
    if left == right:
        return 0, 0, 0, 0
    top, bottom = span(ys, y, y + planes[part, ROWS], one.y0, one.y1, need / w)
    if top == bottom:
        return 0, 0, 0, 0
    write_columns(xs, left, right, one, work)
    return top - y, bottom - y, left - x, right - x


@device
def grid_box(xs, ys, x, y, work):
    x0, y0, x1, y1 = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
    return Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), x0)


@device
def grid_extremes(xs, ys, x, y, n, one, divisor, work):
    """Write again the values of the boxes of a row that are beyond the safe range."""
    for k in range(n):
        work[VALUES, k] = share(grid_box(xs, ys, x + k, y, work), one, divisor, work[VALUES, k])


@inlined
def grid_row(source, part, row, left, right, one, below, screenable, divisor, work):
    """Measure one row of a window.

    Returns its first anchor, the step to the next, where its values begin, and their number.
    """
    planes, ys = source[0], source[3]
    zero = type(below)(0)
    y = planes[part, Y] + row
    shared = smaller(ys[1, y], one.y1) - larger(ys[0, y], one.y0)
    h = shared if shared > zero else zero
    tall = ys[1, y] - ys[0, y]
    n = right - left
    if divisor == BY_UNION:
        for k in range(n):
            inter = work[OVERLAP, k] * h
            work[VALUES, k] = ratio(inter, work[BREADTH, k] * tall + one.area - inter)
    elif divisor == BY_ANCHOR:
        for k in range(n):
            work[VALUES, k] = ratio(work[OVERLAP, k] * h, work[BREADTH, k] * tall)
    else:
        for k in range(n):
            work[VALUES, k] = ratio(work[OVERLAP, k] * h, one.area)
    if not screenable:
        grid_extremes(source[2], ys, planes[part, X] + left, y, n, one, divisor, work)
    step = planes[part, STEP]
    return planes[part, NUMBER] + (row * planes[part, COLUMNS] + left) * step, step, 0, n


@device
def grid_upper_bound(source, part, one):
    """Return the highest IoU that an anchor of a plane could have, wherever it lay."""
    extents = source[1]
    w = smaller(one.x1 - one.x0, extents[part, WIDTH])
    h = smaller(one.y1 - one.y0, extents[part, HEIGHT])
    return ratio(w * h, extents[part, AREA] + one.area - w * h)


@device
def grid_levels(source):
    """Return the number of anchors of each level of each table, the table of each image, and ATSS's k."""
    return source[8], source[7], source[9]


@device
def grid_anchor(source, image, number, work):
    planes, xs, ys = source[0], source[2], source[3]
    part = source[4][source[7][image]]
    while number >= planes[part, NUMBER] + planes[part, STEP] * planes[part, ROWS] * planes[part, COLUMNS]:
        part += planes[part, STEP]  # as many planes as a level has shapes
    cell, shape = divmod(number - planes[part, NUMBER], planes[part, STEP])
    row, column = divmod(cell, planes[part, COLUMNS])
    x, y = planes[part + shape, X] + column, planes[part + shape, Y] + row
    return grid_box(xs, ys, x, y, work)


@device
def grid_exclude(n, claimer, touched, work):
    """Mark the invalid anchors, none in a grid; return their number."""
    return 0


@device
def all_at_once(begin, end):
    """Return how many parts truths go over together: all, for those of the likeliest part exclude most others."""
    return max(end - begin, 1)


GRID = {
    "WORK": VALUES + 1,
    "opened": grid_open,
    "parts_at_once": all_at_once,
    "window": grid_window,
    "measure": grid_row,
    "upper_bound": grid_upper_bound,
    "anchor_of": grid_anchor,
    "levels_of": grid_levels,
    "exclude": grid_exclude,
}
