"""Losses over flat arrays: one value an element, one a box, or sums in a fixed order."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.compile import Kernel, device, i8, vector
from fastbox.kernels.metrics import smooth as value

BLOCK = 8192  # elements summed before their sum is kept: what fixes the order, whatever the threads
LANES = 64  # sums side by side inside a block, so that every width of vector adds in the same order


@device
def smooth_l1(d, beta):
    return value(d, beta)


@device
def smooth_l1_unit(d, beta):
    """Smooth L1 at beta 1, where nothing need be divided."""
    half, one = type(d)(0.5), type(d)(1)
    far = abs(d)
    return half * far * far if far < one else far - half


@device
def huber(d, delta):
    half = type(d)(0.5)
    far = abs(d)
    return half * far * far if far < delta else delta * (far - half * delta)


@device
def l1(d, beta):
    return abs(d)


def each(pred, target, beta, first, last, out):
    """Write the loss of elements [first, last)."""
    for k in range(last - first):
        j = np.uint64(first + k)
        out[j] = value(pred[j] - target[j], beta)


def boxed(pred, target, beta, first, last, out):
    """Write the sum of four elements for each of the boxes [first, last)."""
    for k in range(last - first):
        j = 4 * (first + k)
        near = value(pred[j] - target[j], beta) + value(pred[j + 1] - target[j + 1], beta)
        far = value(pred[j + 2] - target[j + 2], beta)
        out[first + k] = near + far + value(pred[j + 3] - target[j + 3], beta)


def summed(pred, target, beta, first, last, sums):
    """Write the float64 sum of each block of elements [first, last); first begins a block."""
    lanes = np.empty(LANES, np.float64)
    for start in range(first, last, BLOCK):
        n = min(BLOCK, last - start)
        whole = n // LANES * LANES
        lanes[:] = 0.0
        for k in range(0, whole, LANES):
            for l in range(LANES):
                j = np.uint64(start + k + l)
                lanes[l] += np.float64(value(pred[j] - target[j], beta))
        for l in range(n - whole):
            j = np.uint64(start + whole + l)
            lanes[l] += np.float64(value(pred[j] - target[j], beta))
        width = LANES // 2
        while width:
            for l in range(width):
                lanes[l] += lanes[l + width]
            width //= 2
        sums[start // BLOCK] = lanes[0]


LOSSES = {
    "smooth_l1": {"value": smooth_l1},
    "smooth_l1_unit": {"value": smooth_l1_unit},
    "huber": {"value": huber},
    "l1": {"value": l1},
}


def _signature(t, out):
    flat = types.Array(t, 1, "C", readonly=True)
    return types.void(flat, flat, t, i8, i8, vector(out))


EACH = Kernel(each, lambda t: _signature(t, t), LOSSES)
BOXED = Kernel(boxed, lambda t: _signature(t, t), LOSSES)
SUMMED = Kernel(summed, lambda t: _signature(t, types.float64), LOSSES)
