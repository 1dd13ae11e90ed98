"""Anchors against truths without the matrix: the best of both sides, who claims whom, and a label each.

Kernel binds the source of candidates (kernels/candidates.py) and the way a truth takes them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from fastbox.kernels.assign import candidates
from fastbox.kernels.assign.candidates import BY_UNION, IGNORED, VALUES
from fastbox.kernels.build.kernel import Kernel, device, i8, readonly, rebound, side, vector
from fastbox.kernels.compare.dense import grown
from fastbox.kernels.geometry.extremes import sure_iou
from fastbox.kernels.geometry.metrics import smaller
from fastbox.kernels.geometry.pack import LANES, at, pack

NOBODY = -1  # in place of the truth that claims an anchor
TIES, FIRST, OWN, LAST, AT_ZERO, ALL_NEGATIVE = 1, 2, 4, 8, 16, 32  # what a rule says, as bits

# Kernel binds these anew for each source; here they are a grid's.
opened, window, measure = candidates.grid_open, candidates.grid_window, candidates.grid_row
promise, anchor_of = candidates.grid_promise, candidates.grid_anchor
shelves, exclude = candidates.grid_shelves, candidates.grid_exclude

# What functions pass on together:
# place: the image, its number of anchors, its first part and the one behind the last, whether all areas are tame;
# state: for each anchor its highest value, that value's truth, and the truth that claims it; and the anchors touched,
# which are those claimed, ignored or with a value of `floor` at least;
# bounds: the value to exceed, the value to keep, the floor, the truth's best, the rule's bits.


def disregard(source, place, region, most, divisor, state, m, work):
    """Mark the anchors of which a region holds a greater share; give how many are touched now."""
    _, n, begin, end, tame = place
    claimer, touched = state[2], state[3]
    zero = type(most)(0)
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, region, zero, tame, work)
        for row in range(top, bottom):
            number, step, offset, width = measure(source, part, row, left, right, region, zero, tame, divisor, work)
            for k in range(width):
                a = number + k * step
                if work[VALUES, offset + k] > most and claimer[a] == NOBODY:
                    claimer[a] = IGNORED
                    touched[m] = a
                    m += 1
    return m


def highest(source, place, one, claimer, ignored, work):
    """Find a truth's highest IoU with an anchor that is not ignored.

    The part that promises most comes first, and of it the middle row: what they give rules nearly all others out.
    """
    _, n, begin, end, tame = place
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
        if turn == begin - 2 and top < bottom:
            top = (top + bottom) >> 1
            bottom = top + 1
        for row in range(top, bottom):
            number, step, offset, width = measure(source, part, row, left, right, one, best, tame, BY_UNION, work)
            for k in range(width):
                v = work[VALUES, offset + k]
                if v > best and not (ignored and claimer[number + k * step] == IGNORED):
                    best = v
    return best


@device
def claim(a, g, floor, flags, state, m):
    """Let a truth have an anchor, unless the anchor is ignored or has another truth that stays."""
    held, _, claimer, touched = state
    if claimer[a] == NOBODY:
        if not held[a] >= floor:
            touched[m] = a
            m += 1
        claimer[a] = g
    elif claimer[a] != IGNORED and flags & LAST:
        claimer[a] = g
    return m


def by_iou(source, place, one, g, truth, bounds, state, m, work):
    """Keep each anchor's highest value and its truth; let the truth claim the anchors at its own best."""
    _, n, begin, end, tame = place
    below, keep, floor, best, flags = bounds
    held, owned, claimer, touched = state
    lowest = n
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, one, below, tame, work)
        for row in range(top, bottom):
            number, step, offset, width = measure(source, part, row, left, right, one, below, tame, BY_UNION, work)
            for k in range(width):
                v = work[VALUES, offset + k]
                if v > below:
                    a = number + k * step
                    if v >= keep and v > held[a]:
                        if v >= floor and held[a] < floor and claimer[a] == NOBODY:
                            touched[m] = a
                            m += 1
                        held[a], owned[a] = v, truth
                    if v == best and claimer[a] != IGNORED:
                        if flags & TIES:
                            m = claim(a, g, floor, flags, state, m)
                        else:
                            lowest = min(lowest, a)
    if flags & FIRST and lowest < n:
        m = claim(lowest, g, floor, flags, state, m)
    return m


def by_statistics(source, place, one, g, truth, bounds, state, m, work):
    """Zhang et al., ATSS, CVPR 2020: of the nearest anchors of each level, take those at mean + std of their IoUs."""
    image, n = place[0], place[1]
    held, owned, claimer, _ = state
    levels, which, k = shelves(source)
    shelf = which[image]
    T = type(one.area)
    half, margin = T(0.5), T(0.01)
    x, y = half * one.x0 + half * one.x1, half * one.y0 + half * one.y1
    for j in range(n):
        a = np.uint64(j)
        dx, dy = half * work[0, a] + half * work[2, a] - x, half * work[1, a] + half * work[3, a] - y
        work[VALUES, a] = dx * dx + dy * dy
    room = levels.shape[1] * k
    near, who = np.empty(room, T), np.empty(room, np.int64)
    c = first = 0
    for level in range(levels.shape[1]):
        start, last = c, first + levels[shelf, level]
        for a in range(first, last):
            d = work[VALUES, a]
            if (c - start == k and not d < near[c - 1]) or claimer[a] == IGNORED:
                continue
            if c - start < k:
                c += 1
            spot = c - 1
            while spot > start and d < near[spot - 1]:
                near[spot], who[spot] = near[spot - 1], who[spot - 1]
                spot -= 1
            near[spot], who[spot] = d, a
        first = last
    if c < 2:  # of one value there is no deviation
        return m
    total = square = np.float64(0)
    for j in range(c):
        near[j] = sure_iou(at(work, who[j]), one)
        total += np.float64(near[j])
    for j in range(c):
        square += (np.float64(near[j]) - total / c) ** 2
    least = T(total / c + math.sqrt(square / (c - 1)))
    for j in range(c):
        a, v = who[j], near[j]
        cx, cy = half * work[0, a] + half * work[2, a], half * work[1, a] + half * work[3, a]
        inside = smaller(smaller(cx - one.x0, cy - one.y0), smaller(one.x1 - cx, one.y1 - cy)) > margin
        if inside and v >= least and (claimer[a] == NOBODY or v > held[a]):
            m = claim(a, g, T(np.inf), OWN, state, m)
            held[a], owned[a] = v, truth
    return m


take = by_iou


@device
def label_of(v, thresholds, labels):
    label = labels[0]
    for k in range(thresholds.size):
        if v >= thresholds[k]:
            label = labels[k + 1]
    return label


@device
def ascend(numbers, n):
    """Sort the first n numbers in place (Shell 1959); NumPy's sort takes as long to compile as all of this file."""
    gap = n // 2
    while gap:
        for j in range(gap, n):
            number, place = numbers[j], j
            while place >= gap and numbers[place - gap] > number:
                numbers[place] = numbers[place - gap]
                place -= gap
            numbers[place] = number
        gap = 1 if gap == 2 else gap * 5 // 11


@device
def packed(boxes, first, last, like):
    """Boxes as a tile of their own, and whether their areas are tame."""
    tile = np.empty((6, (last - first + LANES - 1) // LANES * LANES), like.dtype)
    return tile, pack(boxes, first, last, False, tile)


def assign(
    source, width, rule, truths, regions, starts_t, starts_r,
    first, last, begins, sparse, outputs, reached, scratch, counts,
):  # fmt: skip
    """Label the anchors of images [first, last).

    Dense: one row for each anchor, image g's from begins[g] on. Sparse: anchors that are not negative are returned and
    counted; outputs are then space for one image, which is handed back as it came: values 0, truths -1. So is scratch,
    where nobody claims an anchor. Either way `reached` gets each truth's highest IoU, nan for an invalid truth.
    """
    thresholds, labels, flags, min_claim, divisor, most, given_floor = rule
    out_labels, out_truths, out_values = outputs
    claimer, touched = scratch
    T = thresholds.dtype.type
    zero = T(0)
    background = label_of(zero, thresholds, labels)
    work = np.empty((VALUES + 1, width), thresholds.dtype)
    anchors, verdicts = np.empty(256, np.int64), np.empty(256, np.int8)
    rows, values = np.empty(256, np.int64), np.empty(256, thresholds.dtype)
    found = 0
    before, tame = -1, False
    for image in range(first, last):
        n, begin, end, tame = opened(source, image, before, tame, work)
        before = image
        s, e = starts_t[image], starts_t[image + 1]
        tile, tame_truths = packed(truths, s, e, thresholds)
        place = (image, n, begin, end, tame and tame_truths)
        base = 0 if sparse else begins[image]
        held, owned = out_values[base : base + n], out_truths[base : base + n]
        state = (held, owned, claimer, touched)
        bare = s == e and flags & ALL_NEGATIVE != 0
        usual = np.int8(0) if bare else background
        if not sparse:
            for a in range(n):
                out_labels[np.uint64(base + a)], held[a], owned[a] = usual, zero, -1

        m = exclude(n, claimer, touched, work)
        if starts_r[image] < starts_r[image + 1] and not bare:
            spots, tame_regions = packed(regions, starts_r[image], starts_r[image + 1], thresholds)
            beside = (image, n, begin, end, tame and tame_regions)
            for r in range(starts_r[image + 1] - starts_r[image]):
                region = at(spots, r)
                if region.x0 == region.x0:
                    m = disregard(source, beside, region, most, divisor, state, m, work)
        ignored = m
        for j in range(ignored):
            held[touched[j]] = T(np.inf)  # which no value exceeds

        best = np.empty(e - s, thresholds.dtype)  # -1 where a truth claims nothing
        everything = usual != 0  # whether every anchor has to be listed
        for g in range(e - s):
            one, best[g], reached[s + g] = at(tile, g), T(-1), T(np.nan)
            if one.x0 == one.x0:
                v = highest(source, place, one, claimer, ignored > 0, work)
                reached[s + g] = v
                if flags & (TIES | FIRST) and v >= min_claim and (v > zero or flags & AT_ZERO):
                    best[g] = v
                    everything |= v == zero and flags & TIES != 0
        if everything:
            for a in range(n):
                if claimer[a] == NOBODY:
                    touched[m] = a
                    m += 1
        floor = T(-1) if everything else given_floor
        keep = zero if everything or not sparse else floor

        valid, flooded = -1, False
        for g in range(e - s):
            one = at(tile, g)
            if not one.x0 == one.x0:
                continue
            valid = s + g if valid < 0 else valid
            if best[g] == zero and not (flooded and flags & OWN):
                flooded = True
                for a in range(n):
                    if claimer[a] != IGNORED:
                        m = claim(a, g, floor, flags, state, m)
                        if flags & FIRST:
                            break
            low = smaller(keep, best[g]) if best[g] > zero else keep
            below = np.nextafter(low, T(-np.inf)) if low > zero else zero
            m = take(source, place, one, g, s + g, (below, keep, floor, best[g], flags), state, m, work)

        if sparse:
            ascend(touched, m)
        for j in range(m):
            a = np.int64(touched[j])
            g, v, truth, label = claimer[a], held[a], owned[a], np.int8(-1)
            claimer[a] = NOBODY
            if g == IGNORED:
                v, truth = zero, -1
            elif g == NOBODY:
                label = label_of(v, thresholds, labels)
            else:
                label = np.int8(1)
                if not flags & OWN:
                    v, truth = best[g], s + g
                elif v < keep:
                    anchor, v = anchor_of(source, image, a, work), zero
                    for k in range(e - s):
                        met = sure_iou(anchor, at(tile, k))
                        if met > v:
                            v, truth = met, s + k
                truth = valid if truth < 0 else truth
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


@device
def no_regions(source, place, region, most, divisor, state, m, work):
    return m


def _by_iou(label, source):
    """The source's functions, and the loops over them compiled for it alone."""
    loops = {"disregard": disregard, "highest": highest, "take": by_iou}
    return {**source, **{name: device(rebound(loop, source, label)) for name, loop in loops.items()}}


def _by_statistics(label, source):
    loops = {"highest": highest, "take": by_statistics}
    return {
        **source,
        "disregard": no_regions,
        **{name: device(rebound(loop, source, label)) for name, loop in loops.items()},
    }


def _signature(source):
    def signature(t):
        i1, i4 = types.int8, types.int32
        rule = types.Tuple((readonly(t), readonly(i1), i8, t, i8, t, t))
        outputs, scratch = types.Tuple((vector(i1), vector(i8), vector(t))), types.Tuple((vector(i4), vector(i4)))
        where = (readonly(i8), readonly(i8), i8, i8, readonly(i8), types.boolean)
        listed = types.Tuple((vector(i8), vector(i1), vector(i8), vector(t)))
        return listed(source(t), i8, rule, side(t), side(t), *where, outputs, vector(t), scratch, vector(i8))

    return signature


def _planes(t):
    return types.Tuple((vector(i8, 2), *[vector(t, 2)] * 3, *[vector(i8)] * 4, vector(i8, 2), i8))


def _plain(t):
    return types.Tuple((side(t), readonly(i8), readonly(i8), readonly(i8, 2), i8))


GRID = Kernel(
    assign,
    _signature(_planes),
    {
        "grid": _by_iou("grid", candidates.GRID),
        "grid atss": _by_statistics("grid_atss", candidates.UNFOLDED),
    },
)
BOXES = Kernel(
    assign,
    _signature(_plain),
    {
        "boxes": _by_iou("boxes", candidates.BOXES),
        "boxes atss": _by_statistics("boxes_atss", candidates.BOXES),
    },
)
