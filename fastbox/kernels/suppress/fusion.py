"""Weighted boxes fusion: clusters of the boxes of a segment, each with the mean of its boxes, weighted by score."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import f8, group, i8, readonly, side, vector
from fastbox.kernels.codes import ABSENT_MODEL_AWARE_AVG, BOX_AND_MODEL_AVG, MAX
from fastbox.kernels.geometry.extremes import robust_iou
from fastbox.kernels.geometry.formulas import Box, larger, smaller
from fastbox.kernels.geometry.safe_range import safe_area
from fastbox.kernels.suppress.tree import corners


@device
def confidence_of(confidence, cluster, every, most):
    """Compute the confidence of a cluster, given the sum and the maximum of all models' weights.

    A cluster is its highest score, the sum of its scores, the weights of its boxes and of its models, and its number of
    boxes, with and without those beyond one a model.
    """
    highest, total, weight, present, count, shown = cluster
    if confidence == MAX:
        return highest / most
    if confidence == BOX_AND_MODEL_AVG:
        return total / weight * present / every
    if confidence == ABSENT_MODEL_AWARE_AVG:
        return total / (weight + every - present)
    return total / count * shown / every


@inlined
def cluster_of(x0, y0, x1, y1, area, means, clusters, threshold):
    """Return the cluster whose mean has the highest IoU with a box above the threshold, the first at ties; else -1."""
    best, chosen = threshold, -1
    for c in range(clusters):
        w = smaller(x1, means[c, 2]) - larger(x0, means[c, 0])
        h = smaller(y1, means[c, 3]) - larger(y0, means[c, 1])
        if (w > 0.0) & (h > 0.0):
            overlap = w * h / (means[c, 4] + area - w * h)
            if overlap != overlap:
                mean = Box(means[c, 0], means[c, 1], means[c, 2], means[c, 3], means[c, 4], x0)
                overlap = robust_iou(mean, Box(x0, y0, x1, y1, area, x0))
            if overlap > best:
                best, chosen = overlap, c
    return chosen


def fuse(detections, weights, segments, rule, span, outputs):
    """Fuse the segments of a span, whose members come by descending score, already weighted; a score below 0 ends them.

    Solovyev et al., 2021: a box joins the cluster whose mean has the highest IoU with it above the threshold, the first
    at ties, or begins a cluster. Mean and score of a cluster are written to the row of its first box.

    Detections are boxes, scores and models; segments are the rows of their members and the bounds of each segment among
    them; the rule is the threshold, the kind of confidence, and whether a confidence may exceed 1.
    """
    (boxes, scores, models), (members, bounds), (first, last) = detections, segments, span
    (threshold, confidence, overflow), (coords, out) = rule, outputs
    every = np.float64(0)
    most = np.float64(0)
    for model in range(weights.size):
        every += weights[model]
        most = max(most, weights[model])
    for segment in range(first, last):
        start = bounds[segment]
        n = bounds[segment + 1] - start
        means, sums = np.empty((n, 5), np.float64), np.empty((n, 4), np.float64)
        totals, weight = np.empty(n, np.float64), np.empty(n, np.float64)
        rows, counts = np.empty(n, np.int64), np.zeros(n, np.int64)
        seen = np.zeros((n, weights.size), np.bool_)
        clusters = 0
        for j in range(start, start + n):
            row = members[j]
            score = scores[row]
            if score < 0.0:
                break
            given = corners(boxes, row)
            x0, y0, x1, y1 = np.float64(given.x0), np.float64(given.y0), np.float64(given.x1), np.float64(given.y1)
            area = safe_area(x0, y0, x1, y1)
            chosen = cluster_of(x0, y0, x1, y1, area, means, clusters, threshold)
            if chosen < 0:
                chosen = clusters
                clusters += 1
                rows[chosen], totals[chosen], weight[chosen] = row, 0.0, 0.0
                # One by one: a row assigned whole brings its error message, which takes half of the time to compile.
                means[chosen, 0], means[chosen, 1], means[chosen, 2], means[chosen, 3] = x0, y0, x1, y1
                means[chosen, 4] = area
                for k in range(4):
                    sums[chosen, k] = 0.0
            totals[chosen] += score
            weight[chosen] += weights[models[row]]
            counts[chosen] += 1
            seen[chosen, models[row]] = True
            for k, x in enumerate((x0, y0, x1, y1)):
                sums[chosen, k] += score * x
            if (counts[chosen] > 1) & (totals[chosen] > 0.0):
                for k in range(4):
                    means[chosen, k] = sums[chosen, k] / totals[chosen]
                means[chosen, 4] = safe_area(means[chosen, 0], means[chosen, 1], means[chosen, 2], means[chosen, 3])
        for c in range(clusters):
            present = np.float64(0)
            for model in range(weights.size):
                present += weights[model] if seen[c, model] else 0.0
            shown = counts[c] if overflow else min(counts[c], weights.size)
            cluster = scores[rows[c]], totals[c], weight[c], present, counts[c], shown
            out[rows[c]] = confidence_of(confidence, cluster, every, most)
            for k in range(4):
                coords[rows[c], k] = means[c, k]


def _signature(t):
    detections, segments = group(side(t), vector(f8), vector(i8)), group(vector(i8), readonly(i8))
    rule, outputs = group(f8, i8, types.boolean), group(vector(t, 2), vector(f8))
    return types.void(detections, vector(f8), segments, rule, group(i8, i8), outputs)


FUSE = Kernel(fuse, _signature, {"": {}})
