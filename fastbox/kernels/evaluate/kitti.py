"""KITTI's matching: truths choose detections, for the scores of all matches, and for the counts above given scores."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.evaluate.overlap import Sides, four

LEAST = -10_000_000.0  # a detection with a lower score is never the best
COUNTED, ASIDE = 0, 1  # roles of boxes: they count, or are ignored; others are left out


@device
def share(box, truth, region):
    """Compute the IoU of a box with a truth, or the share of the box that lies in a region."""
    right, low, end, bottom = box.x + box.w, box.y + box.h, truth.x + truth.w, truth.y + truth.h
    across = (right if right < end else end) - (box.x if box.x > truth.x else truth.x)
    down = (low if low < bottom else bottom) - (box.y if box.y > truth.y else truth.y)
    if not (across > 0.0 and down > 0.0):
        return 0.0
    shared = across * down
    return shared / (box.w * box.h if region else box.w * box.h + truth.w * truth.h - shared)


@device
def best_scored(truth, detections, first, last, overlap, taken):
    """Find the free detection of the highest score that overlaps a truth; -1 for none."""
    (x, y, w, h), scores, roles = detections
    best, chosen = LEAST, -1
    for row in range(first, last):
        if (roles[row] == COUNTED or roles[row] == ASIDE) and not taken[row - first] and scores[row] > best:
            if share(Sides(x[row], y[row], w[row], h[row]), truth, False) > overlap:
                best, chosen = scores[row], row
    return chosen


@device
def best_placed(truth, detections, first, last, rule, taken):
    """Find the free detection of the greatest overlap with a truth, else the first ignored one; -1 for none."""
    (x, y, w, h), scores, roles = detections
    overlap, least = rule
    best, chosen, aside = 0.0, -1, False
    for row in range(first, last):
        if taken[row - first] or scores[row] < least or not (roles[row] == COUNTED or roles[row] == ASIDE):
            continue
        iou = share(Sides(x[row], y[row], w[row], h[row]), truth, False)
        if iou > overlap:
            if roles[row] == COUNTED and (iou > best or aside):
                best, chosen, aside = iou, row, False
            elif roles[row] == ASIDE and chosen < 0:
                chosen, aside = row, True
    return chosen


def match_scores(detections, bounds, truths, overlap, scores):
    """Match all detections, image by image; `scores` gets that of the detection of each truth that counts, else nan.

    Truths come in their order, and take the free detection with the highest score that overlaps more than `overlap`.
    """
    starts, ends = bounds
    (left, top, width, height), roles, _ = truths
    for image in range(len(starts) - 1):
        first, last = starts[image], starts[image + 1]
        taken = np.zeros(last - first, np.bool_)
        for t in range(ends[image], ends[image + 1]):
            scores[t] = np.nan
            if roles[t] != COUNTED and roles[t] != ASIDE:
                continue
            truth = Sides(left[t], top[t], width[t], height[t])
            row = best_scored(truth, detections, first, last, overlap, taken)
            if row >= 0:
                taken[row - first] = True
                if roles[t] == COUNTED and detections[2][row] == COUNTED:
                    scores[t] = detections[1][row]


def match_counts(detections, bounds, truths, rule, counts):
    """Match the detections from each score on; `counts` gets those that are true, false, on ignored truths, in regions.

    Truths come in their order, and take the free detection of the greatest overlap. A detection that no truth takes is
    not false if more than `overlap` of it lies in a region. The last count is that of the truths that nothing takes.
    """
    starts, ends = bounds
    (left, top, width, height), roles, regions = truths
    (x, y, w, h), scores, own = detections
    overlap, levels = rule
    for image in range(len(starts) - 1):
        first, last = starts[image], starts[image + 1]
        taken = np.empty(last - first, np.bool_)
        for level in range(len(levels)):
            taken[:] = False
            for t in range(ends[image], ends[image + 1]):
                if roles[t] != COUNTED and roles[t] != ASIDE:
                    continue
                truth = Sides(left[t], top[t], width[t], height[t])
                row = best_placed(truth, detections, first, last, (overlap, levels[level]), taken)
                if row < 0:
                    counts[level, 4] += roles[t] == COUNTED
                    continue
                taken[row - first] = True
                if own[row] == COUNTED:
                    counts[level, 0 if roles[t] == COUNTED else 2] += 1
            for row in range(first, last):
                if own[row] != COUNTED or taken[row - first] or scores[row] < levels[level]:
                    continue
                inside = False
                for t in range(ends[image], ends[image + 1]):
                    if regions[t] and not inside:
                        region = Sides(left[t], top[t], width[t], height[t])
                        inside = share(Sides(x[row], y[row], w[row], h[row]), region, True) > overlap
                counts[level, 3 if inside else 1] += 1


def _signature(last, out):
    def signature(t):
        detections = group(four(t), readonly(t), readonly(types.int8))
        truths = group(four(t), readonly(types.int8), readonly(types.boolean))
        return types.void(detections, group(readonly(i8), readonly(i8)), truths, last(t), out(t))

    return signature


MATCH_COUNTS = Kernel(match_counts, _signature(lambda t: group(t, readonly(t)), lambda t: vector(i8, 2)), {"": {}})
MATCH_SCORES = Kernel(match_scores, _signature(lambda t: t, vector), {"": {}})
