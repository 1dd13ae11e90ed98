"""Task-aligned assignment among all points, as mmdetection has it for TOOD (Feng et al., ICCV 2021)."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, corners_in, iou_row, write_tile
from fastbox.kernels.assign.positives import (
    BLOCK,
    any_above,
    close_blocks,
    collect,
    fill,
    listed,
    new_rows,
    outputs_type,
    place,
    predictions_type,
    rows_type,
    space_type,
)
from fastbox.kernels.assign.tal import powered
from fastbox.kernels.assign.valid_points import compact
from fastbox.kernels.assign.windows import grid_type, place_of, points_of, truths_type
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly
from fastbox.kernels.geometry.formulas import smaller


@device
def highest(n, members, row, predictions, label, rule, best):
    """List the points of the highest metrics above 0, wherever they are; return their number."""
    topk, alpha, beta = rule
    _, scores, start = predictions
    values, places = best
    T = row.dtype.type
    close_blocks(row, n)
    least, m = T(0), 0
    for first in range(0, n, BLOCK):
        if not any_above(row, first, least):
            continue
        for j in range(first, min(first + BLOCK, n)):
            if row[j] > least:
                score = scores[start + members[j], label]
                metric = powered(score, alpha) * powered(row[j], beta) if score > T(0) else T(0)
                if metric > T(0):
                    m = place(values, places, m, topk, metric, j)
                    if m == topk:  # no score is above 1
                        least = powered(values[m - 1], 1.0 / beta) * T(0.999999)
    return m


@device
def claim_inside(grid, image, one, g, members, row, found, m, state):
    """Let a truth claim those of its m points that lie inside; points prefer the greatest IoU."""
    levels, steps, strides, images, offset = grid
    values, places = found
    owner, metric, ious = state
    for j in range(m):
        p, o = members[places[j]], row[places[j]]
        last = images[image] + strides.size - 1
        x, y, _ = place_of(levels, steps, offset, images[image], last, p, o)
        inside = smaller(smaller(x - one[0], y - one[1]), smaller(one[2] - x, one[3] - y)) > type(o)(0.01)
        if inside and (owner[p] < 0 or o > ious[p]):
            ious[p], owner[p], metric[p] = o, g, values[j]


def assign(grid, truths, predictions, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, metrics, overlaps.

    The points of the topk metrics that lie inside a truth by more than 0.01 become its own; a point of several truths
    goes to the one of the greatest IoU among those that claim it. The rule is topk, alpha and beta.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    floats, ints, _, wanted, lists, spots = space
    row, members, owner = floats[ANGLE], ints[0], ints[1]
    state, best = (owner, floats[ANGLE + 1], floats[ANGLE + 2]), (lists[0], spots[0])
    found, rows = 0, new_rows(row)
    for image in range(first, last):
        s, e = starts[image], starts[image + 1]
        if s == e:
            continue
        points, given = points_of(grid[0], grid[3][image] + grid[2].size - 1), (boxes, scores, firsts[image])
        for p in range(points):
            members[p] = p
        n = compact(boxes, firsts[image], members, points, floats)
        write_tile(truth_boxes, s, e, wanted)
        fill(owner, points, np.int32(-1))
        for g in range(e - s):
            one = corners_in(wanted, g)
            if one[0] == one[0]:
                iou_row(floats, n, one, row.dtype.type(1e-6), row)
                m = highest(n, members, row, given, classes[s + g], rule, best)
                claim_inside(grid, image, one, np.int32(g), members, row, best, m, state)
        n = listed(owner, points, members)
        rows, found = collect(image, s, members, n, state, outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rule = group(i8, types.f8, types.f8)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


TOOD = Kernel(assign, _signature, {"": {}})
