"""Assigning by IoU without the matrix: the best of both sides, the truth that claims each anchor, and its label.

Kernel binds the source of candidates (:mod:`~fastbox.kernels.assign.candidates`) and the way a truth takes them.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign import blocks, candidates, lanes
from fastbox.kernels.assign.atss import by_statistics
from fastbox.kernels.assign.candidates import DISREGARDED, UNCLAIMED
from fastbox.kernels.assign.claims import by_iou, claim, claims_at, disregard, highest
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import ALL_NEGATIVE, FIRST, OWN, TIES
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.compare.measure import VALUES, doubled, like_tiles
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import smaller
from fastbox.kernels.geometry.pack import box_at, pack_few, whole_lanes

# Kernel binds these anew for each source; here they are a grid's. WORK: the rows of the work space; AT_ONCE: the number
# of anchors up to which all truths of an image are met at once. EXACT: the most truths that float32 tells apart.
WORK, AT_ONCE, EXACT = candidates.GRID["WORK"], 0, 1 << 24
opened, anchor_of, exclude, take = candidates.grid_open, candidates.grid_anchor, candidates.grid_exclude, by_iou
parts_at_once = candidates.all_at_once


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
    """Return boxes packed in a tile of their own, and whether their areas are screenable."""
    tile = np.empty((VALUES, whole_lanes(last - first)), like_tiles(like).dtype)
    return tile, pack_few(boxes, first, last, tile)


@device
def meet_truths(n, start, tile, reached, rule, sparse, state, m, work):
    """Meet no truth: AT_ONCE is 0."""
    return m, False


def assign(source, rule, truths, regions, span, layout, outputs, space):
    """Label the anchors of the images of a span.

    The source is its arrays and the width of the work space; truths and regions are boxes and the bounds of images. The
    layout is where each image's rows begin, and whether outputs are sparse.

    Dense: one row for each anchor, image g's from begins[g] on. Sparse: anchors that are not negative are returned and
    counted; outputs are then space for one image, which is handed back as it came: values 0, truths -1. `space` is
    handed back as it came too: no anchor is claimed. Either way `reached` gets each truth's highest IoU, nan for an
    invalid truth.

    One function, for its steps share the state of an image: most of its locals.
    """
    (arrays, width), (truth_boxes, starts_t), (region_boxes, starts_r) = source, truths, regions
    thresholds, labels, flags, min_claim, divisor, most, given_floor = rule
    (first, last), (begins, sparse), (claimer, touched) = span, layout, space
    out_labels, out_truths, out_values, reached, counts = outputs
    T = thresholds.dtype.type
    zero = T(0)
    background = label_of(zero, thresholds, labels)
    work = np.empty((WORK, width + WIDTH), like_tiles(thresholds).dtype)  # with room for a mask behind the last value
    anchors, found_labels = np.empty(256, np.int64), np.empty(256, np.int8)
    rows, values = np.empty(256, np.int64), np.empty(256, thresholds.dtype)
    found, most_truths = 0, longest_of(starts_t, first, last)
    tile = np.empty((VALUES, whole_lanes(most_truths)), work.dtype)
    best, claims = np.empty(most_truths, thresholds.dtype), np.empty(most_truths, np.bool_)
    before, screenable = -1, False
    for image in range(first, last):
        n, begin, end, screenable = opened(arrays, image, before, screenable, work)
        before = image
        s, e = starts_t[image], starts_t[image + 1]
        screened = pack_few(truth_boxes, s, e, tile) and screenable
        base = 0 if sparse else begins[image]
        held, owned = out_values[base : base + n], out_truths[base : base + n]
        state = (held, owned, claimer, touched)
        bare = s == e and flags & ALL_NEGATIVE != 0
        default = np.int8(0) if bare else background
        at_once = 0 < n <= AT_ONCE and e - s <= EXACT and screened and starts_r[image] == starts_r[image + 1]
        if not (sparse or at_once):
            for a in range(n):
                out_labels[np.uint64(base + a)], held[a], owned[a] = default, zero, -1

        m = exclude(n, claimer, touched, work)
        if starts_r[image] < starts_r[image + 1] and not bare:
            spots, screenable_regions = packed(region_boxes, starts_r[image], starts_r[image + 1], thresholds)
            beside = (image, n, begin, end, screenable and screenable_regions)
            for r in range(starts_r[image + 1] - starts_r[image]):
                region = box_at(spots, r)
                if region.x0 == region.x0:
                    m = disregard(arrays, beside, region, most, divisor, state, m, work)
        ignored = m
        for g in range(e - s):
            one = box_at(tile, g)
            reached[s + g] = zero if one.x0 == one.x0 else T(np.nan)
        if at_once:
            given = flags, min_claim, T(-1) if default != 0 else given_floor
            m, at_once = meet_truths(n, s, tile, reached[s:e], given, sparse, state, m, work)
            if not sparse:
                for a in range(n):
                    out_labels[np.uint64(base + a)] = default
        if at_once:
            end = begin  # no part is left
        else:
            for j in range(ignored):
                held[touched[j]] = T(np.inf)  # which no value exceeds

        step = parts_at_once(begin, end)
        for part in range(begin, end, step):
            place = (image, n, part, min(part + step, end), screened)
            for g in range(e - s):
                if reached[s + g] == reached[s + g]:
                    reached[s + g] = highest(arrays, place, box_at(tile, g), reached[s + g], claimer, ignored > 0, work)

        everything, flooding, valid = default != 0, False, -1  # everything: whether every anchor has to be listed
        for g in range(e - s):
            best[g], claims[g], v = T(-1), False, reached[s + g]  # -1 where a truth claims nothing
            if v == v:
                valid = s + g if valid < 0 else valid
                if claims_at(v, min_claim, flags):
                    best[g] = v
                    everything |= v == zero and flags & TIES != 0
                    flooding |= v == zero
        if everything and not at_once:
            for a in range(n):
                if claimer[a] == UNCLAIMED:
                    touched[m] = a
                    m += 1
        floor = T(-1) if everything else given_floor
        keep = zero if everything or not sparse else floor

        flooded = False
        step = max(end - begin, 1) if flooding else step
        for part in range(begin, end, step):
            place = (image, n, part, min(part + step, end), screened)
            for g in range(e - s):
                if not reached[s + g] == reached[s + g]:
                    continue
                if best[g] == zero and not (flooded and flags & OWN):
                    flooded = True
                    for a in range(n):
                        if claimer[a] != DISREGARDED:
                            m = claim(a, g, floor, flags, state, m)
                            if flags & FIRST:
                                break
                low = smaller(keep, best[g]) if best[g] > zero else keep
                below = np.nextafter(low, T(-np.inf)) if low > zero else zero
                bounds = below, keep, floor, best[g], flags
                m, at = take(arrays, place, box_at(tile, g), g, s + g, bounds, state, m, work)
                if flags & FIRST and at < n and not claims[g]:
                    claims[g] = True
                    m = claim(at, g, floor, flags, state, m)

        if sparse:
            ascend(touched, m)
        for j in range(m):
            a = np.int64(touched[j])
            g, v, truth, label = claimer[a], held[a], owned[a], np.int8(-1)
            claimer[a] = UNCLAIMED
            if g == DISREGARDED:
                v, truth = zero, -1
            elif g == UNCLAIMED:
                label = label_of(v, thresholds, labels)
            else:
                label = np.int8(1)
                if not flags & OWN:
                    v, truth = best[g], s + g
                elif v < keep and not at_once:
                    anchor, v = anchor_of(arrays, image, a, work), zero
                    for k in range(e - s):
                        met = robust(anchor, box_at(tile, k), zero)
                        if met > v:
                            v, truth = met, s + k
                truth = valid if truth < 0 else truth
            if not sparse:
                out_labels[base + a], owned[a], held[a] = label, truth, v
                continue
            held[a], owned[a] = zero, -1
            if label != 0:
                if found == anchors.size:
                    anchors, found_labels = doubled(anchors), doubled(found_labels)
                    rows, values = doubled(rows), doubled(values)
                anchors[found], found_labels[found], rows[found], values[found] = a, label, truth, v
                found += 1
                counts[image] += 1
    return anchors[:found], found_labels[:found], rows[:found], values[:found]


@device
def no_regions(source, place, region, most, divisor, state, m, work):
    return m


def _for_source(label, source, **loops):
    """Return the functions of a source, and the loops over its candidates compiled for this source."""
    return {**source, **{name: device(rebound(loop, source, label)) for name, loop in loops.items()}}


def with_iou(label, source):
    """Return the names of the kernel for a source whose anchors truths take by their IoU."""
    return _for_source(label, source, disregard=disregard, highest=highest, take=by_iou)


def with_statistics(label, source):
    """Return the names of the kernel for a source whose anchors truths take by the statistics of their IoUs."""
    whole = {"disregard": no_regions, "parts_at_once": candidates.all_at_once}
    return {**_for_source(label, source, highest=highest, take=by_statistics), **whole}


def signature(source, boxes=side):
    """Return the types of the arguments by dtype, given the types of a source and of boxes."""

    def of_dtype(t):
        i1, i4 = types.int8, types.int32
        sides = group(boxes(t), readonly(i8))
        rule = group(readonly(t), readonly(i1), i8, t, i8, t, t)
        outputs = group(vector(i1), vector(i8), vector(t), vector(t), vector(i8))
        span, layout, space = group(i8, i8), group(readonly(i8), types.boolean), group(vector(i4), vector(i4))
        found = group(vector(i8), vector(i1), vector(i8), vector(t))
        return found(group(source(t, boxes), i8), rule, sides, sides, span, layout, outputs, space)

    return of_dtype


def planes(t, boxes):
    """Return the types of a grid."""
    return group(vector(i8, 2), *[vector(t, 2)] * 3, *[vector(i8)] * 4, vector(i8, 2), i8)


def plain(t, boxes):
    """Return the types of boxes as anchors."""
    return group(boxes(t), readonly(i8), readonly(i8), readonly(i8, 2), i8)


GRID = Kernel(
    assign,
    signature(planes),
    {"grid": with_iou("grid", candidates.GRID), "grid atss": with_statistics("grid_atss", blocks.UNFOLDED)},
)
BOXES = Kernel(
    assign,
    signature(plain),
    {
        "boxes": with_iou("boxes", {**blocks.BOXES, **lanes.IN_LANES}),
        "boxes atss": with_statistics("boxes_atss", blocks.BOXES),
    },
)
