"""SimOTA: each truth takes as many points of the least cost as its predictions overlap it (Ge et al., YOLOX, 2021).

The cost is of the class, the overlap, and far more for points that are no candidates. The class cost of a pair is the
point's cost without a class, less one class, plus one: logarithms are taken for points, not for pairs.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.overlaps import (
    ANGLE,
    AREA,
    BATCH,
    BATCH_ROWS,
    OVERLAP,
    RATED,
    X0,
    X1,
    Y0,
    Y1,
    clear,
    corners_in,
    iou_floored,
    iou_row,
    write_tile,
)
from fastbox.kernels.assign.point_codes import AT_CENTRE, AT_CENTRE_INSIDE, INSIDE, LOGIT_PRODUCTS, PRODUCTS
from fastbox.kernels.assign.positives import (
    claim,
    collect,
    fill,
    greatest,
    listed,
    new_rows,
    outputs_type,
    place,
    place_next,
    rows_type,
    space_type,
)
from fastbox.kernels.assign.valid_points import (
    FLOOR,
    compact,
    has_logits,
    log_of,
    log_of_rest,
    mark,
    presence_of,
    score_of,
    scored_predictions_type,
    sigmoid,
)
from fastbox.kernels.assign.windows import grid_type, list_candidates, place_of, points_of, shape_type, truths_type
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.elementary import log

LANES, FACTORS = 8, 16  # products side by side, and the numbers of each
PRESENCE = ANGLE  # the row of a tile, of a batch too, that has the objectness of predictions
ROW, ROWS = ANGLE + 1, ANGLE + 2  # a truth's IoUs behind it, and the number of rows


@device
def base_of(scores, row, presence, activation, rated):
    """Return the cost of all classes as background, given space for the scores in whole lanes.

    It is the sum of -log(1 - score), at most 100 each; nan if a score is nan. Logarithms are taken of products of at
    most FACTORS numbers, of which none is below 2^-848: a score below 1 leaves at least 2^-53.
    """
    T = scores.dtype.type
    classes = scores.shape[1]
    for c in range(classes):
        rated[c] = np.float64(scores[row, c])
    for c in range(classes, rated.size):
        rated[c] = 0.0
    if has_logits(activation):
        for c in range(classes):
            rated[c] = np.float64(T(sigmoid(rated[c])))
    if activation == PRODUCTS or activation == LOGIT_PRODUCTS:
        for c in range(classes):
            rated[c] = np.float64(T(np.sqrt(np.float64(T(rated[c]) * presence))))
    certain, unknown = 0, 0
    for c in range(rated.size):
        unknown += rated[c] != rated[c]
        certain += not 1.0 - rated[c] > 0.0
        rated[c] = 1.0 - rated[c] if 1.0 - rated[c] > 0.0 else 1.0
    total = -FLOOR * certain
    products = stack_array(rated, LANES)
    for first in range(0, rated.size, LANES * FACTORS):
        for lane in range(LANES):
            products[lane] = 1.0
        for start in range(first, min(first + LANES * FACTORS, rated.size), LANES):
            for lane in range(LANES):
                products[lane] *= rated[start + lane]
        for lane in range(LANES):
            total -= log(products[lane])
    return np.nan if unknown else total


@inlined
def pair_cost(o, score, base, tiny, weight):
    """Return the cost of a truth at one of its candidates, of their IoU, the score and the base of the prediction."""
    T = type(weight)
    cost = T(base + log_of_rest(score) - log_of(score)) + weight * T(-log(np.float64(o + tiny)))
    return cost if cost == cost else T(np.inf)  # 0/0, where both boxes are points


@device
def cost_of(one, b, score, presence, base, activation, rule):
    """Return the cost of a truth at one of its candidates."""
    _, floor, tiny, weight, _ = rule
    rated = np.float64(score_of(score, presence, activation))
    return pair_cost(iou_floored(one, b, floor), rated, base, tiny, weight)


@device
def is_candidate(x, y, one, radius, inside):
    """Tell whether a point is near the centre of a truth, and inside of it if it has to be."""
    x0, y0, x1, y1 = one
    two = type(radius)(2)
    cx, cy = (x0 + x1) / two, (y0 + y1) / two
    near = x > cx - radius and cx + radius > x and y > cy - radius and cy + radius > y
    return near and (not inside or (x > x0 and x1 > x and y > y0 and y1 > y))


@device
def take_candidates(points, n, one, label, given, scene, rule, k, best):
    """List the k candidates of the least costs, of n; return their number."""
    scores, activation, start = given
    members, tile, spots, base = scene
    _, floor, tiny, weight, _ = rule
    costs, places = best
    batch, where = stack_tile(costs, BATCH_ROWS, BATCH), stack_array(places, BATCH)
    bases, rated = stack_array(base, BATCH), stack_array(base, BATCH)
    clear(batch)
    fill(bases, BATCH, 0.0)
    found = 0
    for first in range(0, n, BATCH):
        m = 0
        for i in range(first, min(first + BATCH, n)):
            j = spots[points[np.uint64(i)]]
            if j >= 0:  # else its prediction is invalid
                batch[X0, m], batch[Y0, m], batch[X1, m], batch[Y1, m] = corners_in(tile, j)
                batch[RATED, m], batch[PRESENCE, m] = scores[start + members[j], label], tile[PRESENCE, j]
                bases[m], where[m] = base[j], members[j]
                m += 1
        for i in range(BATCH):
            batch[OVERLAP, i] = iou_floored(one, corners_in(batch, i), floor)
        for i in range(BATCH):
            rated[i] = np.float64(score_of(batch[RATED, i], batch[PRESENCE, i], activation))
        for i in range(BATCH):
            batch[OVERLAP, i] = -pair_cost(batch[OVERLAP, i], rated[i], bases[i], tiny, weight)
        for i in range(m):
            found = place_next(costs, places, found, k, batch[OVERLAP, i], where[i])
    return found


@device
def take_others(grid, image, m, truth, given, scene, rules, k, found, best):
    """Put valid points that are other truths' candidates into a list of the least costs, dearer by `far`."""
    levels, steps, strides, images, offset = grid
    scores, activation, start = given
    members, tile, _, base = scene
    (one, label), (rule, shape) = truth, rules
    costs, places = best
    begin = images[image]
    for j in range(m):
        p = np.int64(members[j])
        x, y, at = place_of(levels, steps, offset, begin, begin + strides.size - 1, p, one[0])
        if not is_candidate(x, y, one, shape[1] * strides[at - begin], shape[0] == AT_CENTRE_INSIDE):
            score = scores[start + p, label]
            v = cost_of(one, corners_in(tile, j), score, tile[PRESENCE, j], base[j], activation, rule)
            found = place(costs, places, found, k, -(v + rule[0]), p)
    return found


@device
def cheapest(grid, image, j, truths, n, classes, given, scene, rules):
    """Return the place of the truth of the least cost at a point: of its candidates', or of all if none is near."""
    levels, steps, strides, images, offset = grid
    scores, activation, start = given
    members, tile, _, base = scene
    rule, shape = rules
    far, p, begin = rule[0], members[j], images[image]
    x, y, at = place_of(levels, steps, offset, begin, begin + strides.size - 1, p, far)
    least, chosen = type(far)(np.inf), -1
    for every in (False, True):
        for g in range(n):
            one = corners_in(truths, g)
            near = is_candidate(x, y, one, shape[1] * strides[at - begin], shape[0] == AT_CENTRE_INSIDE)
            if one[0] == one[0] and near != every:
                score = scores[start + p, classes[g]]
                v = cost_of(one, corners_in(tile, j), score, tile[PRESENCE, j], base[j], activation, rule)
                v += far if every else type(far)(0)
                if v < least or (v == least and g < chosen):
                    least, chosen = v, g
        if least < far:
            break
    return chosen


@device
def prepare(grid, image, truths, n, shape, predictions, points, rated, scene):
    """Pack the valid points of an image, with the objectness and the base of each; return their number.

    A point with a score of nan is none of them.
    """
    boxes, scores, objectness, activation, start = predictions
    members, tile, spots, base = scene
    fill(spots, points, np.int32(-1))
    mark(grid, image, truths, n, shape[1], AT_CENTRE, spots)
    if shape[0] == AT_CENTRE_INSIDE:
        mark(grid, image, truths, n, shape[1], INSIDE, spots)
    m = compact(boxes, start, members, listed(spots, points, members), tile)
    fill(spots, points, np.int32(-1))
    kept = 0
    for j in range(m):
        row = start + members[j]
        members[kept] = members[j]
        for k in (X0, Y0, X1, Y1, AREA):
            tile[k, kept] = tile[k, j]
        tile[PRESENCE, kept] = presence_of(objectness, activation, row)
        base[kept] = base_of(scores, row, tile[PRESENCE, kept], activation, rated)
        if base[kept] == base[kept]:
            spots[members[kept]] = kept
            kept += 1
    return kept


@device
def settle(grid, image, m, side, given, scene, rules, state):
    """Give each claimed point to one truth, and write their IoU; a side is truths, their number and classes."""
    (truths, n, classes), (claims, owner, ious) = side, state
    members, tile, _, _ = scene
    for j in range(m):
        p = members[j]
        if claims[p] > 1:
            owner[p] = cheapest(grid, image, j, truths, n, classes, given, scene, rules)
        if owner[p] >= 0:
            ious[p] = iou_floored(corners_in(truths, owner[p]), corners_in(tile, j), rules[0][1])


def assign(grid, truths, predictions, rules, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, IoUs, IoUs.

    The rule is the cost of a point that is no candidate, the least union, the number added to IoUs in logarithms, the
    weight of overlaps, and the number of IoUs whose sum counts a truth's points; the shape comes behind it.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores, objectness, activation) = truths, predictions
    rule, shape = rules
    tile, ints, base, wanted, lists, places = space
    members, spots, owner, claims, points = ints[0], ints[1], ints[2], ints[3], ints[4]
    row, best, scene = tile[ROW], (lists[0], places[0]), (members, tile, spots, base)
    rated = np.empty((scores.shape[1] + LANES - 1) // LANES * LANES, np.float64)
    found, rows = 0, new_rows(row)
    for image in range(span[0], span[1]):
        s, e, start = starts[image], starts[image + 1], firsts[image]
        if s == e:
            continue
        n = points_of(grid[0], grid[3][image] + grid[2].size - 1)
        write_tile(truth_boxes, s, e, wanted)
        fill(claims, n, np.int32(0))
        fill(owner, n, np.int32(-1))
        given = (scores, activation, start)
        m = prepare(grid, image, wanted, e - s, shape, (boxes, scores, objectness, activation, start), n, rated, scene)
        for g in range(e - s if m else 0):
            one = corners_in(wanted, g)
            if one[X0] != one[X0]:
                continue
            iou_row(tile, m, one, rule[1], row)
            k = max(np.int64(greatest(row, m, rule[4], best)[1]), 1)
            count = list_candidates(grid, image, one, shape, points)
            taken = take_candidates(points, count, one, classes[s + g], given, scene, rule, k, best)
            if taken < k or -best[0][taken - 1] >= rule[0]:
                taken = take_others(grid, image, m, (one, classes[s + g]), given, scene, rules, k, taken, best)
            for j in range(taken):
                claim(best[1][j], np.int32(g), claims, owner)
        settle(grid, image, m, (wanted, e - s, classes[s:e]), given, scene, rules, (claims, owner, row))
        m = listed(owner, n, members)
        rows, found = collect(image, s, members, m, (owner, row, row), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rules = group(group(t, t, t, t, i8), shape_type(t))
    span = group(i8, i8)
    return rows_type(t)(grid_type(t), truths, scored_predictions_type(t), rules, span, outputs_type(t), space_type(t))


SIMOTA = Kernel(assign, _signature, {"": {}})
