"""Boxes that follow the gradient of a loss to their targets.

Points lie side by side in lanes: the boxes around them take one shape and one target at a time and differ in their
position only, so that a step of all lanes is a few vector instructions.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import APART, CLOSE, CONVERGED, GOOD, HELD
from fastbox.kernels.codes import POINTS as LANES
from fastbox.kernels.geometry import formulas
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.gradients import LOSSES
from fastbox.kernels.geometry.gradients import iou as loss_and_grad

# Kernel binds these anew for each loss; here they are IoU's.
ANGLES = False

FLOOR = 2.0**-10  # the least length of a side
NEAR = 0.1  # the error below which a case has converged
X, Y, W, H, ERROR, TOUCHED, ROWS = range(7)  # the rows of a lane


@device
def boxed(x, y, w, h, angles):
    """Return a box by its centre and sides."""
    half = type(x)(0.5)
    a, b = half * w, half * h
    x0, y0, x1, y1 = x - a, y - b, x + a, y + b
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), aspect(w, h) if angles else type(x)(0))


@device
def clipped(d):
    """Return the gradient of Smooth L1 at beta 1."""
    one = type(d)(1)
    d = d if d < one else one
    return d if d > -one else -one


def slope(x, y, w, h, u, v, p, q):
    """Compute the gradient of the loss of a box with its target u, v, p, q, by centre and sides; and their IoU."""
    half = type(x)(0.5)
    a, b = boxed(x, y, w, h, ANGLES), boxed(u, v, p, q, ANGLES)
    _, g = loss_and_grad(a, b)
    return g.x0 + g.x1, g.y0 + g.y1, half * (g.x1 - g.x0), half * (g.y1 - g.y0), formulas.iou(a, b, half)


@device
def smooth_slope(x, y, w, h, u, v, p, q):
    """Compute the gradient of Smooth L1 on the four numbers, and the IoU of the boxes."""
    overlap = formulas.iou(boxed(x, y, w, h, False), boxed(u, v, p, q, False), x)
    return clipped(x - u), clipped(y - v), clipped(w - p), clipped(h - q), overlap


def descend(points, starts, targets, centre, rates, span, outputs):
    """Let a block of points follow the loss: boxes of all shapes `starts` around them, to all `targets` round a centre.

    A step of rate r moves centre and sides by r (2 - IoU) against the gradient. Writes the sum of the errors before the
    first step and after each to `curve`, the error of each point at the end to `errors`, and adds the cases up in
    `counts`.
    """
    (xs, ys), (first, last), (curve, errors, counts) = points, span, outputs
    zero, one, two, floor = np.float64(0), np.float64(1), np.float64(2), np.float64(FLOOR)
    u, v = centre
    n = last - first
    tile, sums = np.empty((ROWS, LANES), np.float64), np.zeros((rates.size + 1, LANES), np.float64)
    for k in range(targets.shape[0]):
        p, q = targets[k, 0], targets[k, 1]
        for s in range(starts.shape[0]):
            for l in range(LANES):
                row = min(first + l, last - 1)
                tile[X, l], tile[Y, l], tile[W, l], tile[H, l] = xs[row], ys[row], starts[s, 0], starts[s, 1]
                tile[TOUCHED, l] = zero
                sums[0, l] += abs(xs[row] - u) + abs(ys[row] - v) + abs(starts[s, 0] - p) + abs(starts[s, 1] - q)
            for t in range(rates.size):
                rate = rates[t]
                for l in range(LANES):
                    x, y, w, h = tile[X, l], tile[Y, l], tile[W, l], tile[H, l]
                    by_x, by_y, by_w, by_h, overlap = slope(x, y, w, h, u, v, p, q)
                    pace = rate * (two - overlap)
                    x, y, w, h = x - pace * by_x, y - pace * by_y, w - pace * by_w, h - pace * by_h
                    tile[TOUCHED, l] = one if (w < floor) | (h < floor) else tile[TOUCHED, l]
                    w, h = w if w > floor else floor, h if h > floor else floor
                    tile[X, l], tile[Y, l], tile[W, l], tile[H, l] = x, y, w, h
                    tile[ERROR, l] = abs(x - u) + abs(y - v) + abs(w - p) + abs(h - q)
                for l in range(LANES):
                    sums[t + 1, l] += tile[ERROR, l]
            for l in range(n):
                box = boxed(tile[X, l], tile[Y, l], tile[W, l], tile[H, l], False)
                overlap = formulas.iou(box, boxed(u, v, p, q, False), zero)
                counts[CONVERGED] += np.int64(tile[ERROR, l] < NEAR)
                counts[GOOD] += np.int64(overlap >= 0.5)
                counts[CLOSE] += np.int64(overlap >= 0.9)
                counts[APART] += np.int64(overlap == zero)
                counts[HELD] += np.int64(tile[TOUCHED, l])
    for t in range(rates.size + 1):
        total = zero
        for l in range(n):
            total += sums[t, l]
        curve[t] = total
    for l in range(n):
        errors[first + l] = sums[rates.size, l]


BOUND: dict[str, dict[str, object]] = {
    "smooth_l1": {"slope": smooth_slope},
    **{name: {"slope": inlined(rebound(slope, bound, f"{name}_regression"))} for name, bound in LOSSES.items()},
}


def _signature(t):
    pairs = readonly(t, 2)
    outputs = group(vector(t), vector(t), vector(i8))
    return types.void(
        *(group(readonly(t), readonly(t)), pairs, pairs),
        *(types.repeated(t, 2), readonly(t), group(i8, i8), outputs),
    )


DESCEND = Kernel(descend, _signature, BOUND)
