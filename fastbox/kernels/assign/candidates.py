"""Sources of candidates: a grid of anchors, or plain boxes.

A source offers an image's parts; of a part the window of rows and columns that can exceed a value; and one row of the
window measured, whose k-th value belongs to anchor `number + k * step`. A grid's parts are its planes, one shape on one
level: a plane is the product of its columns and rows, so a window is found by halving, and only windows are measured.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.codes import BY_ANCHOR, BY_UNION, NEEDS_IOU
from fastbox.kernels.compare.measure import BLOCK, none_above, screen_terms
from fastbox.kernels.geometry.extremes import iof_of, iou_of
from fastbox.kernels.geometry.formulas import Box, intersection, larger, ratio, smaller
from fastbox.kernels.geometry.pack import box_at, pack, whole_lanes
from fastbox.kernels.geometry.safe_range import safe_area

UNCLAIMED, DISREGARDED = -1, -2  # in place of the truth that claims an anchor
VALUES = 6  # the row of the work space that values are written to, behind a tile's corners, area and angle

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
        slack = unit - T(16) * T(np.finfo(work.dtype).eps)
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
    for k in range(right - left):
        c = np.uint64(left + k)
        shared = smaller(xs[1, c], one.x1) - larger(xs[0, c], one.x0)
        work[OVERLAP, k] = shared if shared > zero else zero
        work[BREADTH, k] = xs[1, c] - xs[0, c]
    return top - y, bottom - y, left - x, right - x


@device
def grid_box(xs, ys, x, y):
    x0, y0, x1, y1 = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
    return Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), x0)


@device
def grid_extremes(xs, ys, x, y, n, one, divisor, work):
    """Write again the values of the boxes of a row that are beyond the safe range."""
    for k in range(n):
        work[VALUES, k] = share(grid_box(xs, ys, x + k, y), one, divisor, work[VALUES, k])


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
    return grid_box(xs, ys, x, y)


@device
def grid_unfold(source, image, before, screenable, work):
    """Pack all anchors of a grid as plain boxes."""
    planes, xs, ys, which = source[0], source[2], source[3], source[7]
    n, begin, end, screenable = grid_open(source, image, before, screenable, work)
    if before >= 0 and which[before] == which[image]:
        return n, 0, 1, screenable
    for part in range(begin, end):
        a = planes[part, NUMBER]
        for y in range(planes[part, Y], planes[part, Y] + planes[part, ROWS]):
            for x in range(planes[part, X], planes[part, X] + planes[part, COLUMNS]):
                x0, y0, x1, y1 = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
                work[0, a], work[1, a], work[2, a], work[3, a] = x0, y0, x1, y1
                work[4, a] = safe_area(x0, y0, x1, y1)
                a += planes[part, STEP]
    return n, 0, 1, screenable


# Plain boxes: the packed anchors of an image are one part, and its rows are blocks of them. `starts` cuts the boxes
# into sets, and `which` says which set each image has.


@device
def boxes_open(source, image, before, screenable, work):
    boxes, starts, which = source[0], source[1], source[2]
    first, last = starts[which[image]], starts[which[image] + 1]
    if before < 0 or which[before] != which[image]:
        screenable = pack(boxes, first, last, False, work)
    return last - first, 0, 1, screenable


@device
def boxes_window(source, part, n, one, below, screenable, work):
    return 0, (n + BLOCK - 1) // BLOCK, 0, n


@device
def boxes_extremes(first, n, one, divisor, work):
    """Write again the values of n boxes from a place on that are beyond the safe range."""
    for j in range(first, first + n):
        work[VALUES, j] = share(box_at(work, j), one, divisor, work[VALUES, j])


@inlined
def boxes_row(source, part, row, left, right, one, below, screenable, divisor, work):
    first = row * BLOCK
    n = min(BLOCK, right - first)
    lanes = whole_lanes(n)
    if screenable:
        least = below if divisor == BY_UNION else type(below)(0)
        p, q = screen_terms(least, type(below)(np.finfo(work.dtype).eps), NEEDS_IOU)
        if none_above(one, p, q, work, first, lanes):
            return first, 1, first, 0
    if divisor == BY_UNION:
        for k in range(lanes):
            j = np.uint64(first + k)
            other = box_at(work, j)
            inter = intersection(other, one)
            work[VALUES, j] = ratio(inter, other.area + one.area - inter)
    else:
        for k in range(lanes):
            j = np.uint64(first + k)
            other = box_at(work, j)
            work[VALUES, j] = ratio(intersection(other, one), other.area if divisor == BY_ANCHOR else one.area)
    if not screenable:
        boxes_extremes(first, n, one, divisor, work)
    return first, 1, first, n


@device
def boxes_levels(source):
    return source[3], source[2], source[4]


@device
def boxes_upper_bound(source, part, one):
    return one.area


@device
def boxes_anchor(source, image, number, work):
    return box_at(work, number)


@device
def grid_exclude(n, claimer, touched, work):
    """Mark the invalid anchors, none in a grid; return their number."""
    return 0


@device
def boxes_exclude(n, claimer, touched, work):
    m = 0
    for a in range(n):
        if work[0, a] != work[0, a]:
            claimer[a] = DISREGARDED
            touched[m] = a
            m += 1
    return m


GRID = {
    "opened": grid_open,
    "window": grid_window,
    "measure": grid_row,
    "upper_bound": grid_upper_bound,
    "anchor_of": grid_anchor,
    "levels_of": grid_levels,
    "exclude": grid_exclude,
}
BOXES = {
    "opened": boxes_open,
    "window": boxes_window,
    "measure": boxes_row,
    "upper_bound": boxes_upper_bound,
    "anchor_of": boxes_anchor,
    "levels_of": boxes_levels,
    "exclude": boxes_exclude,
}
UNFOLDED = {**BOXES, "opened": grid_unfold, "levels_of": grid_levels, "exclude": grid_exclude}
