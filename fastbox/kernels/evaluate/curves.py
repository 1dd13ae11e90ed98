"""Precision at each recall, by class, area range and threshold."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, group, i8, readonly, vector
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

EPS = np.finfo(np.float64).eps


def trace(detections, positives, axes, span, outputs):
    """Trace the curves of the classes of a span, whose detections lie between `bounds` and descend by score.

    `positives` counts truths by class and area range. The axes are the recalls, the limits of the number of detections
    and the number of thresholds. The precision at a recall is the best of any point with at least that recall; only a
    match changes the recall, and between two matches precision falls, so that nothing but matches is looked at.

    Outputs are the precision at each recall, the recall reached within each limit, and the score at each recall.
    """
    (words, scores, ranks, bounds), (recalls, limits, many) = detections, axes
    (first, last), (precision, reached, at) = span, outputs
    longest = 0
    for k in range(first, last):
        longest = max(longest, bounds[k + 1] - bounds[k])
    seen, where = np.empty(longest, np.int64), np.empty(longest, np.int64)
    envelope = np.empty(longest, np.float64)
    hits = np.empty(len(limits), np.int64)
    for k in range(first, last):
        for a in range(positives.shape[1]):
            wanted = positives[k, a]
            if wanted == 0:
                continue
            for n in range(many):
                word, mark = n // THRESHOLDS_PER_WORD, np.uint32(1) << np.uint32(n % THRESHOLDS_PER_WORD)
                hidden = mark << np.uint32(THRESHOLDS_PER_WORD)
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
                    reached[k, a, n, m] = hits[m] / wanted
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
                    while c < true and (c + 1) / wanted < recalls[r]:
                        c += 1
                    if c == true:
                        break
                    precision[k, a, n, r], at[k, a, n, r] = envelope[c], scores[where[c]]


def _signature(t):
    detections = group(readonly(types.uint32, 3), readonly(t), readonly(types.int32), readonly(i8))
    axes = group(readonly(t), readonly(i8), i8)
    return types.void(detections, readonly(i8, 2), axes, group(i8, i8), group(vector(t, 4), vector(t, 4), vector(t, 4)))


TRACE = Kernel(trace, _signature, {"": {}})
