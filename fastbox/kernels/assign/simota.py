"""SimOTA: each truth takes as many points of the least cost as its predictions overlap it (Ge et al., YOLOX, 2021).

The cost is of the class, the overlap, and far more for points that are no candidates. The class cost of a pair is the
point's cost without a class, less one class, plus one: logarithms are taken for points, not for pairs.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, X0, corners_in, iou_floored, iou_row, write_tile
from fastbox.kernels.assign.point_codes import AT_CENTRE, AT_CENTRE_INSIDE
from fastbox.kernels.assign.positives import claim, collect, fill, new_rows, outputs_type, place, rows_type, space_type
from fastbox.kernels.assign.valid_points import (
    compact,
    log_of,
    log_of_rest,
    mark,
    score_at,
    scored_predictions_type,
)
from fastbox.kernels.assign.windows import grid_type, level_at, place_of, points_of, stretch, truths_type
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import log


@device
def write_bases(members, m, given, base):
    """Write for each valid point the cost of all its classes as background."""
    scores, objectness, activation, start = given
    costs = np.empty(scores.shape[1], np.float64)
    for j in range(m):
        row = start + members[j]
        for c in range(costs.size):
            costs[c] = np.float64(score_at(scores, objectness, activation, row, c))
        for c in range(costs.size):
            costs[c] = log_of_rest(costs[c])
        total = 0.0
        for c in range(costs.size):
            total -= costs[c]
        base[members[j]] = total


@device
def greatest(row, n, k, best):
    """List the k greatest values above 0; return their number and their sum in the values' own dtype."""
    values, places = best
    least = total = row.dtype.type(0)
    m = 0
    for j in range(n):
        if row[j] > least:
            m = place(values, places, m, k, row[j], j)
            if m == k:
                least = values[m - 1]
    for j in range(m):
        total += values[j]
    return m, total


@device
def cost_of(one, label, given, p, prediction, base, rule):
    """Return the cost of a truth at one of its candidates."""
    _, _, floor, tiny, weight, _, _ = rule
    scores, objectness, activation, start = given
    T = type(weight)
    o = iou_floored(one, prediction, floor)
    s = np.float64(score_at(scores, objectness, activation, start + p, label))
    cost = T(base[p] + log_of_rest(s) - log_of(s)) + weight * T(-log(np.float64(o + tiny)))
    return cost if cost == cost else T(np.inf)  # 0/0, where both boxes are points


@device
def is_candidate(grid, image, p, one, radius, inside):
    """Tell whether a point is near the centre of a truth, and inside of it if it has to be."""
    x, y, k = place_of(grid, image, p)
    x0, y0, x1, y1 = one
    two, r = type(radius)(2), radius * grid[3][k]
    cx, cy = (x0 + x1) / two, (y0 + y1) / two
    near = x > cx - r and cx + r > x and y > cy - r and cy + r > y
    return near and (not inside or (x > x0 and x1 > x and y > y0 and y1 > y))


@device
def take(grid, image, g, one, label, given, scene, rule, k, best):
    """Let a truth claim its k points of the least cost: its candidates, or other valid points as well."""
    far, radius, inside = rule[0], rule[1], rule[6]
    m, members, tile, spots, base, least, who, claims, owner = scene
    costs, points = best
    T = type(far)
    mode = AT_CENTRE_INSIDE if inside else AT_CENTRE
    n = 0
    for level in range(grid[3].size):
        x, columns, y, rows, begin = level_at(grid, image, level)
        around = radius * grid[3][level]
        left, right = stretch(grid[0], x, columns, one[0], one[2], around, mode, T(0))
        top, bottom = stretch(grid[1], y, rows, one[1], one[3], around, mode, T(0))
        for row in range(top, bottom):
            for p in range(begin + row * columns + left, begin + row * columns + right):
                if spots[p] < 0:  # its prediction is invalid
                    continue
                v = cost_of(one, label, given, p, corners_in(tile, spots[p]), base, rule)
                if v < least[p]:
                    least[p], who[p] = v, g
                n = place(costs, points, n, k, -v, p)
    if n < k or -costs[n - 1] >= far:  # other truths' points, dearer by `far`
        for j in range(m):
            p = np.int64(members[j])
            if not is_candidate(grid, image, p, one, radius, inside):
                v = cost_of(one, label, given, p, corners_in(tile, j), base, rule) + far
                n = place(costs, points, n, k, -v, p)
    for j in range(n):
        claim(points[j], g, claims, owner)


@device
def cheapest(grid, image, p, prediction, truths, n, classes, given, base, rule):
    """Return the place of the truth of the least cost at a point, of all truths of the image."""
    least, chosen = type(rule[0])(np.inf), -1
    for g in range(n):
        one = corners_in(truths, g)
        if one[0] == one[0]:
            v = cost_of(one, classes[g], given, p, prediction, base, rule)
            if not is_candidate(grid, image, p, one, rule[1], rule[6]):
                v += rule[0]
            if v < least:
                least, chosen = v, g
    return chosen


def assign(grid, truths, predictions, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, IoUs, IoUs.

    The rule is the cost of a point that is no candidate, the radius in strides, the least union, the number added to
    IoUs in logarithms, the weight of overlaps, the number of IoUs whose sum counts a truth's points, and whether
    candidates have to lie in their truth.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores, objectness, activation), (first, last) = (
        truths,
        predictions,
        span,
    )
    like = grid[0]
    T = like.dtype.type
    topk, inside = rule[5], rule[6]
    floats, ints, base, wanted, lists, places = space
    tile, row, least, ious = floats[:ANGLE], floats[ANGLE], floats[ANGLE + 1], floats[ANGLE + 2]
    members, spots, valid, owner, who, claims = ints[0], ints[1], ints[2], ints[3], ints[4], ints[5]
    best = lists[0], places[0]
    found, rows = 0, new_rows(like)
    for image in range(first, last):
        s, e, start = starts[image], starts[image + 1], firsts[image]
        if s == e:
            continue
        n, given = points_of(grid, image), (scores, objectness, activation, start)
        write_tile(truth_boxes, s, e, wanted)
        fill(valid, n, np.int32(0))
        fill(claims, n, np.int32(0))
        fill(spots, n, np.int32(-1))
        fill(owner, n, np.int32(-1))
        fill(who, n, np.int32(-1))
        fill(least, n, T(np.inf))
        mark(grid, image, wanted, e - s, rule[1], inside, True, valid)
        m = compact(boxes, start, n, valid, members, tile)
        for j in range(m):
            spots[members[j]] = j
        write_bases(members, m, given, base)
        scene = (m, members, tile, spots, base, least, who, claims, owner)
        for g in range(e - s if m else 0):
            one = corners_in(wanted, g)
            if one[X0] == one[X0]:
                iou_row(tile, m, one, rule[2], row)
                k = max(np.int64(greatest(row, m, topk, best)[1]), 1)
                take(grid, image, g, one, classes[s + g], given, scene, rule, k, best)
        for j in range(m):
            p = np.int64(members[j])
            if claims[p] > 1:
                owner[p] = who[p]
                if who[p] < 0 or not least[p] < rule[0]:
                    owner[p] = cheapest(
                        grid, image, p, corners_in(tile, j), wanted, e - s, classes[s:e], given, base, rule
                    )
            if owner[p] >= 0:
                ious[p] = iou_floored(corners_in(wanted, owner[p]), corners_in(tile, j), rule[2])
        rows, found = collect(image, s, n, (owner, ious, ious), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rule = group(t, t, t, t, t, i8, types.boolean)
    span = group(i8, i8)
    return rows_type(t)(grid_type(t), truths, scored_predictions_type(t), rule, span, outputs_type(t), space_type(t))


SIMOTA = Kernel(assign, _signature, {"": {}})
