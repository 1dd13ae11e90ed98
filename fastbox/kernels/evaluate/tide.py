"""Errors of detections as TIDE names them (Bolya et al., ECCV 2020): at one threshold, of all areas."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, group, i8, readonly, vector
from fastbox.kernels.codes import (
    BACKGROUND,
    BOTH,
    CLASS_MASK,
    CLASSIFICATION,
    DUPLICATE,
    IGNORED,
    LOCALIZATION,
    MATCHED,
    UNCOUNTED,
)
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import Sides, first_of, four, overlap


def classify_errors(detections, truths, rule, span, outputs):
    """Write the match type of each detection of the images of a span, and the truth concerned.

    Both collections come image by image, with an `order` of each image's rows by code. The rule holds the IoU of a hit,
    the IoU below which a detection is background, and the greatest number of detections. Detections take truths as in
    :mod:`~fastbox.kernels.evaluate.match`.

    `concerned` gets the row of the truth that is taken or that the error is about, and `values` the best IoU with a
    truth of the detection's class. `fixes` is true where the detection would take the truth concerned if its error were
    fixed: of all detections that claim an untaken truth, this is the one with the highest score.

    One function: two that take the columns as tuples, for each image and model, need a fifth more time.
    """
    (x, y, w, h), codes, bounds, order, scores = detections
    (left, top, width, height), classes, crowd, ignored, truth_bounds, truth_order = truths
    (first, last), (foreground, background, most), (match_types, concerned, values, fixes) = span, rule, outputs
    many = longest_of(truth_bounds, first, last)
    taken = np.empty(many, np.bool_)
    claims = np.empty((2, many), np.int64)
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        s, e = truth_bounds[image], truth_bounds[image + 1]
        while lo < stop:
            model = codes[order[lo]] & ~CLASS_MASK
            hi = lo
            while hi < stop and codes[order[hi]] & ~CLASS_MASK == model:
                hi += 1
            taken[: e - s] = False
            claims[:, : e - s] = -1
            # Detections take truths; a detection that takes no truth is background until its error is named.
            rank, before = 0, np.int64(-1)
            for place in range(lo, hi):
                row = order[place]
                rank = rank + 1 if codes[row] == before else 0
                before = codes[row]
                if rank >= most:
                    match_types[row] = UNCOUNTED
                    continue
                box = Sides(x[row], y[row], w[row], h[row])
                best, chosen, aside = foreground, np.int64(-1), False
                highest = 0.0
                begin = first_of(before & CLASS_MASK, classes, truth_order, s, e)
                for hiding in range(2):
                    if chosen >= 0:
                        break
                    for j in range(begin, e):
                        t = truth_order[j]
                        if classes[t] != before & CLASS_MASK:
                            break
                        if ignored[t] != (hiding == 1):
                            continue
                        iou = overlap(box, Sides(left[t], top[t], width[t], height[t]), crowd[t])
                        if hiding == 0 and iou > highest:
                            highest = iou
                        if iou >= best and (crowd[t] or not taken[t - s]):
                            best, chosen, aside = iou, t, hiding == 1
                values[row] = highest
                match_types[row] = BACKGROUND
                if chosen >= 0:
                    taken[chosen - s] = True
                    concerned[row] = chosen
                    match_types[row] = IGNORED if aside else MATCHED
                    if not aside:
                        values[row] = best
            # Each error is named, and the best claim on each truth is noted: the detection of the highest score that
            # would take the truth, were its localization or its class right.
            for place in range(lo, hi):
                row = order[place]
                if match_types[row] != BACKGROUND:
                    continue
                box = Sides(x[row], y[row], w[row], h[row])
                own, other = 0.0, 0.0
                own_truth, other_truth = np.int64(-1), np.int64(-1)
                for t in range(s, e):
                    if ignored[t]:
                        continue
                    iou = overlap(box, Sides(left[t], top[t], width[t], height[t]), False)
                    if classes[t] == codes[row] & CLASS_MASK:
                        if iou > own:
                            own, own_truth = iou, t
                    elif iou > other:
                        other, other_truth = iou, t
                if background <= own < foreground:
                    match_types[row], concerned[row] = LOCALIZATION, own_truth
                elif other >= foreground:
                    match_types[row], concerned[row] = CLASSIFICATION, other_truth
                elif own >= foreground:
                    match_types[row], concerned[row] = DUPLICATE, own_truth
                elif other >= background:
                    match_types[row], concerned[row] = BOTH, other_truth
                kind = match_types[row]
                if kind == LOCALIZATION or kind == CLASSIFICATION:
                    t = concerned[row] - s
                    held = claims[kind - LOCALIZATION, t]
                    if held < 0 or scores[row] > scores[held] or (scores[row] == scores[held] and row < held):
                        claims[kind - LOCALIZATION, t] = row
            for t in range(s, e):
                if ignored[t] or taken[t - s]:
                    continue
                for kind in range(2):
                    held = claims[kind, t - s]
                    if held >= 0:
                        fixes[held] = True
            lo = hi


def _signature(t):
    detections = group(four(t), readonly(i8), readonly(i8), readonly(i8), readonly(t))
    flags = readonly(types.boolean)
    truths = group(four(t), readonly(i8), flags, flags, readonly(i8), readonly(i8))
    outputs = group(vector(types.int8), vector(i8), vector(t), vector(types.boolean))
    return types.void(detections, truths, group(t, t, i8), group(i8, i8), outputs)


CLASSIFY_ERRORS = Kernel(classify_errors, _signature, {"": {}})
