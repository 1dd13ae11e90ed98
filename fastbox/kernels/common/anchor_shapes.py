"""Widths and heights without a place: how well each box is covered by a few shapes, all centred on one point."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, device, i8, readonly, vector
from fastbox.kernels.geometry.metrics import larger, smaller
from fastbox.kernels.geometry.pack import LANES

W, H, AREA, BEST, WHERE, FIT = range(6)


@device
def load(w, h, first, n, lanes):
    """Bring n boxes into the lanes, points of no size into those left over, and nothing best yet."""
    zero, none = lanes.dtype.type(0), lanes.dtype.type(-1)
    for l in range(n):
        k = np.uint64(first + l)
        lanes[W, l], lanes[H, l] = w[k], h[k]
    for l in range(n, LANES):
        lanes[W, l], lanes[H, l] = zero, zero
    for l in range(LANES):
        lanes[AREA, l] = lanes[W, l] * lanes[H, l]
        lanes[BEST, l], lanes[WHERE, l], lanes[FIT, l] = none, none, none


def nearest(w, h, shapes, first, last, overlaps, indices, fits):
    """Write each box's best IoU, the shape that has it, the first at ties, and its best fit.

    A fit is the worse of two ratios, of the widths and of the heights, each the smaller over the larger.
    """
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


def covered(w, h, candidates, first, last, sums):
    """Write for each set of shapes of [first, last) the sum of all boxes' best IoU, added lane by lane."""
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


NEAREST = Kernel(
    nearest,
    lambda t: types.void(readonly(t), readonly(t), readonly(t, 2), i8, i8, vector(t), vector(i8), vector(t)),
    {"": {}},
)
COVERED = Kernel(covered, lambda t: types.void(readonly(t), readonly(t), readonly(t, 3), i8, i8, vector(t)), {"": {}})
