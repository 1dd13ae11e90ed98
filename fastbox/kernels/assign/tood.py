"""Task-aligned assignment among all points, as mmdetection has it for TOOD (Feng et al., ICCV 2021)."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.overlaps import ANGLE, corners_in, iou_row, write_tile
from fastbox.kernels.assign.positives import (
    collect,
    fill,
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
def highest(n, members, row, scores, start, label, rule, best):
    """List the points of the highest metrics above 0, wherever they are; return their number."""
    topk, alpha, beta = rule
    values, places = best
    zero = row.dtype.type(0)
    least, m = zero, 0
    for j in range(n):
        if row[j] > least:
            score = scores[start + members[j], label]
            metric = powered(score, alpha) * powered(row[j], beta) if score > zero else zero
            if metric > zero:
                m = place(values, places, m, topk, metric, j)
                if m == topk:  # no score is above 1
                    least = powered(values[m - 1], 1.0 / beta) * row.dtype.type(0.999999)
    return m


def assign(grid, truths, predictions, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positives: points, truths, metrics, overlaps.

    The points of the topk metrics that lie inside a truth by more than 0.01 become its own; a point of several truths
    goes to the one of the greatest IoU among those that claim it. The rule is topk, alpha and beta.
    """
    (truth_boxes, starts, classes), (boxes, firsts, scores), (first, last) = truths, predictions, span
    like = grid[0]
    T = like.dtype.type
    floats, ints, _, wanted, lists, spots = space
    tile, row, metric, ious = floats[:ANGLE], floats[ANGLE], floats[ANGLE + 1], floats[ANGLE + 2]
    members, owner, valid = ints[0], ints[1], ints[2]
    values, places = lists[0], spots[0]
    found, rows = 0, new_rows(like)
    for image in range(first, last):
        s, e, start = starts[image], starts[image + 1], firsts[image]
        if s == e:
            continue
        points = points_of(grid, image)
        fill(valid, points, np.int32(1))
        n = compact(boxes, start, points, valid, members, tile)
        write_tile(truth_boxes, s, e, wanted)
        fill(owner, points, np.int32(-1))
        fill(ious, points, T(-1))
        for g in range(e - s):
            one = corners_in(wanted, g)
            if one[0] != one[0]:
                continue
            iou_row(tile, n, one, T(1e-6), row)
            m = highest(n, members, row, scores, start, classes[s + g], rule, (values, places))
            for j in range(m):
                p, o = members[places[j]], row[places[j]]
                x, y, _ = place_of(grid, image, p)
                inside = smaller(smaller(x - one[0], y - one[1]), smaller(one[2] - x, one[3] - y)) > T(0.01)
                if inside and o > ious[p]:
                    ious[p], owner[p], metric[p] = o, g, values[j]
        rows, found = collect(image, s, points, (owner, metric, ious), outputs, rows, found)
    return rows[0][:found], rows[1][:found], rows[2][:found], rows[3][:found]


def _signature(t):
    truths = group(*truths_type(t).parts, readonly(i8))
    rule = group(i8, types.f8, types.f8)
    return rows_type(t)(grid_type(t), truths, predictions_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


TOOD = Kernel(assign, _signature, {"": {}})
