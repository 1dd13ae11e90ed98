"""RTMDet's assignment by soft labels: by the costs of class, overlap and distance (Lyu et al., 2022).

A truth's greatest overlaps say how many points it takes, and their costs bound the cost of the last one: only points
that overlap enough for this cost are measured further.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, corners_in, iou_floored, iou_row, write_tile
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
from fastbox.kernels.assign.simota import greatest
from fastbox.kernels.assign.tal import first_valid_of
from fastbox.kernels.assign.valid_points import compact, mark, sigmoid, softplus
from fastbox.kernels.assign.windows import grid_type, place_of, points_of, truths_type
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import exp, log

LN10 = 2.302585092994046
PX, PY, STRIDE, ROWS = ANGLE, ANGLE + 1, ANGLE + 2, ANGLE + 3  # of a tile of points, behind corners and areas


@device
def locate(grid, image, members, m, tile):
    """Write x, y and stride of each point behind its prediction."""
    for j in range(m):
        x, y, k = place_of(grid, image, members[j])
        tile[PX, j], tile[PY, j], tile[STRIDE, j] = x, y, grid[3][k]


@device
def write_bases(members, m, scores, start, base):
    """Write for each valid point the cost of all its classes as background."""
    costs = np.empty(scores.shape[1], np.float64)
    for j in range(m):
        row = start + members[j]
        for c in range(costs.size):
            costs[c] = np.float64(scores[row, c])
        for c in range(costs.size):
            s = sigmoid(costs[c])
            costs[c] = softplus(costs[c]) * s * s
        total = 0.0
        for c in range(costs.size):
            total += costs[c]
        base[members[j]] = total


@device
def distance_cost(tile, j, one, radius):
    """Return 10 to the power of the distance of a point from a truth's centre, in strides, less the radius."""
    T = type(radius)
    x, y = tile[PX, j] - (one[0] + one[2]) / T(2), tile[PY, j] - (one[1] + one[3]) / T(2)
    far = T(math.sqrt(np.float64(x * x + y * y))) / tile[STRIDE, j]
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


@device
def cost_of(scene, j, one, label, o, apart, rule):
    """Return the cost of a truth at a valid point, given their overlap and the cost of their distance."""
    scores, start, members, _, base = scene
    p = members[j]
    others = 0.0 if rule[3] else base[p]
    return class_cost(scores[start + p, label], others, o, rule[3]) + overlap_cost(o, rule[1]) + apart


@device
def take(scene, m, one, label, row, rule, count, likely, best):
    """List a truth's valid points of the least costs, given those of its greatest overlaps; return their number."""
    tile = scene[3]
    costs, places = best
    T = type(rule[0])
    k, seeds, n = count, likely.size, 0
    for t in range(seeds):
        j = likely[t]
        v = cost_of(scene, j, one, label, row[j], distance_cost(tile, j, one, rule[0]), rule)
        n = place(costs, places, n, k, -v, j)
    bound = -costs[n - 1] if n == k else T(np.inf)
    least = T(exp(-np.float64(bound) / np.float64(rule[1])) * 0.99999 - 1.1e-7) if bound < T(np.inf) else T(-1)
    n = 0
    for j in range(m):
        if row[j] >= least:
            apart = distance_cost(tile, j, one, rule[0])
            if n == k and apart * T(0.999) - T(1e-5) > -costs[n - 1]:
                continue
            v = cost_of(scene, j, one, label, row[j], apart, rule)
            n = place(costs, places, n, k, -v, j)
    return n


@device
def cheapest(scene, j, truths, n, classes, rule):
    """Return the place of the truth of the least cost at a valid point, of all truths of the image."""
    tile = scene[3]
    T = type(rule[0])
    least, chosen = T(np.inf), first_valid_of(truths, n)
    for g in range(n):
        one = corners_in(truths, g)
        if one[0] == one[0]:
            o = iou_floored(one, corners_in(tile, j), T(1e-6))
            if overlap_cost(o, rule[1]) > least + T(1e-5):
                continue
            v = cost_of(scene, j, one, classes[g], o, distance_cost(tile, j, one, rule[0]), rule)
            if v < least:
                least, chosen = v, g
    return chosen


@device
def claim_outside(n, valid, usable, wanted, g, claims, owner):
    """Let a truth claim the lowest of the points that lie in no truth: in mmyolo they cost the same."""
    p = 0
    while wanted > 0 and p < n:
        if valid[p] == 0 and usable[p] == 1:
            claim(p, g, claims, owner)
            wanted -= 1
        p += 1


@device
def settle_outside(tile, members, n, valid, truths, known, claims, owner, ious):
    """Settle the points that lie in no truth: a point that is claimed twice is the first truth's."""
    for j in range(n):
        p = members[j]
        if valid[p] == 0 and owner[p] >= 0:
            owner[p] = known if claims[p] > 1 else owner[p]
            ious[p] = iou_floored(corners_in(truths, owner[p]), corners_in(tile, j), type(ious[p])(1e-6))


def assign(grid, truths, predictions, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, IoUs, IoUs.

    The rule is the radius in strides, the weight of overlaps, the number of IoUs whose sum counts a truth's points, and
    whether it is mmyolo's: only the truth's own class costs, all points' IoUs count, and points outside fill up.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    like = grid[0]
    T = like.dtype.type
    topk, own = rule[2], rule[3]
    floats, ints, base, wanted, lists, places = space
    tile, row, ious, every = floats[:ROWS], floats[ROWS], floats[ROWS + 1], floats[ROWS + 2 :]
    members, valid, owner, claims = ints[0], ints[1], ints[2], ints[3]
    all_members, usable = ints[4 if own else 0], ints[5 if own else 0]  # of mmyolo's alone
    best, likely = (lists[0], places[0]), (lists[1], places[1])
    found, rows = 0, new_rows(like)
    for image in range(first, last):
        s, e, start = starts[image], starts[image + 1], firsts[image]
        write_tile(truth_boxes, s, e, wanted)
        known = first_valid_of(wanted, e - s)
        if known == e - s:
            continue
        n = points_of(grid, image)
        fill(valid, n, np.int32(0))
        fill(owner, n, np.int32(-1))
        fill(claims, n, np.int32(0))
        mark(grid, image, wanted, e - s, T(0), True, False, valid)
        total = 0
        if own:
            fill(usable, n, np.int32(1))
            total = compact(boxes, start, n, usable, all_members, every)
        m = compact(boxes, start, n, valid, members, tile)
        locate(grid, image, members, m, tile)
        if not own:
            write_bases(members, m, scores, start, base)
        scene = (scores, start, members, tile, base)
        for g in range(known, e - s):
            one = corners_in(wanted, g)
            if one[0] != one[0]:
                continue
            if own:
                iou_row(every, total, one, T(1e-6), row)
                summed = greatest(row, total, topk, likely)[1]
            iou_row(tile, m, one, T(1e-6), row)
            seeds, here = greatest(row, m, topk, likely)
            k = max(np.int64(summed if own else here), 1)
            taken = take(scene, m, one, classes[s + g], row, rule, k, likely[1][:seeds], best)
            for j in range(taken):
                claim(np.int64(members[best[1][j]]), g, claims, owner)
            if own and taken < k:
                claim_outside(n, valid, usable, k - taken, g, claims, owner)
        if own:
            settle_outside(every, all_members, total, valid, wanted, known, claims, owner, ious)
        for j in range(m):
            p = members[j]
            if claims[p] > 1:
                owner[p] = cheapest(scene, j, wanted, e - s, classes[s:e], rule)
            if owner[p] >= 0:
                ious[p] = iou_floored(corners_in(wanted, owner[p]), corners_in(tile, j), T(1e-6))
        rows, found = collect(image, s, n, (owner, ious, ious), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rule = group(t, t, i8, types.boolean)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


RTMDET = Kernel(assign, _signature, {"": {}})
