"""Losses of single coordinates, with their slopes, in one pass.

An output that is not asked for is an array of size 0.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import ordered_bits
from fastbox.kernels.build.device import device, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import LINE, append_nontemporal, copy_line, fence, finish_nontemporal
from fastbox.kernels.build.prefetch import prefetch_numbers, rows_ahead
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import BLOCK
from fastbox.kernels.common.block_sums import SUMS, total
from fastbox.kernels.geometry.formulas import larger, one_nan, smooth

AHEAD = LINE + 3 * SUMS  # three parts of numbers behind a cache line of numbers


@device
def sign(d):
    """Return 1, -1, or d itself where d is 0 or nan."""
    one, zero = type(d)(1), type(d)(0)
    return one if d > zero else (-one if d < zero else d)


@device
def smooth_l1(d, beta):
    """Compute Smooth L1 and its slope (Girshick, Fast R-CNN, ICCV 2015)."""
    return smooth(d, beta), d / beta if abs(d) < beta else sign(d)


@device
def smooth_l1_unit(d, beta):
    """Compute Smooth L1 at beta 1 and its slope without a division: c (d - c / 2), where c is d between -1 and 1."""
    half, one = type(d)(0.5), type(d)(1)
    c = one if one < d else d
    c = -one if -one > c else c
    return c * (d - half * c), c


@device
def huber(d, delta):
    """Compute Huber's loss (1964) and its slope: c (d - c / 2), where c is d between -delta and delta."""
    half = type(d)(0.5)
    c = delta if delta < d else d
    c = -delta if -delta > c else c
    return c * (d - half * c), c


@device
def l1(d, beta):
    """Compute the absolute difference and its slope."""
    return abs(d), sign(d)


value = smooth_l1


def sweep(pair, beta, weighed, scale, span, outputs, carried):
    """Write the losses of the numbers of a span, whole lanes of them; the sums of a partial block are carried over.

    Gradients that are stored past the caches wait until they fill cache lines: `behind` gradients lie before the next
    ones.
    """
    (pred, target), (weights, shared), (first, last) = pair, weighed, span
    out, boxed, grad, nontemporal, sums = outputs
    per_line = LINE // out.itemsize
    zero, infinite = out.dtype.type(0), out.dtype.type(np.inf)
    turn, ahead = 0, 4 * rows_ahead(pred, pred.size // 4)
    losses, slopes, lanes = stack_array(out, SUMS), stack_array(out, AHEAD), stack_array(sums, SUMS)
    for l in range(SUMS):
        lanes[l] = carried[l]
    for k in range(first, last, SUMS):
        top = ordered_bits(zero)
        at = per_line + turn
        if ahead:
            prefetch_numbers(pred, k + ahead, SUMS)
            prefetch_numbers(target, k + ahead, SUMS)
        if grad.size:
            for l in range(SUMS):
                j = np.uint64(k + l)
                loss, slope = value(pred[j] - target[j], beta)
                losses[l], slopes[np.uint64(at + l)] = loss, scale * slope
                top = larger(top, ordered_bits(loss))
        else:
            for l in range(SUMS):
                j = np.uint64(k + l)
                loss = value(pred[j] - target[j], beta)[0]
                losses[l] = loss
                top = larger(top, ordered_bits(loss))
        if weights.size:
            for l in range(SUMS):
                losses[l] *= weights[np.uint64(k + l) >> np.uint64(shared)]
            for l in range(SUMS if grad.size else 0):
                slopes[np.uint64(at + l)] *= weights[np.uint64(k + l) >> np.uint64(shared)]
        if weights.size > 0 or top > ordered_bits(infinite):
            for l in range(SUMS):
                losses[l] = one_nan(losses[l])
            for l in range(SUMS if grad.size else 0):
                slopes[np.uint64(at + l)] = one_nan(slopes[np.uint64(at + l)])
        if nontemporal:
            turn = append_nontemporal(grad, k, slopes, turn, SUMS, first)
        elif grad.size:
            for line in range(0, SUMS, per_line):
                copy_line(grad, k + line, slopes, at + line)
        if boxed:
            for i in range(SUMS // 4):
                j = 4 * i
                out[k // 4 + i] = one_nan(losses[j] + losses[j + 1] + losses[j + 2] + losses[j + 3])
        elif out.size:
            for line in range(0, SUMS, per_line):
                copy_line(out, k + line, losses, line)
        if sums.size:
            for l in range(SUMS):
                lanes[l] += np.float64(losses[l])
            if (k + SUMS) % BLOCK == 0:
                sums[k // BLOCK] = total(lanes)
    if nontemporal:
        finish_nontemporal(grad, last, slopes, turn, SUMS, first)
    for l in range(SUMS):
        carried[l] = lanes[l]


def coordinate_losses(pair, beta, weighed, scale, span, outputs):
    """Write the losses of the numbers of a span, which starts at the first number of a block.

    The pair is predictions and targets; `weighed` is weights and `shared`: one weight belongs to 2**shared numbers.
    Outputs are the loss of each number, or if boxed the sum of four; whether they are boxed; the gradient times the
    scale; whether the gradient is stored past the caches; and the float64 sum of each block.
    """
    (pred, target), (weights, shared), (first, last) = pair, weighed, span
    out, boxed, grad, nontemporal, sums = outputs
    lanes = np.zeros(SUMS, np.float64)
    whole = last - (last - first) % SUMS
    sweep(pair, beta, weighed, scale, (first, whole), outputs, lanes)
    rest = last - whole
    if rest:
        a, b, w = np.zeros(SUMS, out.dtype), np.zeros(SUMS, out.dtype), np.zeros(SUMS, out.dtype)
        losses, slopes = np.empty(SUMS, out.dtype), np.empty(SUMS, out.dtype)
        for l in range(rest):
            a[l], b[l] = pred[whole + l], target[whole + l]
            if weights.size:
                w[l] = weights[(whole + l) >> shared]
        rest_weighed, rest_outputs = (w if weights.size else w[:0], 0), (losses, boxed, slopes, False, sums)
        sweep((a, b), beta, rest_weighed, scale, (0, SUMS), rest_outputs, lanes)
        for l in range(rest if grad.size else 0):
            grad[whole + l] = slopes[l]
        if out.size:
            for l in range(rest // 4 if boxed else rest):
                out[(whole // 4 if boxed else whole) + l] = losses[l]
    if sums.size and last % BLOCK:
        sums[last // BLOCK] = total(lanes)
    if nontemporal:
        fence()


LOSSES = {
    name: {"sweep": device(rebound(sweep, {"value": loss}, name))}
    for name, loss in (("smooth_l1", smooth_l1), ("smooth_l1_unit", smooth_l1_unit), ("huber", huber), ("l1", l1))
}


def _signature(t):
    pair = group(*[types.Array(t, 1, "C", readonly=True)] * 2)
    outputs = group(vector(t), types.boolean, vector(t), types.boolean, vector(types.float64))
    return types.void(pair, t, group(readonly(t), i8), t, group(i8, i8), outputs)


COORDINATE_LOSSES = Kernel(coordinate_losses, _signature, LOSSES)
