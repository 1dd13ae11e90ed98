"""Widths and heights without a position: the best of a few shapes for each box, all centred on one point."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import LANES
from fastbox.kernels.geometry.formulas import larger, smaller

W, H, AREA, BEST, WHERE, FIT = range(6)


@device
def load(w, h, first, n, lanes):
    """Load n boxes into the lanes, points without size into the other lanes, and no best value yet."""
    zero, none = lanes.dtype.type(0), lanes.dtype.type(-1)
    for l in range(n):
        k = np.uint64(first + l)
        lanes[W, l], lanes[H, l] = w[k], h[k]
    for l in range(n, LANES):
        lanes[W, l], lanes[H, l] = zero, zero
    for l in range(LANES):
        lanes[AREA, l] = lanes[W, l] * lanes[H, l]
        lanes[BEST, l], lanes[WHERE, l], lanes[FIT, l] = none, none, none


def nearest(sizes, shapes, span, outputs):
    """Write the best IoU of each box of a span, the shape that has this IoU, the first at ties, and the best fit.

    A fit is the worse of two ratios, of the widths and of the heights, each the smaller over the larger.
    """
    (w, h), (first, last), (overlaps, indices, fits) = sizes, span, outputs
    T = w.dtype.type
    lanes = np.empty((6, LANES), w.dtype)
    for s in range(first, last, LANES):
        m = min(LANES, last - s)
        load(w, h, s, m, lanes)
        for k in range(shapes.shape[0]):
            width, height = shapes[k, 0], shapes[k, 1]
            area, number = width * height, T(k)
            for l in range(LANES):
                low_w, low_h = smaller(lanes[W, l], width), smaller(lanes[H, l], height)
                inter = low_w * low_h
                value = inter / (lanes[AREA, l] + area - inter)
                fit = smaller(low_w / larger(lanes[W, l], width), low_h / larger(lanes[H, l], height))
                lanes[WHERE, l] = number if value > lanes[BEST, l] else lanes[WHERE, l]
                lanes[BEST, l] = value if value > lanes[BEST, l] else lanes[BEST, l]
                lanes[FIT, l] = fit if fit > lanes[FIT, l] else lanes[FIT, l]
        for l in range(m):
            overlaps[s + l], fits[s + l] = lanes[BEST, l], lanes[FIT, l]
            indices[s + l] = np.int64(lanes[WHERE, l])


def covered(sizes, candidates, span, sums):
    """Write for each set of shapes of a span the sum of the best IoUs of all boxes, added lane by lane."""
    (w, h), (first, last) = sizes, span
    T = w.dtype.type
    lanes, totals = np.empty((6, LANES), w.dtype), np.empty(LANES, w.dtype)
    for c in range(first, last):
        totals[:] = T(0)
        for s in range(0, w.size, LANES):
            load(w, h, s, min(LANES, w.size - s), lanes)
            for k in range(candidates.shape[1]):
                width, height = candidates[c, k, 0], candidates[c, k, 1]
                area = width * height
                for l in range(LANES):
                    inter = smaller(lanes[W, l], width) * smaller(lanes[H, l], height)
                    value = inter / (lanes[AREA, l] + area - inter)
                    lanes[BEST, l] = value if value > lanes[BEST, l] else lanes[BEST, l]
            for l in range(LANES):
                totals[l] += lanes[BEST, l]
        total = T(0)
        for l in range(LANES):
            total += totals[l]
        sums[c] = total


def _sizes(t):
    return group(readonly(t), readonly(t))


NEAREST = Kernel(
    nearest,
    lambda t: types.void(_sizes(t), readonly(t, 2), group(i8, i8), group(vector(t), vector(i8), vector(t))),
    {"": {}},
)
COVERED = Kernel(covered, lambda t: types.void(_sizes(t), readonly(t, 3), group(i8, i8), vector(t)), {"": {}})
