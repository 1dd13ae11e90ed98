"""The metrics of detections with the truths that they take."""

from __future__ import annotations

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.evaluate.overlap import four
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.safe_range import box

iou, giou, smooth_l1 = (METRICS[name]["robust"] for name in ("iou", "giou", "smooth_l1"))


@device
def corners_at(columns, j):
    """Return the j-th box of the columns x, y, w and h as corners."""
    x, y, w, h = columns
    left, top = x[j], y[j]
    return box(left, top, left + w[j], top + h[j], left)


def measure_hits(boxes, targets, hits, beta, span, outputs):
    """Write IoU, GIoU and Smooth L1 of the hits of a span, each of which is the row of a box and that of a target."""
    (rows, taken), (first, last), (ious, gious, losses) = hits, span, outputs
    for k in range(first, last):
        one, other = corners_at(boxes, rows[k]), corners_at(targets, taken[k])
        ious[k], gious[k], losses[k] = iou(one, other, beta), giou(one, other, beta), smooth_l1(one, other, beta)


def _signature(t):
    hits, outputs = group(readonly(i8), readonly(i8)), group(vector(t), vector(t), vector(t))
    return types.void(four(t), four(t), hits, t, group(i8, i8), outputs)


MEASURE_HITS = Kernel(measure_hits, _signature, {"": {}})
