"""Average precision of samples of images that are drawn with replacement."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import THRESHOLDS_PER_WORD
from fastbox.kernels.evaluate.curves import EPS


def resample(detections, truths, weights, axes, span, means):
    """Write for each sample of a span the mean precision of each class at each threshold, images counted by weight.

    Detections are words, the bounds of classes, and images; truths are classes and images; the axes are the recalls and
    the number of thresholds. A detection that counts twice is two detections of one score: recall is read after the
    last of the two, where precision is highest.
    """
    (words, bounds, image), (truth_classes, truth_image) = detections, truths
    (recalls, many), (first, last) = axes, span
    longest = 0  # not by a call, which would make the loops 3% slower
    for k in range(len(bounds) - 1):
        longest = max(longest, bounds[k + 1] - bounds[k])
    trues, envelope = np.empty(longest, np.int64), np.empty(longest, np.float64)
    positives = np.empty(len(bounds) - 1, np.int64)
    for sample in range(first, last):
        weight = weights[sample]
        positives[:] = 0
        for j in range(len(truth_classes)):
            positives[truth_classes[j]] += weight[truth_image[j]]
        for k in range(len(bounds) - 1):
            if positives[k] == 0:
                continue
            for n in range(many):
                word, mark = n // THRESHOLDS_PER_WORD, np.uint32(1) << np.uint32(n % THRESHOLDS_PER_WORD)
                hidden = mark << np.uint32(THRESHOLDS_PER_WORD)
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


def _signature(t):
    detections = group(readonly(types.uint32, 3), readonly(i8), readonly(types.int32))
    truths = group(readonly(i8), readonly(types.int32))
    return types.void(detections, truths, readonly(i8, 2), group(readonly(t), i8), group(i8, i8), vector(t, 3))


RESAMPLE = Kernel(resample, _signature, {"": {}})
