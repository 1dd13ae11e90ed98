"""Claims of detections about truths: the truths of an image as each model sees them, and detections of one object."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import Sides, four, overlap
from fastbox.kernels.evaluate.places import ELSEWHERE, EXPLAINED, MISSING, WITHOUT_PART


@device
def is_better(weight, row, other_weight, other):
    """Tell whether a claim is stronger than another: by weight, else the first row."""
    return other < 0 or weight > other_weight or (weight == other_weight and row < other)


@device
def find_twins(boxes, classes, apart, least, lo, hi, twins, ious):
    """Write for each truth of an image the truth of its class that overlaps it most, and their IoU; -1 for none."""
    left, top, width, height = boxes
    for t in range(lo, hi):
        twins[t], ious[t] = -1, 0.0
        if apart[t]:
            continue
        box = Sides(left[t], top[t], width[t], height[t])
        for u in range(lo, hi):
            if u == t or apart[u] or classes[u] != classes[t]:
                continue
            iou = overlap(box, Sides(left[u], top[u], width[u], height[u]), False)
            if iou >= least and iou > ious[t]:
                twins[t], ious[t] = u, iou


@device
def mark_hits(detection, scores, value, hit, span, truths, cells):
    """Mark the truths of its class that a detection hits, and those whose twin it hits, given its IoUs."""
    (row, kind, model), (s, count), (classes, apart, twins), (own, shared, several) = detection, span, truths, cells
    for j in range(count):
        t = s + j
        if classes[t] != kind or apart[t]:
            continue
        hits = value[j] >= hit
        if hits:
            own[t, model] = max(own[t, model], value[j])
        if twins[t] >= 0:
            both = value[twins[t] - s] >= hit
            if hits or both:
                several[t, model] += 1
            before = shared[t, model]
            if hits and both and is_better(scores[row], row, scores[before], before):
                shared[t, model] = row


def survey(detections, truths, rule, span, outputs):
    """Write what the detections of the images of a span claim about the truths, apart for each model.

    Detections with a mark in `skip` and truths with a mark in `apart` take no part. Crowds are among the latter: a
    detection on one of its class, or on another truth that takes no part, takes no part either. The rule holds the IoU
    of a hit, the IoU from which on a detection of the class is near, the IoU with a truth of another class from which
    on a detection shows no missing object, and the least IoU of twins.

    `statuses` gets the place of each detection, `most` its best IoU. The cells have a row for each truth and a column
    for each model: the best IoU of a detection of the class, true for a detection near the truth, the detection of
    another class that hits it, the detection of its class that is near it, the detection that hits it and its twin, and
    the number of detections that hit either.
    """
    (x, y, w, h), kinds, models, scores, skip, bounds = detections
    (left, top, width, height), classes, crowd, apart, truth_bounds = truths
    (hit, background, beside, twin_least), (first, last) = rule, span
    (statuses, most), (twins, twin_ious), (own, near, wrong, wrong_iou), (placed, placed_iou, shared, several) = outputs
    value = np.empty(longest_of(truth_bounds, first, last), np.float64)
    for image in range(first, last):
        s, count = truth_bounds[image], truth_bounds[image + 1] - truth_bounds[image]
        find_twins((left, top, width, height), classes, apart, twin_least, s, s + count, twins, twin_ious)
        for row in range(bounds[image], bounds[image + 1]):
            statuses[row], most[row] = WITHOUT_PART, 0.0
            if skip[row]:
                continue
            box, kind, model, score = Sides(x[row], y[row], w[row], h[row]), kinds[row], models[row], scores[row]
            own_best, own_truth, other_best, other_truth, aside = 0.0, -1, 0.0, -1, False
            for j in range(count):
                t = s + j
                value[j] = 0.0
                iou = overlap(box, Sides(left[t], top[t], width[t], height[t]), crowd[t])
                if apart[t]:
                    aside |= classes[t] == kind and iou >= hit
                    continue
                value[j] = iou
                if classes[t] == kind:
                    if iou > own_best:
                        own_best, own_truth = iou, t
                elif iou > other_best:
                    other_best, other_truth = iou, t
            most[row] = max(own_best, other_best)
            if aside and own_best < hit:
                continue
            for j in range(count):
                if value[j] >= hit or (value[j] >= background and classes[s + j] == kind):
                    near[s + j, model] = True
            if own_best >= hit:
                statuses[row] = EXPLAINED
                mark_hits(
                    (row, kind, model), scores, value, hit, (s, count), (classes, apart, twins), (own, shared, several)
                )
            elif other_best >= hit:
                statuses[row] = ELSEWHERE
                t, before = other_truth, wrong[other_truth, model]
                if is_better(score * other_best, row, scores[before] * wrong_iou[t, model], before):
                    wrong[t, model], wrong_iou[t, model] = row, other_best
            elif own_best >= background:
                statuses[row] = ELSEWHERE
                t, before = own_truth, placed[own_truth, model]
                if is_better(score, row, scores[before], before):
                    placed[t, model], placed_iou[t, model] = row, own_best
            else:
                statuses[row] = MISSING if other_best < beside else ELSEWHERE


def _signature(t):
    flags = readonly(types.boolean)
    detections = group(four(t), readonly(i8), readonly(i8), readonly(t), flags, readonly(i8))
    truths = group(four(t), readonly(i8), flags, flags, readonly(i8))
    rule = types.repeated(t, 4)
    first = group(vector(t, 2), vector(types.boolean, 2), vector(i8, 2), vector(t, 2))
    second = group(vector(i8, 2), vector(t, 2), vector(i8, 2), vector(types.int32, 2))
    outputs = group(group(vector(types.int8), vector(t)), group(vector(i8), vector(t)), first, second)
    return types.void(detections, truths, rule, group(i8, i8), outputs)


SURVEY = Kernel(survey, _signature, {"": {}})


def gather(boxes, kinds, bounds, order, least, span, leaders):
    """Write for each box of the images of a span its leader: the first box in order that it overlaps, or itself.

    The rows of each image come by code and by descending score; boxes of different codes have different leaders.
    """
    x, y, w, h = boxes
    heads = np.empty(longest_of(bounds, span[0], span[1]), np.int64)
    for image in range(span[0], span[1]):
        count = 0
        for place in range(bounds[image], bounds[image + 1]):
            row = order[place]
            if count and kinds[heads[0]] != kinds[row]:
                count = 0
            box, leader = Sides(x[row], y[row], w[row], h[row]), row
            for k in range(count):
                other = heads[k]
                if overlap(box, Sides(x[other], y[other], w[other], h[other]), False) >= least:
                    leader = other
                    break
            leaders[row] = leader
            if leader == row:
                heads[count] = row
                count += 1


GATHER = Kernel(
    gather,
    lambda t: types.void(four(t), readonly(i8), readonly(i8), readonly(i8), t, group(i8, i8), vector(i8)),
    {"": {}},
)
