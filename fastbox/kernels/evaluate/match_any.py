"""Pascal VOC's matching: a detection looks at the best of all truths, and is false if that one is taken."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.codes import CLASS_MASK, THRESHOLDS_PER_WORD
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.match import signature
from fastbox.kernels.evaluate.overlap import box_at, first_of, overlap


def match_any(detections, truths, rule, span, outputs):
    """Match the detections of the images of a span, class by class, highest score first.

    Arguments are those of `match`. The truth of a detection is the first of the best of its class, whether it is taken
    or not: the detection is ignored where the truth is, and else takes the truth if it is the first to reach it.
    """
    boxes, codes, outside, bounds, order = detections
    targets, classes, _, hidden, truth_bounds, truth_order = truths
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
                box = box_at(boxes, row)
                best, chosen = 0.0, np.int64(-1)
                for j in range(begin, end):
                    t = truth_order[j]
                    iou = overlap(box, box_at(targets, t), False)
                    if iou > best:
                        best, chosen = iou, j
                for a in range(ranges):
                    bit = np.uint32(1) << np.uint32(a)
                    out = outside[row] & bit != 0
                    aside = chosen >= 0 and hidden[truth_order[chosen]] & bit != 0
                    for word in range(words.shape[2]):
                        reached, ignored = np.uint32(0), np.uint32(0)
                        start = word * THRESHOLDS_PER_WORD
                        for k in range(start, min(start + THRESHOLDS_PER_WORD, len(thresholds))):
                            mark = np.uint32(1) << np.uint32(k - start)
                            near = chosen >= 0 and best >= thresholds[k]
                            if near and aside:
                                reached |= mark
                                ignored |= mark
                            elif near and not taken[chosen - begin, a, word] & mark:
                                taken[chosen - begin, a, word] |= mark
                                reached |= mark
                            elif out:
                                ignored |= mark
                        words[row, a, word] = reached | ignored << np.uint32(THRESHOLDS_PER_WORD)
            lo = hi


MATCH_ANY = Kernel(match_any, signature, {"": {}})
