"""RTMDet's assignment by soft labels: by the costs of class, overlap and distance (Lyu et al., 2022).

A truth's greatest overlaps say how many points it takes, and the costs of points near its centre bound the cost of the
last one: only points that are near enough and overlap enough for this cost are measured further. The cost of all
classes is computed for these points alone.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, X0, corners_in, first_valid_of, iou_floored, iou_row, write_tile
from fastbox.kernels.assign.point_codes import AT_CENTRE, INSIDE
from fastbox.kernels.assign.positives import (
    claim,
    collect,
    fill,
    greatest,
    listed,
    new_rows,
    outputs_type,
    place_next,
    predictions_type,
    rows_type,
    space_type,
)
from fastbox.kernels.assign.valid_points import compact, mark, sigmoid, softplus
from fastbox.kernels.assign.windows import coordinate, grid_type, in_window, level_at, place_of, points_of, truths_type
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import exp, log

LN10 = 2.302585092994046
NEAR = 1.5  # strides from a truth's centre, within which the first points lie


@device
def base_of(scores, row, costs):
    """Return the cost of all classes as background, given space for the cost of each."""
    for c in range(costs.size):
        costs[c] = np.float64(scores[row, c])
    for c in range(costs.size):
        s = sigmoid(costs[c])
        costs[c] = softplus(costs[c]) * s * s
    total = 0.0
    for c in range(costs.size):
        total += costs[c]
    return total


@device
def is_known(p, label, given, own):
    """Tell whether the scores that cost at a point are numbers; the cost of all classes is computed once, -1 if not."""
    scores, start, base, costs = given
    if own:
        return scores[start + p, label] == scores[start + p, label]
    if base[p] != base[p]:
        total = base_of(scores, start + p, costs)
        base[p] = total if total == total else -1.0
    return base[p] >= 0.0


@device
def distance_cost(x, y, stride, one, radius):
    """Return 10 to the power of the distance of a point from a truth's centre, in strides, less the radius."""
    T = type(radius)
    x, y = x - (one[0] + one[2]) / T(2), y - (one[1] + one[3]) / T(2)
    far = T(math.sqrt(np.float64(x * x + y * y))) / stride
    return T(exp(LN10 * np.float64(far - radius)))


@device
def overlap_cost(o, weight):
    T = type(weight)
    return T(-log(np.float64(o + T(1e-7)))) * weight


@device
def class_cost(logit, base, o, own):
    """Return the cost of all classes, or of the truth's own class alone."""
    x, t = np.float64(logit), np.float64(o)
    s = sigmoid(x)
    term = (softplus(x) - t * x) * (t - s) * (t - s)
    return type(o)(term if own else base - softplus(x) * s * s + term)


@inlined
def least_overlap(most, weight):
    """Return an IoU below which the overlap alone costs more than a bound; -1 without a bound."""
    T = type(most)
    return T(exp(-np.float64(most) / np.float64(weight)) * 0.99999 - 1.1e-7) if most < T(np.inf) else T(-1)


@inlined
def cost_of(o, apart, most, label, p, given, rule):
    """Return the cost of a truth at a valid point: infinity if it is above a bound, nan if a score is.

    The cost of all classes is computed with the first truth for which overlap and distance cost little enough.
    """
    scores, start, base, _ = given
    _, weight, _, own = rule
    T = type(weight)
    overlaps = overlap_cost(o, weight)
    if (overlaps + apart) * T(0.999) - T(1e-5) > most:  # no class costs less than 0
        return T(np.inf)
    if not is_known(p, label, given, own):
        return T(np.nan)
    cost = class_cost(scores[start + p, label], 0.0 if own else base[p], o, own) + overlaps + apart
    return cost if cost == cost else T(np.inf)


@device
def nearest(grid, image, truth, row, marks, within, k, rule, given, best):
    """List the k valid points of the least costs; return their number.

    They are within some strides of the truth's centre on both axes, and have at least some IoU with the truth.
    """
    (one, label), (reach, least) = truth, within
    levels, steps, strides, images, offset = grid
    costs, points = best
    T = type(reach)
    most, n = T(np.inf), 0
    for level in range(strides.size):
        across, down, begin = level_at(levels, steps, offset, images[image] + level)
        top, bottom, left, right = in_window(across, down, one, reach * strides[level], AT_CENTRE, T(0))
        for line in range(top, bottom):
            y = coordinate(down, line, reach)
            for column in range(left, right):
                p = begin + line * across[0] + column
                j = marks[np.uint64(p)] - 1
                if j >= 0 and row[np.uint64(j)] >= least:
                    apart = distance_cost(coordinate(across, column, reach), y, strides[level], one, rule[0])
                    if apart * T(0.999) - T(1e-5) > most:
                        continue
                    v = cost_of(row[j], apart, most, label, p, given, rule)
                    if v == v:
                        n = place_next(costs, points, n, k, -v, p)
                        most = -costs[n - 1] if n == k else most
    return n


@device
def take(grid, image, truth, row, marks, k, rule, given, best):
    """List a truth's k valid points of the least costs; return their number.

    The costs of points near its centre bound the cost of the last one, and so its distance and its overlap.
    """
    T = type(rule[0])
    endless = T(np.inf)
    n = nearest(grid, image, truth, row, marks, (T(NEAR), T(-1)), k, rule, given, best)
    most = -best[0][n - 1] if n == k else endless
    reach = rule[0] + T(log(np.float64(most) * 1.001 + 1e-3) / LN10 + 0.01) if most < endless else endless
    within = reach, least_overlap(most, rule[1])
    return nearest(grid, image, truth, row, marks, within, k, rule, given, best)


@device
def cheapest(grid, image, p, b, truths, n, classes, rule, given):
    """Return the place of the truth of the least cost at a valid point, of all truths of the image."""
    levels, steps, strides, images, offset = grid
    T = type(rule[0])
    begin = images[image]
    x, y, at = place_of(levels, steps, offset, begin, begin + strides.size - 1, p, rule[0])
    least, chosen = T(np.inf), first_valid_of(truths, n)
    for g in range(n):
        one = corners_in(truths, g)
        if one[0] == one[0]:
            o, apart = iou_floored(one, b, T(1e-6)), distance_cost(x, y, strides[at - begin], one, rule[0])
            v = cost_of(o, apart, least, classes[g], p, given, rule)
            if v < least:
                least, chosen = v, g
    return chosen


@device
def number_of(row, members, m, label, most, given, own, best):
    """Return how many points a truth takes: the sum of its greatest IoUs, of points of known scores; at least one."""
    while True:
        n, total = greatest(row, m, most, best)
        unknown = 0
        for j in range(n):
            place = best[1][j]
            if not is_known(members[place], label, given, own):
                row[place] = row.dtype.type(0)
                unknown += 1
        if unknown == 0:
            return max(np.int64(total), 1)


@device
def claim_outside(members, m, marks, wanted, side, given, claims, owner):
    """Let a truth claim the lowest of the points that lie in no truth: in mmyolo they cost the same."""
    g, label = side
    for j in range(m):
        p = members[j]
        if wanted > 0 and marks[p] < 0 and is_known(p, label, given, True):
            claim(p, g, claims, owner)
            wanted -= 1


@device
def settle(grid, image, packed, side, rule, given, state):
    """Give each claimed point to one truth, and write their IoU; one that lies in no truth is the first truth's.

    What is packed is the number of points, the points, the tile. A side is truths, the first valid one, their number
    and classes.
    """
    (m, members, tile), (truths, known, n, classes) = packed, side
    marks, claims, owner, ious = state
    for j in range(m):
        p = np.int64(members[j])
        b = corners_in(tile, j)
        if claims[p] > 1:
            owner[p] = known
            if marks[p] >= 0:
                owner[p] = cheapest(grid, image, p, b, truths, n, classes, rule, given)
        if owner[p] >= 0:
            ious[p] = iou_floored(corners_in(truths, owner[p]), b, type(ious[p])(1e-6))


@device
def prepare(grid, image, truths, n, points, rule, boxes, given, scene):
    """Pack the valid points of an image, or all points for mmyolo; a valid point is marked with its place, plus 1."""
    (_, start, base, _), (members, marks, tile), own = given, scene, rule[3]
    fill(marks, points, np.int32(-1))
    mark(grid, image, truths, n, rule[0], INSIDE, marks)
    if own:
        for p in range(points):
            members[p] = p
    else:
        fill(base, points, np.nan)
    m = compact(boxes, start, members, points if own else listed(marks, points, members), tile)
    for j in range(m):
        if marks[members[j]] >= 0:
            marks[members[j]] = j + 1
    return m


def assign(grid, truths, predictions, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, IoUs, IoUs.

    The rule is the radius in strides, the weight of overlaps, the number of IoUs whose sum counts a truth's points, and
    whether it is mmyolo's: only the truth's own class costs, all points' IoUs count, and points outside fill up.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    tile, ints, base, wanted, lists, places = space
    row, members, marks, owner, claims = tile[ANGLE], ints[0], ints[1], ints[2], ints[3]
    best, state, own = (lists[0], places[0]), (marks, claims, owner, row), rule[3]
    costs = np.empty(scores.shape[1], np.float64)
    found, rows = 0, new_rows(row)
    for image in range(first, last):
        s, e, start = starts[image], starts[image + 1], firsts[image]
        write_tile(truth_boxes, s, e, wanted)
        known = first_valid_of(wanted, e - s)
        if known == e - s:
            continue
        n, given = points_of(grid[0], grid[3][image] + grid[2].size - 1), (scores, start, base, costs)
        fill(owner, n, np.int32(-1))
        fill(claims, n, np.int32(0))
        m = prepare(grid, image, wanted, e - s, n, rule, boxes, given, (members, marks, tile))
        for g in range(known, e - s):
            one = corners_in(wanted, g)
            if one[X0] != one[X0]:
                continue
            iou_row(tile, m, one, row.dtype.type(1e-6), row)
            k = number_of(row, members, m, classes[s + g], rule[2], given, own, best)
            taken = take(grid, image, (one, classes[s + g]), row, marks, k, rule, given, best)
            for j in range(taken):
                claim(best[1][j], np.int32(g), claims, owner)
            if own and taken < k:
                claim_outside(members, m, marks, k - taken, (np.int32(g), classes[s + g]), given, claims, owner)
        settle(grid, image, (m, members, tile), (wanted, known, e - s, classes[s:e]), rule, given, state)
        m = listed(owner, n, members)
        rows, found = collect(image, s, members, m, (owner, row, row), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rule = group(t, t, i8, types.boolean)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


RTMDET = Kernel(assign, _signature, {"": {}})
