"""Open Images' matching: a crowd is a group of objects, which counts once however many detections lie in it."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import CLASS_MASK, THRESHOLDS_PER_WORD
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import Sides, first_of, four, overlap

u4 = types.uint32


def match_groups(detections, truths, rule, span, outputs):
    """Match the detections of the images of a span, class by class, highest score first.

    Arguments are those of `match`. A detection takes the first of the best truths that are not crowds, as in
    `match_any`. One that would be false goes to the crowd that most of it lies in: it takes the crowd if it is the
    first one there, else it is ignored.
    """
    (x, y, w, h), codes, outside, bounds, order = detections
    (left, top, width, height), classes, crowd, hidden, truth_bounds, truth_order = truths
    (thresholds, most), (first, last), (ranks, words) = rule, span, outputs
    ranges = words.shape[1]
    taken = np.empty((longest_of(truth_bounds, first, last), ranges, words.shape[2]), np.uint32)
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
                taken[end - begin] = 0
                end += 1
            for place in range(lo, min(hi, lo + most)):
                row = order[place]
                box = Sides(x[row], y[row], w[row], h[row])
                best, chosen, share, around = 0.0, np.int64(-1), 0.0, np.int64(-1)
                for j in range(begin, end):
                    t = truth_order[j]
                    near = overlap(box, Sides(left[t], top[t], width[t], height[t]), crowd[t])
                    if crowd[t]:
                        if near > share:
                            share, around = near, j
                    elif near > best:
                        best, chosen = near, j
                for a in range(ranges):
                    bit = np.uint32(1) << np.uint32(a)
                    out = outside[row] & bit != 0
                    aside = chosen >= 0 and hidden[truth_order[chosen]] & bit != 0
                    away = around >= 0 and hidden[truth_order[around]] & bit != 0
                    for word in range(words.shape[2]):
                        reached, ignored = np.uint32(0), np.uint32(0)
                        start = word * THRESHOLDS_PER_WORD
                        for k in range(start, min(start + THRESHOLDS_PER_WORD, len(thresholds))):
                            mark = np.uint32(1) << np.uint32(k - start)
                            hit = chosen >= 0 and best >= thresholds[k]
                            if hit and aside:
                                reached |= mark
                                ignored |= mark
                            elif hit and not taken[chosen - begin, a, word] & mark:
                                taken[chosen - begin, a, word] |= mark
                                reached |= mark
                            elif around >= 0 and share >= thresholds[k]:
                                if away or taken[around - begin, a, word] & mark:
                                    ignored |= mark
                                taken[around - begin, a, word] |= mark
                                reached |= mark
                            elif out:
                                ignored |= mark
                        words[row, a, word] = reached | ignored << np.uint32(THRESHOLDS_PER_WORD)
            lo = hi


def _signature(t):
    detections = group(four(t), readonly(i8), readonly(u4), readonly(i8), readonly(i8))
    truths = group(four(t), readonly(i8), readonly(types.boolean), readonly(u4), readonly(i8), readonly(i8))
    outputs = group(vector(types.int32), vector(u4, 3))
    return types.void(detections, truths, group(readonly(t), i8), group(i8, i8), outputs)


MATCH_GROUPS = Kernel(match_groups, _signature, {"": {}})
