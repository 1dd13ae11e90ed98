"""Losses of numbers one by one, with their slopes, in one pass.

Whatever is not asked for is an array of size 0.
"""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, device, i8, readonly, rebound, vector
from fastbox.kernels.build.nontemporal import LINE, begins, copy_line, fence, pour
from fastbox.kernels.build.stack import scratch
from fastbox.kernels.common.block_sums import BLOCK, LANES, total
from fastbox.kernels.geometry.metrics import larger, one_nan, smooth
from fastbox.kernels.geometry.safe_range import order

AHEAD = 2 * LANES  # numbers made, with those before them that fill no cache line yet


@device
def sign(d):
    """1, -1, or d itself where it is 0 or nan."""
    one, zero = type(d)(1), type(d)(0)
    return one if d > zero else (-one if d < zero else d)


@device
def smooth_l1(d, beta):
    """Girshick, Fast R-CNN, ICCV 2015."""
    return smooth(d, beta), d / beta if abs(d) < beta else sign(d)


@device
def smooth_l1_unit(d, beta):
    """Smooth L1 at beta 1, without a division or a choice: c (d - c / 2), where c is d between -1 and 1."""
    half, one = type(d)(0.5), type(d)(1)
    c = one if one < d else d
    c = -one if -one > c else c
    return c * (d - half * c), c


@device
def huber(d, delta):
    """Huber, Robust Estimation of a Location Parameter, 1964: c (d - c / 2), where c is d between -delta and delta."""
    half = type(d)(0.5)
    c = delta if delta < d else d
    c = -delta if -delta > c else c
    return c * (d - half * c), c


@device
def l1(d, beta):
    return abs(d), sign(d)


value = smooth_l1


def sweep(pred, target, beta, weights, shared, scale, first, last, out, boxed, grad, streamed, carried, sums):
    """Do numbers [first, last), whole lanes of them; the sums of a block that is not full are carried over.

    Gradients that are streamed wait until they fill cache lines: `behind` of them lie before those made next.
    """
    per_line = LINE // out.itemsize
    zero, infinite = out.dtype.type(0), out.dtype.type(np.inf)
    behind = begins(grad, first) if streamed else 0
    losses, slopes, lanes = scratch(out, LANES), scratch(out, AHEAD), scratch(sums, LANES)
    lanes[:] = carried
    for k in range(first, last, LANES):
        top = order(zero)
        if grad.size:
            for l in range(LANES):
                j = np.uint64(k + l)
                loss, slope = value(pred[j] - target[j], beta)
                losses[l], slopes[np.uint64(behind + l)] = loss, scale * slope
                top = larger(top, order(loss))
        else:
            for l in range(LANES):
                j = np.uint64(k + l)
                loss = value(pred[j] - target[j], beta)[0]
                losses[l] = loss
                top = larger(top, order(loss))
        if weights.size:
            for l in range(LANES):
                losses[l] *= weights[np.uint64(k + l) >> np.uint64(shared)]
            for l in range(LANES if grad.size else 0):
                slopes[np.uint64(behind + l)] *= weights[np.uint64(k + l) >> np.uint64(shared)]
        if weights.size > 0 or top > order(infinite):
            for l in range(LANES):
                losses[l] = one_nan(losses[l])
            for l in range(LANES if grad.size else 0):
                slopes[np.uint64(behind + l)] = one_nan(slopes[np.uint64(behind + l)])
        if streamed:
            pour(grad, k, slopes, behind, LANES, k > first)
        elif grad.size:
            for line in range(0, LANES, per_line):
                copy_line(grad, k + line, slopes, line)
        if boxed:
            for i in range(LANES // 4):
                j = 4 * i
                out[k // 4 + i] = one_nan(losses[j] + losses[j + 1] + losses[j + 2] + losses[j + 3])
        elif out.size:
            for line in range(0, LANES, per_line):
                copy_line(out, k + line, losses, line)
        if sums.size:
            for l in range(LANES):
                lanes[l] += np.float64(losses[l])
            if (k + LANES) % BLOCK == 0:
                sums[k // BLOCK] = total(lanes)
    if streamed and last > first:
        for j in range(behind):
            grad[last - behind + j] = slopes[j]
    carried[:] = lanes


def numbers(pred, target, beta, weights, shared, scale, first, last, out, boxed, grad, streamed, sums):
    """Do numbers [first, last); first begins a block. Each weight is that of 2**shared numbers.

    `out` gets the loss of each, or if boxed the sum of four; `grad` the gradient times the scale; `sums` the
    float64 sum of each block.
    """
    lanes = np.zeros(LANES, np.float64)
    whole = last - (last - first) % LANES
    sweep(pred, target, beta, weights, shared, scale, first, whole, out, boxed, grad, streamed, lanes, sums)
    rest = last - whole
    if rest:
        a, b, w = np.zeros(LANES, out.dtype), np.zeros(LANES, out.dtype), np.zeros(LANES, out.dtype)
        losses, slopes = np.empty(LANES, out.dtype), np.empty(LANES, out.dtype)
        for l in range(rest):
            a[l], b[l] = pred[whole + l], target[whole + l]
            if weights.size:
                w[l] = weights[(whole + l) >> shared]
        sweep(a, b, beta, w if weights.size else w[:0], 0, scale, 0, LANES, losses, boxed, slopes, False, lanes, sums)
        for l in range(rest if grad.size else 0):
            grad[whole + l] = slopes[l]
        if out.size:
            for l in range(rest // 4 if boxed else rest):
                out[(whole // 4 if boxed else whole) + l] = losses[l]
    if sums.size and last % BLOCK:
        sums[last // BLOCK] = total(lanes)
    if streamed:
        fence()


LOSSES = {
    name: {"sweep": device(rebound(sweep, {"value": loss}, name))}
    for name, loss in (("smooth_l1", smooth_l1), ("smooth_l1_unit", smooth_l1_unit), ("huber", huber), ("l1", l1))
}

NUMBERS = Kernel(
    numbers,
    lambda t: types.void(
        *[types.Array(t, 1, "C", readonly=True)] * 2,
        *(t, readonly(t), i8, t, i8, i8),
        *(vector(t), types.boolean, vector(t), types.boolean, vector(types.float64)),
    ),
    LOSSES,
)
