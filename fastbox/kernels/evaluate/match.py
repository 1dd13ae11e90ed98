"""COCO's matching: detections of an image and class take truths, at all thresholds and area ranges at once."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import first_bits
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import CLASS_MASK, THRESHOLDS_PER_WORD
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import box_at, first_of, four, overlap

u4 = types.uint32
KEEP = False  # whether the truth that is taken is kept, which takes memory; bound by each kernel


@device
def passed(value, thresholds):
    """Return which of some thresholds a value reaches, a bit for each."""
    found = np.uint32(0)
    for k in range(len(thresholds)):
        found |= np.uint32(value >= thresholds[k]) << np.uint32(k)
    return found


@inlined
def best_left(candidates, count, truths, taken, at, reached, aside):
    """Return the last of the best candidates that are free at thresholds not yet reached, and these thresholds.

    That is among the truths that are ignored in a range, or among the others; -1 if there is none.
    """
    (near, value, passes), (_, _, crowd, hidden, _, order), (begin, a, word) = candidates, truths, at
    chosen, best, marks = -1, 0.0, np.uint32(0)
    for c in range(count):
        t = order[begin + near[c]]
        if (hidden[t] >> np.uint32(a) & np.uint32(1) != 0) == aside and (chosen < 0 or value[c] >= best):
            free = passes[c] & ~reached
            if not (aside and crowd[t]):
                free &= ~taken[near[c], a, word]
            if free:
                chosen, best, marks = c, value[c], free
    return chosen, marks


def match(detections, truths, rule, span, outputs):
    """Match the detections of the images of a span, class by class, highest score first.

    Both collections come image by image, with an `order` of each image's rows by code. `outside` and `hidden` have a
    bit for each area range: the detection's area is not in it, the truth is ignored. The rule holds the thresholds and
    the greatest number of detections. A detection takes the last of the best truths that are free, an ignored truth
    only if no other one reaches the threshold.

    `ranks` gets each detection's rank in its class; `words` which thresholds it reaches, and at which it is ignored. A
    third output gets the row of the truth that it takes in each range and at each threshold, where these are kept.
    """
    boxes, codes, outside, bounds, order = detections
    targets, classes, crowd, _, truth_bounds, truth_order = truths
    (thresholds, most), (first, last) = rule, span
    ranks, words = outputs[0], outputs[1]
    many, ranges = longest_of(truth_bounds, first, last), words.shape[1]
    taken = np.empty((many, ranges, words.shape[2]), np.uint32)
    near, value, passes = np.empty(many, np.int64), np.empty(many, np.float64), np.empty(many, np.uint32)
    candidates = near, value, passes
    least = thresholds[0]
    for k in range(1, len(thresholds)):
        least = min(least, thresholds[k])
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        while lo < stop:
            code, hi = codes[order[lo]], lo
            while hi < stop and codes[order[hi]] == code:
                ranks[order[hi]] = hi - lo
                hi += 1
            begin = first_of(code & CLASS_MASK, classes, truth_order, truth_bounds[image], truth_bounds[image + 1])
            end = begin
            while end < truth_bounds[image + 1] and classes[truth_order[end]] == code & CLASS_MASK:
                taken[end - begin] = 0
                end += 1
            for place in range(lo, min(hi, lo + most)):
                row, found = order[place], 0
                box = box_at(boxes, row)
                for j in range(begin, end):
                    t = truth_order[j]
                    iou = overlap(box, box_at(targets, t), crowd[t])
                    if iou >= least:
                        near[found], value[found] = j - begin, iou
                        found += 1
                for word in range(words.shape[2]):
                    start = word * THRESHOLDS_PER_WORD
                    these, wanted = thresholds[start : start + THRESHOLDS_PER_WORD], np.uint32(0)
                    for c in range(found):
                        passes[c] = passed(value[c], these)
                        wanted |= passes[c]
                    every = np.uint32(first_bits(len(these)))
                    for a in range(ranges):
                        reached, ignored = np.uint32(0), np.uint32(0)
                        for aside in (False, True):
                            while reached != wanted:
                                chosen, marks = best_left(
                                    candidates, found, truths, taken, (begin, a, word), reached, aside
                                )
                                if chosen < 0:
                                    break
                                taken[near[chosen], a, word] |= marks
                                reached |= marks
                                if aside:
                                    ignored |= marks
                                if KEEP:
                                    for k in range(len(these)):
                                        if marks >> np.uint32(k) & np.uint32(1):
                                            outputs[2][row, a, start + k] = truth_order[begin + near[chosen]]
                        if outside[row] >> np.uint32(a) & np.uint32(1):
                            ignored |= every & ~reached
                        words[row, a, word] = reached | ignored << np.uint32(THRESHOLDS_PER_WORD)
            lo = hi


def match_types(t, boxes, *outputs):
    """Return the types of the arguments, given the type of boxes and those of the outputs."""
    detections = group(boxes, readonly(i8), readonly(u4), readonly(i8), readonly(i8))
    truths = group(boxes, readonly(i8), readonly(types.boolean), readonly(u4), readonly(i8), readonly(i8))
    return types.void(detections, truths, group(readonly(t), i8), group(i8, i8), group(*outputs))


def signature(t, boxes=four):
    """Return the types of the arguments, given the type of boxes."""
    return match_types(t, boxes(t), vector(types.int32), vector(u4, 3))


def _keeping(t):
    return match_types(t, four(t), vector(types.int32), vector(u4, 3), vector(types.int32, 3))


MATCH = Kernel(match, signature, {"": {}})
MATCH_KEEPING = Kernel(match, _keeping, {"keep": {"KEEP": True}})
