"""CrowdHuman's matching: ignored truths are regions, which any number of detections may lie in.

IoU and share have the bits of the data set's own code: areas by corners, and a small number added to each divisor.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import CLASS_MASK, THRESHOLDS_PER_WORD
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import Sides, first_of, four

u4 = types.uint32
i4 = types.int32

EPS = 1e-6  # added to each area that divides


@device
def share(box, truth, region):
    """Compute the IoU of a box with a truth, or the share of the box that lies in a region."""
    right, bottom, end, low = box.x + box.w, box.y + box.h, truth.x + truth.w, truth.y + truth.h
    across = (right if right < end else end) - (box.x if box.x > truth.x else truth.x)
    down = (bottom if bottom < low else low) - (box.y if box.y > truth.y else truth.y)
    if not (across > 0.0 and down > 0.0):
        return 0.0
    shared, area = across * down, (right - box.x) * (bottom - box.y)
    if region:
        return shared / (area + EPS)
    return shared / (area + (end - truth.x) * (low - truth.y) - shared + EPS)


@device
def chosen_truth(threshold, taken, near, ious, found, hidden):
    """Find the place of the last of the best free truths that count and reach a threshold; -1 for none.

    `taken` and `hidden` are flags of truths, `near` the places of the `found` truths with these IoUs.
    """
    best, chosen = threshold, np.int64(-1)
    for c in range(found):
        if ious[c] >= best and not (taken[near[c]] or hidden[near[c]]):
            best, chosen = ious[c], near[c]
    return chosen


@device
def in_region(threshold, near, shares, found, hidden):
    """Tell whether a box lies in an ignored truth by a share that reaches a threshold."""
    for c in range(found):
        if shares[c] >= threshold and hidden[near[c]]:
            return True
    return False


def match_regions(detections, truths, rule, span, outputs):
    """Match the detections of the images of a span, class by class, highest score first.

    Arguments are those of `match`. A detection takes the last of the best truths that are free and count; without one
    it is ignored if it lies in an ignored truth by a share that reaches the threshold.
    """
    (x, y, w, h), codes, outside, bounds, order = detections
    (left, top, width, height), classes, _, hidden, truth_bounds, truth_order = truths
    (thresholds, most), (first, last), (ranks, words) = rule, span, outputs
    many, ranges, steps = longest_of(truth_bounds, first, last), words.shape[1], len(thresholds)
    taken = np.empty((ranges, steps, many), np.bool_)
    aside = np.empty((ranges, many), np.bool_)
    near, ious, shares = np.empty(many, np.int64), np.empty(many, np.float64), np.empty(many, np.float64)
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        while lo < stop:
            code = codes[order[lo]]
            hi = lo
            while hi < stop and codes[order[hi]] == code:
                ranks[order[hi]] = hi - lo
                hi += 1
            begin = first_of(code & CLASS_MASK, classes, truth_order, truth_bounds[image], truth_bounds[image + 1])
            end = begin
            while end < truth_bounds[image + 1] and classes[truth_order[end]] == code & CLASS_MASK:
                taken[:, :, end - begin] = False
                for a in range(ranges):
                    aside[a, end - begin] = hidden[truth_order[end]] >> np.uint32(a) & np.uint32(1) != 0
                end += 1
            for place in range(lo, min(hi, lo + most)):
                row = order[place]
                box, found = Sides(x[row], y[row], w[row], h[row]), 0
                for j in range(begin, end):
                    t = truth_order[j]
                    truth = Sides(left[t], top[t], width[t], height[t])
                    inside = share(box, truth, True)
                    if inside > 0.0:
                        near[found], ious[found], shares[found] = j - begin, share(box, truth, False), inside
                        found += 1
                for a in range(ranges):
                    out = outside[row] >> np.uint32(a) & np.uint32(1) != 0
                    for k in range(steps):
                        word, bit = k // THRESHOLDS_PER_WORD, np.uint32(k % THRESHOLDS_PER_WORD)
                        mark = np.uint32(1) << bit
                        dropped = mark << np.uint32(THRESHOLDS_PER_WORD)
                        chosen = chosen_truth(thresholds[k], taken[a, k], near, ious, found, aside[a])
                        if chosen >= 0:
                            taken[a, k, chosen] = True
                            words[row, a, word] |= mark
                        elif in_region(thresholds[k], near, shares, found, aside[a]):
                            words[row, a, word] |= mark | dropped
                        elif out:
                            words[row, a, word] |= dropped
            lo = hi


def _signature(t):
    detections = group(four(t), readonly(i8), readonly(u4), readonly(i8), readonly(i8))
    truths = group(four(t), readonly(i8), readonly(types.boolean), readonly(u4), readonly(i8), readonly(i8))
    outputs = group(vector(i4), vector(u4, 3))
    return types.void(detections, truths, group(readonly(t), i8), group(i8, i8), outputs)


MATCH_REGIONS = Kernel(match_regions, _signature, {"": {}})
