"""Anchors against truths without the matrix: candidates, their values, the best of both sides, and a label each.

Candidates come from a source: a grid of anchors, whose planes (one shape on one level) are products of columns and
rows, or plain boxes. A source offers parts; of a part a window of rows and columns that can exceed a value; and one row
of the window measured, whose k-th value belongs to anchor `base + k * step`. All else is the same for both.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from fastbox.kernels.compile import Kernel, device, i8, readonly, rebound, side, vector
from fastbox.kernels.metrics import NEEDS_IOU, Box, intersection, iou, larger, ratio, smaller
from fastbox.kernels.reduce import grown, none_above, sought
from fastbox.kernels.tiles import LANES, at, pack

BY_UNION, BY_ANCHOR, BY_TRUTH = range(3)  # what an intersection is divided by
NOBODY, IGNORED = -1, -2  # in place of the truth that claims an anchor
TIES, FIRST, OWN, LAST, AT_ZERO, ALL_NEGATIVE = 1, 2, 4, 8, 16, 32  # what a rule says, as bits


# A grid. Planes: the number of the first anchor, the step to the next in its row, rows, columns, and where its columns
# and rows lie in xs and ys, which hold low ends, then high ends. Extents: greatest width and height, smallest area.
NUMBER, STEP, ROWS, COLUMNS, X, Y = range(6)
WIDTH, HEIGHT, AREA = range(3)
OVERLAP, BREADTH = range(2)  # rows of the work space
VALUES = 6  # and, of every source's, the row of values


@device
def grid_open(source, image, before, tame, work):
    """Say how many anchors an image has, which parts they make, and whether their areas are tame."""
    tables, counts, quiet, which = source[4], source[5], source[6], source[7]
    k = which[image]
    return counts[k], tables[k], tables[k + 1], quiet[k] != 0


@device
def span(ends, first, last, low, high, need):
    """Which of ordered intervals [first, last) can share more than nothing, and at least `need`, with another."""
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
def grid_window(source, part, n, one, below, tame, work):
    """Find the rows and columns of a plane that can exceed a value, and measure the columns.

    iou > t takes an intersection above t / (1 + t) * (area + area), of which neither side can be longer than the
    shorter of truth and anchor. Rounding is monotonic, so the ends of intervals bound what they share exactly; the
    slack is for the products. An unordered comparison prunes nothing.
    """
    planes, extents, xs, ys = source[0], source[1], source[2], source[3]
    T = type(below)
    zero, unit = T(0), T(1)
    w = smaller(one.x1 - one.x0, extents[part, WIDTH])
    h = smaller(one.y1 - one.y0, extents[part, HEIGHT])
    if not (w > zero and h > zero):
        return 0, 0, 0, 0
    need = zero
    if tame and below >= T(2.0**-10):
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
def grid_row(source, part, row, left, right, one, below, tame, divisor, work):
    """Measure one row of a window. Give the first anchor's number, the step to the next, where values begin, how many."""
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
    step = planes[part, STEP]
    return planes[part, NUMBER] + (row * planes[part, COLUMNS] + left) * step, step, 0, n


@device
def grid_promise(source, part, one):
    """The IoU that an anchor of a plane would have if it lay best."""
    extents = source[1]
    w = smaller(one.x1 - one.x0, extents[part, WIDTH])
    h = smaller(one.y1 - one.y0, extents[part, HEIGHT])
    return ratio(w * h, extents[part, AREA] + one.area - w * h)


@device
def grid_shelves(source):
    """How many anchors each level of each table has, which table each image has, and ATSS's k."""
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
    x0, y0, x1, y1 = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), x0)


@device
def grid_unfold(source, image, before, tame, work):
    """Pack all anchors of a grid, as if they were plain boxes."""
    planes, xs, ys, which = source[0], source[2], source[3], source[7]
    n, begin, end, tame = grid_open(source, image, before, tame, work)
    if before >= 0 and which[before] == which[image]:
        return n, 0, 1, tame
    for part in range(begin, end):
        a = planes[part, NUMBER]
        for y in range(planes[part, Y], planes[part, Y] + planes[part, ROWS]):
            for x in range(planes[part, X], planes[part, X] + planes[part, COLUMNS]):
                x0, y0, x1, y1 = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
                work[0, a], work[1, a], work[2, a], work[3, a] = x0, y0, x1, y1
                work[4, a] = (x1 - x0) * (y1 - y0)
                a += planes[part, STEP]
    return n, 0, 1, tame


# Plain boxes: the packed anchors of an image are one part, and its rows are blocks of them. `starts` cuts the boxes
# into sets, and `which` says which set each image has.
BLOCK = 64


@device
def boxes_open(source, image, before, tame, work):
    boxes, starts, which = source[0], source[1], source[2]
    first, last = starts[which[image]], starts[which[image] + 1]
    if before < 0 or which[before] != which[image]:
        tame = pack(boxes, first, last, False, work)
    return last - first, 0, 1, tame


@device
def boxes_window(source, part, n, one, below, tame, work):
    return 0, (n + BLOCK - 1) // BLOCK, 0, n


@device
def boxes_row(source, part, row, left, right, one, below, tame, divisor, work):
    first = row * BLOCK
    n = min(BLOCK, right - first)
    lanes = (n + LANES - 1) // LANES * LANES
    if tame:
        least = below if divisor == BY_UNION else type(below)(0)
        p, q = sought(least, type(below)(np.finfo(work.dtype).eps), NEEDS_IOU)
        if none_above(one, p, q, work, first, lanes):
            return first, 1, first, 0
    for k in range(lanes):
        j = np.uint64(first + k)
        other = at(work, j)
        inter = intersection(other, one)
        if divisor == BY_UNION:
            area = other.area + one.area - inter
        else:
            area = other.area if divisor == BY_ANCHOR else one.area
        work[VALUES, j] = ratio(inter, area)
    return first, 1, first, n


@device
def boxes_shelves(source):
    return source[3], source[2], source[4]


@device
def boxes_promise(source, part, one):
    return one.area


@device
def boxes_anchor(source, image, number, work):
    return at(work, number)


@device
def grid_exclude(n, claimer, touched, work):
    """Mark the anchors that are invalid; a grid has none."""
    return 0


@device
def boxes_exclude(n, claimer, touched, work):
    m = 0
    for a in range(n):
        if work[4, a] != work[4, a]:
            claimer[a] = IGNORED
            touched[m] = a
            m += 1
    return m


# What is done with the values, whatever the source. Kernel binds these anew for each; here they are the grid's.
opened, window, measure, promise = grid_open, grid_window, grid_row, grid_promise
anchor_of, shelves, exclude = grid_anchor, grid_shelves, grid_exclude


def disregard(source, image, n, begin, end, region, most, divisor, tame, claimer, touched, m, work):
    """Mark the anchors of which a region holds a greater share; count them."""
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, region, type(most)(0), tame, work)
        for row in range(top, bottom):
            base, step, offset, width = measure(
                source, part, row, left, right, region, type(most)(0), tame, divisor, work
            )
            for k in range(width):
                if work[VALUES, offset + k] > most:
                    a = base + k * step
                    if claimer[a] == NOBODY:
                        claimer[a] = IGNORED
                        touched[m] = a
                        m += 1
    return m


def highest(source, image, n, begin, end, one, tame, claimer, ignored, work):
    """Find a truth's highest IoU with an anchor that is not ignored.

    The part that promises most comes first, and of it the middle row: what they give rules nearly all others out.
    """
    best = type(one.area)(0)
    likely, most = begin, type(one.area)(-1)
    for part in range(begin, end):
        promised = promise(source, part, one)
        if promised > most:
            likely, most = part, promised
    for turn in range(begin - 2, end):
        if turn == likely:
            continue
        part = turn if turn >= begin else likely
        top, bottom, left, right = window(source, part, n, one, best, tame, work)
        if turn == begin - 2 and bottom > top:
            top = (top + bottom) >> 1
            bottom = top + 1
        for row in range(top, bottom):
            base, step, offset, width = measure(source, part, row, left, right, one, best, tame, BY_UNION, work)
            for k in range(width):
                v = work[VALUES, offset + k]
                if v > best and not (ignored and claimer[base + k * step] == IGNORED):
                    best = v
    return best


@device
def claim(a, g, flags, floor, held, claimer, touched, m):
    """Let a truth have an anchor; give how many are touched now: those claimed, ignored or with a value of the floor."""
    if claimer[a] == NOBODY:
        if not held[a] >= floor:
            touched[m] = a
            m += 1
        claimer[a] = g
    elif claimer[a] != IGNORED and flags & LAST:
        claimer[a] = g
    return m


def by_iou(
    source,
    image,
    n,
    begin,
    end,
    one,
    truth,
    g,
    below,
    keep,
    best,
    flags,
    floor,
    tame,
    held,
    owned,
    claimer,
    touched,
    m,
    work,
):
    """Hold for each anchor its highest value above `below` that reaches `keep`; let the truth claim those at its best."""
    lowest = n
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, one, below, tame, work)
        for row in range(top, bottom):
            base, step, offset, width = measure(source, part, row, left, right, one, below, tame, BY_UNION, work)
            for k in range(width):
                v = work[VALUES, offset + k]
                if v > below:
                    a = base + k * step
                    if v >= keep and v > held[a]:
                        if v >= floor and held[a] < floor and claimer[a] == NOBODY:
                            touched[m] = a
                            m += 1
                        held[a], owned[a] = v, truth
                    if v == best and claimer[a] != IGNORED:
                        if flags & TIES:
                            m = claim(a, g, flags, floor, held, claimer, touched, m)
                        else:
                            lowest = min(lowest, a)
    if flags & FIRST and lowest < n:
        m = claim(lowest, g, flags, floor, held, claimer, touched, m)
    return m


def by_statistics(
    source,
    image,
    n,
    begin,
    end,
    one,
    truth,
    g,
    below,
    keep,
    best,
    flags,
    floor,
    tame,
    held,
    owned,
    claimer,
    touched,
    m,
    work,
):
    """Zhang et al., ATSS, CVPR 2020: of the nearest anchors of each level, those that reach mean + std of their IoUs."""
    levels, which, k = shelves(source)
    shelf = which[image]
    T = type(one.area)
    half, margin = T(0.5), T(0.01)
    x, y = half * (one.x0 + one.x1), half * (one.y0 + one.y1)
    for j in range(n):
        a = np.uint64(j)
        dx, dy = half * (work[0, a] + work[2, a]) - x, half * (work[1, a] + work[3, a]) - y
        work[VALUES, a] = dx * dx + dy * dy
    count = levels.shape[1]
    near, who = np.empty(count * k, T), np.empty(count * k, np.int64)
    c = first = 0
    for level in range(count):
        start = c
        for a in range(first, first + levels[shelf, level]):
            d = work[VALUES, a]
            if (c - start == k and not d < near[c - 1]) or claimer[a] == IGNORED:
                continue
            if c - start < k:
                c += 1
            place = c - 1
            while place > start and d < near[place - 1]:
                near[place], who[place] = near[place - 1], who[place - 1]
                place -= 1
            near[place], who[place] = d, a
        first += levels[shelf, level]
    if c < 2:
        return m
    total = square = np.float64(0)
    for j in range(c):
        near[j] = iou(at(work, who[j]), one, half)
        total += np.float64(near[j])
    mean = total / c
    for j in range(c):
        square += (np.float64(near[j]) - mean) ** 2
    least = T(mean + math.sqrt(square / (c - 1)))
    for j in range(c):
        a = who[j]
        cx, cy = half * (work[0, a] + work[2, a]), half * (work[1, a] + work[3, a])
        inside = smaller(smaller(cx - one.x0, cy - one.y0), smaller(one.x1 - cx, one.y1 - cy)) > margin
        if inside and near[j] >= least and (claimer[a] == NOBODY or near[j] > held[a]):
            m = claim(a, g, flags, T(np.inf), held, claimer, touched, m)
            held[a], owned[a] = near[j], truth
    return m


take = by_iou


@device
def label_of(v, thresholds, labels):
    label = labels[0]
    for k in range(thresholds.size):
        if v >= thresholds[k]:
            label = labels[k + 1]
    return label


def assign(
    source,
    width,
    rule,
    truths,
    regions,
    starts_t,
    starts_r,
    first,
    last,
    begins,
    sparse,
    out_labels,
    out_truths,
    out_values,
    reached,
    claimer,
    touched,
    counts,
):
    """Label the anchors of images [first, last).

    Dense: one row for each anchor, image g's from begins[g] on. Sparse: the anchors that are not negative are returned;
    out_truths and out_values are then one image's space, which is handed back as it came: -1 and 0. So is `claimer`.
    Either way `reached` gets the highest IoU of each truth with an anchor, nan for an invalid one.
    """
    thresholds, labels, flags, min_claim, divisor, most, floor_given = rule
    T = thresholds.dtype.type
    zero = T(0)
    background = label_of(zero, thresholds, labels)
    claims = flags & (TIES | FIRST) != 0
    work = np.empty((VALUES + 1, width), thresholds.dtype)
    found = 0
    anchors, verdicts = np.empty(256, np.int64), np.empty(256, np.int8)
    rows, values = np.empty(256, np.int64), np.empty(256, thresholds.dtype)
    before, tame_anchors = -1, False
    for image in range(first, last):
        n, begin, end, tame_anchors = opened(source, image, before, tame_anchors, work)
        before = image
        s, e = starts_t[image], starts_t[image + 1]
        base = 0 if sparse else begins[image]
        held, owned = out_values[base : base + n], out_truths[base : base + n]
        empty = flags & ALL_NEGATIVE != 0 and s == e
        usual = np.int8(0) if empty else background
        if not sparse:
            out_labels[base : base + n] = usual
            held[:] = zero
            owned[:] = -1
        tile = np.empty((6, (e - s + LANES - 1) // LANES * LANES), thresholds.dtype)
        tame = pack(truths, s, e, False, tile) and tame_anchors
        m = exclude(n, claimer, touched, work)
        if starts_r[image] < starts_r[image + 1] and not empty:
            held_out = starts_r[image + 1] - starts_r[image]
            spot = np.empty((6, (held_out + LANES - 1) // LANES * LANES), thresholds.dtype)
            calm = pack(regions, starts_r[image], starts_r[image + 1], False, spot) and tame_anchors
            for r in range(held_out):
                region = at(spot, r)
                if region.area == region.area:
                    m = disregard(source, image, n, begin, end, region, most, divisor, calm, claimer, touched, m, work)
        ignored = m
        for k in range(ignored):
            held[touched[k]] = T(np.inf)  # which no value exceeds
        best = np.empty(e - s, thresholds.dtype)
        everything = usual != 0
        for g in range(e - s):
            one = at(tile, g)
            best[g] = T(-1)
            reached[s + g] = T(np.nan)
            if one.area == one.area:
                top = highest(source, image, n, begin, end, one, tame, claimer, ignored > 0, work)
                reached[s + g] = top
                if claims and top >= min_claim and (top > zero or flags & AT_ZERO):
                    best[g] = top
                    everything |= top == zero and flags & TIES != 0
        floor = T(-1) if everything else floor_given
        keep = zero if everything or not sparse else floor
        if everything:
            for a in range(n):
                if claimer[a] == NOBODY:
                    touched[m] = a
                    m += 1
        valid, flooded = -1, False
        for g in range(e - s):
            one = at(tile, g)
            if not one.area == one.area:
                continue
            if valid < 0:
                valid = s + g
            if best[g] == zero and not (flooded and flags & OWN):
                flooded = True
                for a in range(n):
                    if claimer[a] != IGNORED:
                        m = claim(a, g, flags, floor, held, claimer, touched, m)
                        if flags & FIRST:
                            break
            low = smaller(keep, best[g]) if best[g] > zero else keep
            below = np.nextafter(low, T(-np.inf)) if low > zero else zero
            m = take(
                source,
                image,
                n,
                begin,
                end,
                one,
                s + g,
                g,
                below,
                keep,
                best[g],
                flags,
                floor,
                tame,
                held,
                owned,
                claimer,
                touched,
                m,
                work,
            )
        if sparse:
            touched[:m].sort()
        for j in range(m):
            a = np.int64(touched[j])
            g, v, truth, label = claimer[a], held[a], owned[a], np.int8(-1)
            claimer[a] = NOBODY
            if g == IGNORED:
                v, truth = zero, -1
            else:
                label = label_of(v, thresholds, labels)
                if g >= 0:
                    label = np.int8(1)
                    if not flags & OWN:
                        v, truth = best[g], s + g
                    elif v < keep:
                        v = zero
                        anchor = anchor_of(source, image, a, work)
                        for k in range(e - s):
                            met = iou(anchor, at(tile, k), zero)
                            if met > v:
                                v, truth = met, s + k
                    if truth < 0:
                        truth = valid
            if not sparse:
                out_labels[base + a], owned[a], held[a] = label, truth, v
                continue
            held[a], owned[a] = zero, -1
            if label != 0:
                if found == anchors.size:
                    anchors, verdicts, rows, values = grown(anchors), grown(verdicts), grown(rows), grown(values)
                anchors[found], verdicts[found], rows[found], values[found] = a, label, truth, v
                found += 1
                counts[image] += 1
    return anchors[:found], verdicts[:found], rows[:found], values[:found]


def _bound(label, take, **offers):
    """The source's functions, and the loops over them compiled for it alone."""
    loops = {"disregard": disregard, "highest": highest, "take": take}
    return {**offers, **{name: device(rebound(loop, offers, label)) for name, loop in loops.items()}}


_GRID = {
    "opened": grid_open,
    "window": grid_window,
    "measure": grid_row,
    "promise": grid_promise,
    "anchor_of": grid_anchor,
    "shelves": grid_shelves,
    "exclude": grid_exclude,
}
_BOXES = {
    "opened": boxes_open,
    "window": boxes_window,
    "measure": boxes_row,
    "promise": boxes_promise,
    "anchor_of": boxes_anchor,
    "shelves": boxes_shelves,
    "exclude": boxes_exclude,
}
_UNFOLDED = {**_BOXES, "opened": grid_unfold, "shelves": grid_shelves, "exclude": grid_exclude}


def _signature(source):
    def signature(t):
        rule = types.Tuple((vector(t), vector(types.int8), i8, t, i8, t, t))
        starts = readonly(i8)
        outputs = [vector(types.int8), vector(i8), vector(t), vector(t)]
        scratch = [*outputs, vector(types.int32), vector(types.int32), vector(i8)]
        arguments = [source(t), i8, rule, side(t), side(t), starts, starts, i8, i8, starts, types.boolean, *scratch]
        return types.Tuple((vector(i8), vector(types.int8), vector(i8), vector(t)))(*arguments)

    return signature


def _grid_source(t):
    return types.Tuple((vector(i8, 2), vector(t, 2), vector(t, 2), vector(t, 2), *[vector(i8)] * 4, vector(i8, 2), i8))


def _boxes_source(t):
    return types.Tuple((side(t), readonly(i8), readonly(i8), readonly(i8, 2), i8))


GRID = Kernel(
    assign,
    _signature(_grid_source),
    {"grid": _bound("grid", by_iou, **_GRID), "grid atss": _bound("grid_atss", by_statistics, **_UNFOLDED)},
)
BOXES = Kernel(
    assign,
    _signature(_boxes_source),
    {"boxes": _bound("boxes", by_iou, **_BOXES), "boxes atss": _bound("boxes_atss", by_statistics, **_BOXES)},
)
