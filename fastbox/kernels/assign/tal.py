"""Task-aligned assignment among candidates (Feng et al., TOOD, ICCV 2021), as ultralytics and mmyolo have it.

A truth claims the points of the highest metric, score^alpha * overlap^beta. Its candidates are measured in batches, and
scores are read where an overlap is high enough; a second walk settles the points that were claimed twice.

The state of an image is, for each point: the number of claims, the place of its truth, its metric, its overlap with
this truth, the place of the truth that it prefers if it is claimed twice (then the metric is first its greatest
overlap), and its overlap with the truth whose candidates are ranked.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import (
    ANGLE,
    AREA,
    BATCH,
    BATCH_ROWS,
    OVERLAP,
    RATED,
    angle_of,
    clear,
    corners_in,
    first_valid_of,
    gather,
    measure,
    overlap,
    write_tile,
)
from fastbox.kernels.assign.positives import (
    claim,
    collect,
    fill,
    listed,
    new_rows,
    outputs_type,
    place,
    place_next,
    predictions_type,
    rows_type,
    space_type,
)
from fastbox.kernels.assign.windows import (
    candidate_box,
    corners_at,
    grid_type,
    list_candidates,
    place_of,
    points_of,
    shape_type,
    truths_type,
)
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_tile
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import exp, log
from fastbox.kernels.geometry.formulas import larger

PLAIN = AREA  # the row of a batch that has overlaps, where another row has their powers


@inlined
def sixth_power(x):
    v = np.float64(x)
    return type(x)(v * v * v * (v * v * v))


@inlined
def root(x):
    return type(x)(math.sqrt(np.float64(x)))


@inlined
def any_power(x, exponent):
    return type(x)(exp(exponent * log(np.float64(x))))


@device
def powered(x, exponent):
    """Raise a number above 0 to a power, rounded once."""
    if exponent == 6.0:
        return sixth_power(x)
    if exponent == 0.5:
        return root(x)
    return x if exponent == 1.0 else any_power(x, exponent)


@inlined
def power_all(batch, row, exponent):
    """Raise the numbers of a row of a batch to a power, numbers that are not above 0 to 0."""
    zero = batch.dtype.type(0)
    for j in range(BATCH):
        batch[row, j] = batch[row, j] if batch[row, j] > zero else zero
    if exponent == 6.0:
        for j in range(BATCH):
            batch[row, j] = sixth_power(batch[row, j])
    elif exponent == 0.5:
        for j in range(BATCH):
            batch[row, j] = root(batch[row, j])
    elif exponent != 1.0:
        for j in range(BATCH):
            batch[row, j] = any_power(batch[row, j], exponent) if batch[row, j] > zero else zero


@inlined
def metric_of(score, o, alpha, beta):
    """Return score^alpha * overlap^beta."""
    zero = type(o)(0)
    return powered(score, alpha) * powered(o, beta) if score > zero and o > zero else zero


@inlined
def any_metric_above(least, batch):
    """Tell whether an overlap to its power is above a number: no metric is above it, for no score is above 1."""
    hit = np.int32(0)
    for j in range(BATCH):
        hit = np.int32(hit | np.int32(batch[OVERLAP, j] > least))
    return hit != 0


@device
def rank(points, n, one, of_one, label, predictions, rule, best, met):
    """Put those of n points that have the highest metrics above 0 into the list of the best; return their number.

    Their overlaps are written for each point.
    """
    boxes, scores, start = predictions
    topk, _, kind, alpha, beta = rule
    values, rows = best
    batch = stack_tile(values, BATCH_ROWS, BATCH)
    clear(batch)
    least, m = values.dtype.type(0), 0
    for first in range(0, n, BATCH):
        count = min(BATCH, n - first)
        gather(boxes, start, points, first, count, batch)
        measure(kind, one, of_one, batch)
        for j in range(BATCH):
            batch[PLAIN, j] = batch[OVERLAP, j]
        power_all(batch, OVERLAP, beta)
        if not any_metric_above(least, batch):
            continue
        for j in range(count):
            batch[RATED, j] = scores[start + points[first + j], label]
        power_all(batch, RATED, alpha)
        for j in range(BATCH):
            batch[RATED, j] *= batch[OVERLAP, j]
        for j in range(count):
            if batch[RATED, j] > least:
                p = np.int64(points[first + j])
                m, met[p] = place_next(values, rows, m, topk, batch[RATED, j], p), batch[PLAIN, j]
                least = values[m - 1] if m == topk else least
    return m


@device
def claim_zeros(grid, image, box, g, predictions, rows, left, margin, state):
    """Claim candidates of metric 0, as far as they are among the lowest points, where too few metrics are above 0."""
    levels, steps, strides, images, offset = grid
    boxes, _, start = predictions
    claims, owner, metric, ious, _, _ = state
    x0, y0, x1, y1 = box
    first = images[image]
    end = first + strides.size - 1
    p, n = 0, points_of(levels, end)
    while left > 0 and p < n:
        taken = False
        for j in range(rows.size):
            taken |= rows[j] == p
        if not taken:
            left -= 1
            x, y, _ = place_of(levels, steps, offset, first, end, p, x0)
            inside = x - x0 > margin and y - y0 > margin and x1 - x > margin and y1 - y > margin
            if inside and corners_at(boxes, start + p)[0] == corners_at(boxes, start + p)[0]:
                if claims[p] == 0:
                    metric[p], ious[p] = 0, np.nan  # measured when claims are settled
                claim(p, g, claims, owner)
        p += 1


@inlined
def overlap_with(kind, truths, g, boxes, row):
    """Return the overlap of a truth with a prediction."""
    b = corners_at(boxes, row)
    return overlap(kind, corners_in(truths, g), b, truths[ANGLE, g], angle_of(*b))


@device
def prefer(g, points, n, truths, predictions, kind, state):
    """Offer a truth to those of n points that are claimed twice: they prefer the greatest overlap."""
    claims, _, most, _, who, _ = state
    for j in range(n):
        p = np.uint64(points[np.uint64(j)])
        if claims[p] > 1:
            o = overlap_with(kind, truths, g, predictions[0], predictions[2] + points[j])
            if o > most[p]:
                most[p], who[p] = o, g


@device
def settle_contests(grid, image, known, n, truths, members, predictions, rules, spots, state):
    """Find for each point that is claimed twice the truth of the greatest overlap.

    It is one of the truths that the point is a candidate of, or any truth of the image. Where none overlaps, the first
    valid truth has the point.
    """
    kind, shape, everywhere = rules[0][2], rules[1], rules[2]
    claims, _, most, _, who, _ = state
    contested = 0
    for p in members:
        if claims[p] > 1:
            most[p], who[p] = 0, known
            contested += 1
    for g in range(known, n if contested else 0):
        one = corners_in(truths, g)
        if one[0] != one[0]:
            continue
        if everywhere:
            prefer(np.int32(g), members, members.size, truths, predictions, kind, state)
        else:
            count = list_candidates(grid, image, candidate_box(one, shape), shape, spots)
            prefer(np.int32(g), spots, count, truths, predictions, kind, state)


@device
def keep_best(members, truths, kept, state):
    """Let each truth keep a number of its points at most: those of the highest metrics, then the lowest points."""
    _, owner, metric, _, _, _ = state
    zero = metric.dtype.type(0)
    values, rows = np.empty((truths, kept), metric.dtype), np.empty((truths, kept), np.int64)
    held = np.zeros(truths, np.int64)
    for p in members:
        g = owner[p]
        if metric[p] > zero:
            held[g] = place(values[g], rows[g], held[g], kept, metric[p], np.int64(p))
    for p in members:
        g = owner[p]
        before, stays = 0, False
        for j in range(held[g]):
            before += rows[g, j] < p
            stays |= rows[g, j] == p
        if not (stays or (metric[p] == zero and p - before < kept - held[g])):
            owner[p] = -1


@device
def settle(members, classes, truths, predictions, rule, state):
    """Give each claimed point to one truth, and write its metric and its overlap where they are another truth's.

    A point that overlaps none of its truths, `most` 0, may be no candidate of the first truth: both stay 0.
    """
    boxes, scores, start = predictions
    claims, owner, metric, ious, who, _ = state
    _, _, kind, alpha, beta = rule
    for p in members:
        if claims[p] > 1:
            owner[p], ious[p] = who[p], 0
            if metric[p] == 0:
                continue
        elif ious[p] == ious[p]:
            continue
        g = owner[p]
        ious[p] = overlap_with(kind, truths, g, boxes, start + p)
        metric[p] = metric_of(scores[start + p, classes[g]], ious[p], alpha, beta)


@device
def weigh(members, truths, eps, state):
    """Turn metrics into target scores."""
    _, owner, metric, ious, _, _ = state
    highest, widest = np.zeros(truths, metric.dtype), np.zeros(truths, metric.dtype)
    for p in members:
        g = owner[p]
        highest[g], widest[g] = larger(metric[p], highest[g]), larger(ious[p], widest[g])
    for p in members:
        g = owner[p]
        metric[p] = metric[p] * widest[g] / (highest[g] + eps)


@device
def claim_all(grid, image, side, predictions, rules, spots, state, best):
    """Let each truth of an image claim its points; a side is truths, the first valid one, their number and classes."""
    truths, known, n, classes = side
    rule, shape = rules[0], rules[1]
    claims, owner, metric, ious, _, met = state
    for g in range(known, n):
        one = corners_in(truths, g)
        if one[0] != one[0]:
            continue
        box = candidate_box(one, shape)
        count = list_candidates(grid, image, box, shape, spots)
        m = rank(spots, count, one, truths[ANGLE, g], classes[g], predictions, rule, best, met)
        for j in range(m):
            p = best[1][j]
            if claims[p] == 0:
                metric[p], ious[p] = best[0][j], met[p]
            claim(p, np.int32(g), claims, owner)
        if m < rule[0]:
            rows = best[1][:m]
            claim_zeros(grid, image, box, np.int32(g), predictions, rows, rule[0] - m, shape[4], state)


def assign(grid, truths, predictions, rules, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, scores, overlaps.

    The first rule is topk, the number of points that a truth keeps in the end, the kind of overlap, alpha and beta;
    then come the shape, whether a point claimed twice may go to a truth that it lies outside of, and the number added
    to greatest metrics.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    rule, eps = rules[0], rules[3]
    floats, ints, _, wanted, lists, places = space
    claims, owner, members, spots = ints[0], ints[1], ints[3], ints[4]
    state, best = (claims, owner, floats[0], floats[1], ints[2], floats[2]), (lists[0], places[0])
    found, rows = 0, new_rows(floats)
    for image in range(first, last):
        s, e = starts[image], starts[image + 1]
        write_tile(truth_boxes, s, e, wanted)
        known = first_valid_of(wanted, e - s)
        if known == e - s:
            continue
        n, given = points_of(grid[0], grid[3][image] + grid[2].size - 1), (boxes, scores, firsts[image])
        fill(claims, n, np.int32(0))
        fill(owner, n, np.int32(-1))
        claim_all(grid, image, (wanted, known, e - s, classes[s:e]), given, rules, spots, state, best)
        m = listed(owner, n, members)
        settle_contests(grid, image, known, e - s, wanted, members[:m], given, rules, spots, state)
        settle(members[:m], classes[s:e], wanted, given, rule, state)
        if rule[1] < rule[0]:
            keep_best(members[:m], e - s, rule[1], state)
            m = listed(owner, n, members)
        weigh(members[:m], e - s, eps, state)
        rows, found = collect(image, s, members, m, (owner, state[2], state[3]), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    rule = group(i8, i8, i8, types.f8, types.f8)
    rules = group(rule, shape_type(t), types.boolean, t)
    truths = group(*truths_type(t).parts, readonly(i8))
    span = group(i8, i8)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rules, span, outputs_type(t), space_type(t))


TAL = Kernel(assign, _signature, {"": {}})
