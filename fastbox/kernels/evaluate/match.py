"""COCO's evaluation: detections of an image and class take its truths, at all thresholds and in all ranges at once."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, device, i8, readonly, vector
from fastbox.kernels.common.sorting import longest_of

BITS = 16  # thresholds in a word: which were reached, and in the upper half at which the detection is ignored
CLASS = np.int64(0xFFFFFFFF)  # a code is a run above, a class below
EPS = np.finfo(np.float64).eps
LEAST, MOST = 2.0**-900, 2.0**900  # between these an area is neither too small nor too large for the plain formula

MATCHED, LOCATION, CLASSIFICATION, DUPLICATE, BACKGROUND, BOTH, IGNORED = range(7)


@device
def overlap_beyond(x, y, w, h, left, top, width, height, crowd):
    """`overlap` of boxes so large or small that it would overflow or underflow: each axis in units of a power of two.

    The unit is a little more than the longer side; for a crowd, whose share is that of the first box, than its side.
    """
    wide, high = math.frexp(w if crowd else max(w, width))[1], math.frexp(h if crowd else max(h, height))[1]
    x, w, left, width = np.ldexp(x, -wide), np.ldexp(w, -wide), np.ldexp(left, -wide), np.ldexp(width, -wide)
    y, h, top, height = np.ldexp(y, -high), np.ldexp(h, -high), np.ldexp(top, -high), np.ldexp(height, -high)
    across = (x + w if x + w < left + width else left + width) - (x if x > left else left)
    down = (y + h if y + h < top + height else top + height) - (y if y > top else top)
    shared = across * down
    whole = w * h if crowd else w * h + width * height - shared
    return shared / whole if whole > 0.0 else 0.0


@device
def overlap(x, y, w, h, left, top, width, height, crowd):
    """IoU as COCO's code computes it, from corner and sides; of a crowd, the share of the first box inside it."""
    across = (x + w if x + w < left + width else left + width) - (x if x > left else left)
    down = (y + h if y + h < top + height else top + height) - (y if y > top else top)
    if not (across > 0.0 and down > 0.0):
        return 0.0
    shared = across * down
    whole = w * h if crowd else w * h + width * height - shared
    if (whole > LEAST) & (whole < MOST):
        return shared / whole
    return overlap_beyond(x, y, w, h, left, top, width, height, crowd)


@device
def first_of(code, codes, order, lo, hi):
    """The first place of [lo, hi) whose row has at least this code."""
    while lo < hi:
        middle = (lo + hi) // 2
        if codes[order[middle]] < code:
            lo = middle + 1
        else:
            hi = middle
    return lo


def judged(
    boxes,
    codes,
    outside,
    bounds,
    order,
    truths,
    kinds,
    crowd,
    hidden,
    truth_bounds,
    truth_order,
    thresholds,
    most,
    first,
    last,
    ranks,
    words,
):
    """Match the detections of the images [first, last), class by class, best score first.

    `outside` and `hidden` have a bit for each range of areas: the detection's area is not in it, the truth is ignored.
    A detection takes the last of the best truths left, an ignored one only where no other will do.
    """
    x, y, w, h = boxes
    left, top, width, height = truths
    many, ranges = longest_of(truth_bounds, first, last), words.shape[1]
    taken = np.empty((many, ranges, words.shape[2]), np.uint32)
    near, value = np.empty(many, np.int64), np.empty(many, np.float64)
    least = thresholds.min()
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        while lo < stop:
            code = codes[order[lo]]
            hi = lo
            while hi < stop and codes[order[hi]] == code:
                ranks[order[hi]] = hi - lo
                hi += 1
            begin = first_of(code & CLASS, kinds, truth_order, truth_bounds[image], truth_bounds[image + 1])
            end = begin
            while end < truth_bounds[image + 1] and kinds[truth_order[end]] == code & CLASS:
                taken[end - begin] = 0
                end += 1
            for place in range(lo, min(hi, lo + most)):
                row = order[place]
                found = 0
                for j in range(begin, end):
                    t = truth_order[j]
                    iou = overlap(x[row], y[row], w[row], h[row], left[t], top[t], width[t], height[t], crowd[t])
                    if iou >= least:
                        near[found], value[found] = j - begin, iou
                        found += 1
                for a in range(ranges):
                    bit = np.uint32(1) << np.uint32(a)
                    out = outside[row] & bit != 0
                    for word in range(words.shape[2]):
                        reached, ignored = np.uint32(0), np.uint32(0)
                        for k in range(word * BITS, min(word * BITS + BITS, len(thresholds))):
                            mark = np.uint32(1) << np.uint32(k - word * BITS)
                            best, chosen, aside = thresholds[k], np.int64(-1), False
                            for c in range(found):
                                j = near[c]
                                if value[c] >= best and not taken[j, a, word] & mark:
                                    if not hidden[truth_order[begin + j]] & bit:
                                        best, chosen = value[c], j
                            if chosen < 0:
                                for c in range(found):
                                    t = truth_order[begin + near[c]]
                                    if value[c] >= best and hidden[t] & bit:
                                        if crowd[t] or not taken[near[c], a, word] & mark:
                                            best, chosen, aside = value[c], near[c], True
                            if chosen >= 0:
                                taken[chosen, a, word] |= mark
                                reached |= mark
                            if aside or (chosen < 0 and out):
                                ignored |= mark
                        words[row, a, word] = reached | ignored << np.uint32(BITS)
            lo = hi


u4 = types.uint32


def four(t):
    return types.UniTuple(readonly(t), 4)


JUDGED = Kernel(
    judged,
    lambda t: types.void(
        four(t),
        readonly(i8),
        readonly(u4),
        readonly(i8),
        readonly(i8),
        four(t),
        readonly(i8),
        readonly(types.boolean),
        readonly(u4),
        readonly(i8),
        readonly(i8),
        readonly(t),
        i8,
        i8,
        i8,
        vector(types.int32),
        vector(u4, 3),
    ),
    {"": {}},
)


def blamed(
    boxes,
    codes,
    bounds,
    order,
    truths,
    kinds,
    crowd,
    ignored,
    truth_bounds,
    truth_order,
    scores,
    foreground,
    background,
    most,
    first,
    last,
    verdicts,
    partners,
    values,
    fixes,
):
    """Say of each detection what is wrong with it, the error TIDE would name.

    Detections take truths as in `judged`, at one threshold and of all areas. `partners` is the truth that is taken, or
    that the error is about, `values` the best IoU with a truth of the own class, `fixes` whether
    the detection, once mended, would take its partner: the best score of those that ask for a truth nobody took.
    """
    x, y, w, h = boxes
    left, top, width, height = truths
    many = longest_of(truth_bounds, first, last)
    taken = np.empty(many, np.bool_)
    claims = np.empty((2, many), np.int64)
    for image in range(first, last):
        lo, stop = bounds[image], bounds[image + 1]
        s, e = truth_bounds[image], truth_bounds[image + 1]
        while lo < stop:
            run = codes[order[lo]] & ~CLASS
            hi = lo
            while hi < stop and codes[order[hi]] & ~CLASS == run:
                hi += 1
            taken[: e - s] = False
            claims[:, : e - s] = -1
            rank, before = 0, np.int64(-1)
            for place in range(lo, hi):
                row = order[place]
                rank = rank + 1 if codes[row] == before else 0
                before = codes[row]
                if rank >= most:
                    verdicts[row] = -1
                    continue
                best, chosen, aside = foreground, np.int64(-1), False
                highest = 0.0
                begin = first_of(before & CLASS, kinds, truth_order, s, e)
                for hiding in range(2):
                    if chosen >= 0:
                        break
                    for j in range(begin, e):
                        t = truth_order[j]
                        if kinds[t] != before & CLASS:
                            break
                        if ignored[t] != (hiding == 1):
                            continue
                        iou = overlap(x[row], y[row], w[row], h[row], left[t], top[t], width[t], height[t], crowd[t])
                        if hiding == 0 and iou > highest:
                            highest = iou
                        if iou >= best and (crowd[t] or not taken[t - s]):
                            best, chosen, aside = iou, t, hiding == 1
                values[row] = highest
                verdicts[row] = BACKGROUND
                if chosen >= 0:
                    taken[chosen - s] = True
                    partners[row] = chosen
                    verdicts[row] = IGNORED if aside else MATCHED
                    if not aside:
                        values[row] = best
            for place in range(lo, hi):
                row = order[place]
                if verdicts[row] != BACKGROUND:
                    continue
                own, other = 0.0, 0.0
                own_truth, other_truth = np.int64(-1), np.int64(-1)
                for t in range(s, e):
                    if ignored[t]:
                        continue
                    iou = overlap(x[row], y[row], w[row], h[row], left[t], top[t], width[t], height[t], False)
                    if kinds[t] == codes[row] & CLASS:
                        if iou > own:
                            own, own_truth = iou, t
                    elif iou > other:
                        other, other_truth = iou, t
                if background <= own < foreground:
                    verdicts[row], partners[row] = LOCATION, own_truth
                elif other >= foreground:
                    verdicts[row], partners[row] = CLASSIFICATION, other_truth
                elif own >= foreground:
                    verdicts[row], partners[row] = DUPLICATE, own_truth
                elif other >= background:
                    verdicts[row], partners[row] = BOTH, other_truth
                kind = verdicts[row]
                if kind == LOCATION or kind == CLASSIFICATION:
                    t = partners[row] - s
                    held = claims[kind - LOCATION, t]
                    if held < 0 or scores[row] > scores[held] or (scores[row] == scores[held] and row < held):
                        claims[kind - LOCATION, t] = row
            for t in range(s, e):
                if ignored[t] or taken[t - s]:
                    continue
                for kind in range(2):
                    held = claims[kind, t - s]
                    if held >= 0:
                        fixes[held] = True
            lo = hi


BLAMED = Kernel(
    blamed,
    lambda t: types.void(
        four(t),
        readonly(i8),
        readonly(i8),
        readonly(i8),
        four(t),
        readonly(i8),
        readonly(types.boolean),
        readonly(types.boolean),
        readonly(i8),
        readonly(i8),
        readonly(t),
        t,
        t,
        i8,
        i8,
        i8,
        vector(types.int8),
        vector(i8),
        vector(t),
        vector(types.boolean),
    ),
    {"": {}},
)


def traced(words, scores, ranks, bounds, regular, recalls, limits, many, first, last, precision, reached, at):
    """Trace the curves of the classes [first, last), whose detections lie between `bounds` and descend by score.

    The precision at a recall is the best of any point with at least that recall; only a match changes the recall, and
    between two matches precision falls, so that nothing but matches is looked at.
    """
    longest = 0
    for k in range(first, last):
        longest = max(longest, bounds[k + 1] - bounds[k])
    seen, where = np.empty(longest, np.int64), np.empty(longest, np.int64)
    envelope = np.empty(longest, np.float64)
    hits = np.empty(len(limits), np.int64)
    for k in range(first, last):
        for a in range(regular.shape[1]):
            positives = regular[k, a]
            if positives == 0:
                continue
            for n in range(many):
                word, mark = n // BITS, np.uint32(1) << np.uint32(n % BITS)
                hidden = mark << np.uint32(BITS)
                true, total = 0, 0
                hits[:] = 0
                for j in range(bounds[k], bounds[k + 1]):
                    bits = words[j, a, word]
                    if bits & hidden:
                        continue
                    total += 1
                    if bits & mark:
                        seen[true], where[true] = total, j
                        true += 1
                        for m in range(len(limits)):
                            hits[m] += ranks[j] < limits[m]
                for m in range(len(limits)):
                    reached[k, a, n, m] = hits[m] / positives
                best = 0.0
                for c in range(true - 1, -1, -1):
                    now = (c + 1) / (seen[c] + EPS)
                    best = now if now > best else best
                    envelope[c] = best
                c = 0
                for r in range(len(recalls)):
                    precision[k, a, n, r], at[k, a, n, r] = 0.0, 0.0
                for r in range(len(recalls)):
                    if bounds[k] == bounds[k + 1]:
                        break
                    if recalls[r] <= 0.0:
                        precision[k, a, n, r] = envelope[0] if true else 0.0
                        at[k, a, n, r] = scores[bounds[k]]
                        continue
                    while c < true and (c + 1) / positives < recalls[r]:
                        c += 1
                    if c == true:
                        break
                    precision[k, a, n, r], at[k, a, n, r] = envelope[c], scores[where[c]]


TRACED = Kernel(
    traced,
    lambda t: types.void(
        readonly(u4, 3),
        readonly(t),
        readonly(types.int32),
        readonly(i8),
        readonly(i8, 2),
        readonly(t),
        readonly(i8),
        i8,
        i8,
        i8,
        vector(t, 4),
        vector(t, 4),
        vector(t, 4),
    ),
    {"": {}},
)


def resampled(words, bounds, image, truth_kinds, truth_image, weights, recalls, many, first, last, means):
    """For the samples [first, last): the mean precision of each class at each threshold, images counted by weight.

    A detection that counts twice is two of one score: recall is read off after the last of them, where the best
    precision is.
    """
    longest = 0
    for k in range(len(bounds) - 1):
        longest = max(longest, bounds[k + 1] - bounds[k])
    trues, envelope = np.empty(longest, np.int64), np.empty(longest, np.float64)
    positives = np.empty(len(bounds) - 1, np.int64)
    for sample in range(first, last):
        weight = weights[sample]
        positives[:] = 0
        for j in range(len(truth_kinds)):
            positives[truth_kinds[j]] += weight[truth_image[j]]
        for k in range(len(bounds) - 1):
            if positives[k] == 0:
                continue
            for n in range(many):
                word, mark = n // BITS, np.uint32(1) << np.uint32(n % BITS)
                hidden = mark << np.uint32(BITS)
                true, total, hits = 0, 0, 0
                for j in range(bounds[k], bounds[k + 1]):
                    count = weight[image[j]]
                    bits = words[j, 0, word]
                    if count == 0 or bits & hidden:
                        continue
                    total += count
                    if bits & mark:
                        true += count
                        trues[hits], envelope[hits] = true, true / (total + EPS)
                        hits += 1
                for c in range(hits - 2, -1, -1):
                    envelope[c] = max(envelope[c], envelope[c + 1])
                c, area = 0, 0.0
                for r in range(len(recalls)):
                    while c < hits and trues[c] / positives[k] < recalls[r]:
                        c += 1
                    if c == hits:
                        break
                    area += envelope[c]
                means[sample, k, n] = area / len(recalls)


RESAMPLED = Kernel(
    resampled,
    lambda t: types.void(
        readonly(u4, 3),
        readonly(i8),
        readonly(types.int32),
        readonly(i8),
        readonly(types.int32),
        readonly(i8, 2),
        readonly(t),
        i8,
        i8,
        i8,
        vector(t, 3),
    ),
    {"": {}},
)
