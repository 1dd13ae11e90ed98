"""Task-aligned assignment among candidates (Feng et al., TOOD, ICCV 2021), as ultralytics and mmyolo have it.

A truth claims the points of the highest metric, score^alpha * overlap^beta. One walk over each truth's windows also
keeps each point's greatest overlap with any truth that it is a candidate of, which settles points claimed twice.

The state of an image is, for each point: the angle of its prediction, its greatest overlap and the place of the truth
of it, the number of claims, the place of its truth, its metric and its overlap with this truth.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, angle_of, corners_in, overlap, write_tile
from fastbox.kernels.assign.points import candidate_box
from fastbox.kernels.assign.positives import (
    claim,
    collect,
    fill,
    new_rows,
    outputs_type,
    place,
    predictions_type,
    rows_type,
    space_type,
)
from fastbox.kernels.assign.windows import (
    corners_at,
    grid_type,
    in_range,
    level_at,
    place_of,
    points_of,
    shape_type,
    truths_type,
)
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import exp, log
from fastbox.kernels.geometry.formulas import larger


@device
def powered(x, exponent):
    """Raise a number above 0 to a power, rounded once."""
    v = np.float64(x)
    if exponent == 6.0:
        return type(x)(v * v * v * (v * v * v))
    if exponent == 0.5:
        return type(x)(math.sqrt(v))
    return x if exponent == 1.0 else type(x)(exp(exponent * log(v)))


@device
def metric_of(score, o, rule):
    """Return score^alpha * overlap^beta."""
    zero = type(o)(0)
    return powered(score, rule[3]) * powered(o, rule[4]) if score > zero and o > zero else zero


@device
def overlap_with(rule, tile, g, boxes, row, p, angle):
    """Return the overlap of a truth with the prediction of a point, nan for an invalid one."""
    x0, y0, x1, y1 = corners_at(boxes, row)
    if angle[p] != angle[p]:
        angle[p] = angle_of(x0, y0, x1, y1)
    found = overlap(rule[2], corners_in(tile, g), (x0, y0, x1, y1), tile[ANGLE, g], angle[p])
    return found if x0 == x0 else x0


@device
def walk(grid, image, truth, g, label, tile, predictions, rules, state, best):
    """Put the candidates of the highest metrics above 0 into the list of the best; return their number."""
    boxes, scores, start = predictions
    rule, shape, ranges = rules
    angle, most, who = state[0], state[1], state[2]
    values, rows = best
    zero, topk, n = type(truth[0])(0), rule[0], 0
    for k in range(grid[3].size):
        _, columns, _, _, begin = level_at(grid, image, k)
        top, bottom, left, right = in_range(grid, image, k, truth, shape, ranges)
        for row in range(top, bottom):
            for p in range(begin + row * columns + left, begin + row * columns + right):
                o = overlap_with(rule, tile, g, boxes, start + p, p, angle)
                if not o > zero:
                    continue
                if o > most[p]:
                    most[p], who[p] = o, g
                if n == topk and not powered(o, rule[4]) > values[n - 1]:  # no score is above 1
                    continue
                m = metric_of(scores[start + p, label], o, rule)
                if m > zero:
                    n = place(values, rows, n, topk, m, p)
    return n


@device
def claim_zeros(grid, image, truth, g, predictions, rows, left, margin, claims, owner):
    """Claim candidates of metric 0, as far as they are among the lowest points, where too few metrics are above 0."""
    boxes, _, start = predictions
    x0, y0, x1, y1 = truth
    p, end = 0, points_of(grid, image)
    while left > 0 and p < end:
        taken = False
        for j in range(rows.size):
            taken |= rows[j] == p
        if not taken:
            left -= 1
            x, y, _ = place_of(grid, image, p)
            inside = x - x0 > margin and y - y0 > margin and x1 - x > margin and y1 - y > margin
            if inside and corners_at(boxes, start + p)[0] == corners_at(boxes, start + p)[0]:
                claim(p, g, claims, owner)
        p += 1


@device
def settle_everywhere(n, tile, known, truths, predictions, rule, state):
    """Find for each point that is claimed twice the truth of the greatest overlap, of all truths of the image."""
    angle, most, who, claims = state[0], state[1], state[2], state[3]
    for p in range(n):
        if claims[p] > 1:
            most[p], who[p] = 0, known
            for g in range(known, truths):
                o = overlap_with(rule, tile, g, predictions[0], predictions[2] + p, p, angle)
                if o > most[p]:
                    most[p], who[p] = o, g


@device
def keep_best(n, truths, kept, state):
    """Let each truth keep a number of its points at most: those of the highest metrics, then the lowest points."""
    owner, metric = state[4], state[5]
    zero = metric.dtype.type(0)
    values, rows = np.empty((truths, kept), metric.dtype), np.empty((truths, kept), np.int64)
    held = np.zeros(truths, np.int64)
    for p in range(n):
        g = owner[p]
        if g >= 0 and metric[p] > zero:
            held[g] = place(values[g], rows[g], held[g], kept, metric[p], p)
    for p in range(n):
        g = owner[p]
        if g < 0:
            continue
        before, stays = 0, False
        for j in range(held[g]):
            before += rows[g, j] < p
            stays |= rows[g, j] == p
        if not (stays or (metric[p] == zero and p - before < kept - held[g])):
            owner[p] = -1


@device
def settle(n, truths, classes, tile, predictions, rule, eps, state):
    """Give each claimed point to one truth, and turn metrics into target scores."""
    boxes, scores, start = predictions
    angle, _, who, claims, owner, metric, ious = state
    topk, topk2, _, _, _ = rule
    for p in range(n):
        if claims[p] > 1:
            owner[p] = who[p]
        g = owner[p]
        if g >= 0:
            ious[p] = overlap_with(rule, tile, g, boxes, start + p, p, angle)
            metric[p] = metric_of(scores[start + p, classes[g]], ious[p], rule)
    if topk2 < topk:
        keep_best(n, truths, topk2, state)
    highest, widest = np.zeros(truths, metric.dtype), np.zeros(truths, metric.dtype)
    for p in range(n):
        g = owner[p]
        if g >= 0:
            highest[g], widest[g] = larger(metric[p], highest[g]), larger(ious[p], widest[g])
    for p in range(n):
        g = owner[p]
        if g >= 0:
            metric[p] = metric[p] * widest[g] / (highest[g] + eps)


@device
def begin_image(n, known, state):
    angle, most, who, claims, owner, _, _ = state
    T = angle.dtype.type
    fill(angle, n, T(np.nan))
    fill(most, n, T(0))
    fill(who, n, np.int32(known))
    fill(claims, n, np.int32(0))
    fill(owner, n, np.int32(-1))


@device
def first_valid_of(tile, n):
    """Return the place of the first valid box of a tile; n without any."""
    g = 0
    while g < n and tile[0, g] != tile[0, g]:
        g += 1
    return g


def assign(grid, truths, predictions, rules, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, scores, overlaps.

    The first rule is topk, the number of points that a truth keeps in the end, the kind of overlap, alpha and beta;
    then come the shape, the ranges, none, whether a point claimed twice may go to a truth that it lies outside of, and
    the number added to greatest metrics.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    rule, shape, ranges, everywhere, eps = rules
    floats, ints, _, tile, lists, places = space
    state = floats[0], floats[1], ints[0], ints[1], ints[2], floats[2], floats[3]
    best = lists[0], places[0]
    found, rows = 0, new_rows(ranges)
    for image in range(first, last):
        s, e = starts[image], starts[image + 1]
        write_tile(truth_boxes, s, e, tile)
        known = first_valid_of(tile, e - s)
        if known == e - s:
            continue
        n, given = points_of(grid, image), (boxes, scores, firsts[image])
        begin_image(n, known, state)
        for g in range(known, e - s):
            if tile[0, g] != tile[0, g]:
                continue
            one = candidate_box(corners_in(tile, g), shape)
            m = walk(grid, image, one, g, classes[s + g], tile, given, (rule, shape, ranges), state, best)
            for j in range(m):
                claim(best[1][j], g, state[3], state[4])
            if m < rule[0]:
                claim_zeros(grid, image, one, g, given, best[1][:m], rule[0] - m, shape[4], state[3], state[4])
        if everywhere:
            settle_everywhere(n, tile, known, e - s, given, rule, state)
        settle(n, e - s, classes[s:e], tile, given, rule, eps, state)
        rows, found = collect(image, s, n, (state[4], state[5], state[6]), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    rule = group(i8, i8, i8, types.f8, types.f8)
    rules = group(rule, shape_type(t), types.vector(t, 2), types.boolean, t)
    truths = group(*truths_type(t).parts, readonly(i8))
    span = group(i8, i8)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rules, span, outputs_type(t), space_type(t))


TAL = Kernel(assign, _signature, {"": {}})
