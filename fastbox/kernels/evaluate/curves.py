"""Precision at each recall, by class, area range and threshold."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

EPS = np.finfo(np.float64).eps


@device
def mark_rows(words, thresholds, some, passed):
    """List the rows whose thresholds differ, and count the plain ones before each: reached and ignored at none.

    Most rows of a model are plain, or ignored at all thresholds: nothing else is looked at threshold by threshold.
    """
    every = np.int64((1 << thresholds) - 1) << THRESHOLDS_PER_WORD
    marked, plain = 0, 0
    for j in range(len(words)):
        bits = np.int64(words[j])
        some[marked], passed[marked] = j, plain
        plain += bits == 0
        marked += (bits != 0) & (bits & every != every)
    return marked


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
    some, passed = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    seen, where = np.empty(longest, np.int64), np.empty(longest, np.int64)
    envelope = np.empty(longest, np.float64)
    hits = np.empty(len(limits), np.int64)
    for k in range(first, last):
        for a in range(positives.shape[1]):
            wanted = positives[k, a]
            if wanted == 0:
                continue
            for n in range(many):
                word, bit = n // THRESHOLDS_PER_WORD, n % THRESHOLDS_PER_WORD
                if bit == 0:
                    marked = mark_rows(
                        words[bounds[k] : bounds[k + 1], a, word], min(many - n, THRESHOLDS_PER_WORD), some, passed
                    )
                mark = np.uint32(1) << np.uint32(bit)
                hidden = mark << np.uint32(THRESHOLDS_PER_WORD)
                true, total = 0, 0
                hits[:] = 0
                for c in range(marked):
                    j = bounds[k] + some[c]
                    bits = words[j, a, word]
                    if bits & hidden:
                        continue
                    total += 1
                    if bits & mark:
                        seen[true], where[true] = total + passed[c], j
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
