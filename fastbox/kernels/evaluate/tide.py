"""Errors of detections as TIDE names them (Bolya et al., ECCV 2020): at one threshold, of all areas."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
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
from fastbox.kernels.evaluate.curves import EPS
from fastbox.kernels.evaluate.overlap import box_at, first_of, four, frame_of, overlap


def classify_errors(detections, truths, rule, span, outputs):
    """Write the match type of each detection of the images of a span, and the truth concerned.

    Both collections come image by image, with an `order` of each image's rows by code. The rule holds the IoU of a hit,
    the IoU below which a detection is background, and the greatest number of detections. Detections take truths as in
    :mod:`~fastbox.kernels.evaluate.match`; every crowd is among the ignored truths.

    `concerned` gets the row of the truth that is taken or that the error is about, and `values` the best IoU with a
    truth of the detection's class. `fixes` is true where the detection would take the truth concerned if its error were
    fixed: of all detections that claim an untaken truth, this is the one with the highest score.

    One function: two that take the columns as tuples, for each image and model, need a fifth more time.
    """
    boxes, codes, bounds, order, scores = detections
    targets, classes, crowd, ignored, truth_bounds, truth_order = truths
    (first, last), (foreground, background, most), (match_types, concerned, values, fixes) = span, rule, outputs
    many = longest_of(truth_bounds, first, last)
    taken = np.empty(many, np.bool_)
    claims = np.empty((2, many), np.int64)
    edges = np.empty((4, many), np.float64)
    near = np.empty(many + 1, np.int64)
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        s, count = truth_bounds[image], truth_bounds[image + 1] - truth_bounds[image]
        for j in range(count):
            t = truth_order[s + j]
            edges[0, j], edges[1, j], edges[2, j], edges[3, j] = frame_of(box_at(targets, t))
        while lo < stop:
            model = codes[order[lo]] & ~CLASS_MASK
            hi = lo
            while hi < stop and codes[order[hi]] & ~CLASS_MASK == model:
                hi += 1
            taken[:count] = False
            claims[:, :count] = -1
            rank, before, begin, end = 0, np.int64(-1), 0, 0
            for place in range(lo, hi):
                row = order[place]
                rank += 1
                if codes[row] != before:
                    rank, before = 0, codes[row]
                    begin = first_of(before & CLASS_MASK, classes, truth_order, s, s + count) - s
                    end = begin
                    while end < count and classes[truth_order[s + end]] == before & CLASS_MASK:
                        end += 1
                if rank >= most:
                    match_types[row] = UNCOUNTED
                    continue
                box = box_at(boxes, row)
                left, top, right, bottom = frame_of(box)
                found = 0
                for j in range(count):
                    near[found] = j
                    across = (right > edges[0, j]) & (edges[2, j] > left)
                    found += across & (bottom > edges[1, j]) & (edges[3, j] > top)
                # The free truth to take, the ignored one to take, and the nearest of the class and of the others; of
                # equals the last place is taken, and the first row is the nearest.
                best, chosen, other_best, aside = foreground, -1, foreground, -1
                own, own_place, own_truth = 0.0, -1, -1
                other, other_place, other_truth = 0.0, -1, -1
                for c in range(found):
                    j = near[c]
                    t = truth_order[s + j]
                    same = begin <= j < end
                    if ignored[t] and not same:
                        continue
                    iou = overlap(box, box_at(targets, t), crowd[t])
                    if ignored[t]:
                        if iou >= other_best and (crowd[t] or not taken[j]):
                            other_best, aside = iou, j
                    elif same:
                        if iou > own or (iou == own and t < own_truth):
                            own, own_place, own_truth = iou, j, t
                        if iou >= best and not taken[j]:
                            best, chosen = iou, j
                    elif iou > other or (iou == other and t < other_truth):
                        other, other_place, other_truth = iou, j, t
                values[row] = own
                if chosen >= 0:
                    taken[chosen] = True
                    values[row], match_types[row], concerned[row] = best, MATCHED, truth_order[s + chosen]
                    continue
                if aside >= 0:
                    taken[aside] = True
                    match_types[row], concerned[row] = IGNORED, truth_order[s + aside]
                    continue
                kind, claimed = BACKGROUND, -1
                if background <= own < foreground:
                    kind, claimed, concerned[row] = LOCALIZATION, own_place, own_truth
                elif other >= foreground:
                    kind, claimed, concerned[row] = CLASSIFICATION, other_place, other_truth
                elif own >= foreground:
                    kind, concerned[row] = DUPLICATE, own_truth
                elif other >= background:
                    kind, concerned[row] = BOTH, other_truth
                match_types[row] = kind
                if claimed >= 0:  # the claim of the highest score on a truth is kept
                    held = claims[kind - LOCALIZATION, claimed]
                    if held < 0 or scores[row] > scores[held] or (scores[row] == scores[held] and row < held):
                        claims[kind - LOCALIZATION, claimed] = row
            for j in range(count):
                if not (taken[j] or ignored[truth_order[s + j]]):
                    for kind in range(2):
                        if claims[kind, j] >= 0:
                            fixes[claims[kind, j]] = True
            lo = hi


def signature(t, boxes=four):
    """Return the types of the arguments, given the type of boxes."""
    detections = group(boxes(t), readonly(i8), readonly(i8), readonly(i8), readonly(t))
    flags = readonly(types.boolean)
    truths = group(boxes(t), readonly(i8), flags, flags, readonly(i8), readonly(i8))
    outputs = group(vector(types.int8), vector(i8), vector(t), vector(types.boolean))
    return types.void(detections, truths, group(t, t, i8), group(i8, i8), outputs)


CLASSIFY_ERRORS = Kernel(classify_errors, signature, {"": {}})


def trace_fixed(detections, moved, truths, rule, span, precision):
    """Write the precision at each recall of the classes of a span, as if the errors of one match type were fixed.

    Detections lie class by class between `bounds` and descend by score; `fixed` is not negative where a detection
    takes a truth once its error is fixed. Other detections of the match type are left out, and those of CLASSIFICATION
    go to the class of their truth: `moved` has their rows by that class, by descending score.
    """
    (match_types, fixed, scores, bounds), (rows, ends) = detections, moved
    (match_type, recalls), (first, last) = rule, span
    longest = 0
    for k in range(first, last):
        longest = max(longest, bounds[k + 1] - bounds[k] + ends[k + 1] - ends[k])
    seen, envelope = np.empty(longest, np.int64), np.empty(longest, np.float64)
    for k in range(first, last):
        wanted = truths[k]
        if wanted == 0:
            continue
        true, total, come, stop = 0, 0, ends[k], bounds[k + 1]
        for j in range(bounds[k], stop + 1):
            while come < ends[k + 1]:
                row = rows[come]
                if j < stop and (scores[row] < scores[j] or (scores[row] == scores[j] and row > j)):
                    break
                total += 1
                seen[true] = total
                true += 1
                come += 1
            if j == stop:
                break
            kind = match_types[j]
            if kind == IGNORED or (kind == match_type and (kind == CLASSIFICATION or fixed[j] < 0)):
                continue
            total += 1
            if kind == MATCHED or kind == match_type:
                seen[true] = total
                true += 1
        best = 0.0
        for c in range(true - 1, -1, -1):
            best = max(best, (c + 1) / (seen[c] + EPS))
            envelope[c] = best
        c = 0
        for r in range(len(recalls)):
            while c < true and (c + 1) / wanted < recalls[r]:
                c += 1
            precision[k, r] = envelope[c] if c < true else 0.0


def _signature_fixed(t):
    detections = group(readonly(types.int8), readonly(types.int32), readonly(t), readonly(i8))
    moved = group(readonly(i8), readonly(i8))
    return types.void(detections, moved, readonly(i8), group(i8, readonly(t)), group(i8, i8), vector(t, 2))


TRACE_FIXED = Kernel(trace_fixed, _signature_fixed, {"": {}})
