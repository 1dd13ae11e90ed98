"""Losses of rotated rectangles row by row, with their gradients, in one pass.

An output that is not asked for is an array of size 0. All is computed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import f8, group, i8, readonly, side, vector
from fastbox.kernels.codes import BLOCK, CCW_CXCYWHD, CCW_CXCYWHR, CXCYWHD, XYWH, XYXY, YXYX
from fastbox.kernels.common.block_sums import SUMS as ROWS
from fastbox.kernels.common.block_sums import total
from fastbox.kernels.compare.measure import whole_vectors
from fastbox.kernels.geometry.formulas import one_nan
from fastbox.kernels.geometry.rotated import FIELDS, box_at, pack
from fastbox.kernels.geometry.rotated_gradients import LOSSES
from fastbox.kernels.geometry.rotated_gradients import iou as loss_and_grad
from fastbox.kernels.geometry.turn import PER_DEGREE

LOSS, X, Y, W, H, ANGLE, MADE = range(7)  # the rows of a tile of losses and gradients


@inlined
def in_format(arrangement, n, made):
    """Convert gradients by centre, sides and radians, in place, to gradients by the numbers of a format."""
    x, y, w, h, angle = made[X], made[Y], made[W], made[H], made[ANGLE]
    if arrangement == XYXY:
        for j in range(n):
            x[j], w[j] = 0.5 * x[j] - w[j], 0.5 * x[j] + w[j]
            y[j], h[j] = 0.5 * y[j] - h[j], 0.5 * y[j] + h[j]
    elif arrangement == YXYX:
        for j in range(n):
            p, q, r, s = x[j], y[j], w[j], h[j]
            x[j], y[j], w[j], h[j] = 0.5 * q - s, 0.5 * p - r, 0.5 * q + s, 0.5 * p + r
    elif arrangement == XYWH:
        for j in range(n):
            w[j], h[j] = w[j] + 0.5 * x[j], h[j] + 0.5 * y[j]
    if (arrangement == CXCYWHD) | (arrangement == CCW_CXCYWHD):
        for j in range(n):
            angle[j] = PER_DEGREE * angle[j]
    if (arrangement == CCW_CXCYWHR) | (arrangement == CCW_CXCYWHD):
        for j in range(n):
            angle[j] = 0.0 - angle[j]


@inlined
def known(x):
    """Return a part of a gradient, and 0 for one beyond float64, of boxes whose sides are 1e150 times those of others.

    One such box would make the gradients of all boxes unusable.
    """
    return x if abs(x) < np.inf else 0.0


def rotated_losses(pred, target, tau, weights, scale, span, outputs):
    """Write the losses of the rows of a span, which starts at the first row of a block.

    Outputs are the loss of each row; the gradient times the scale, by the numbers of each predicted box in its own
    format; and the float64 sum of each block.
    """
    (first, last), (out, grad, sums) = span, outputs
    like = np.empty(0, np.float64)
    tile_a, tile_b = stack_tile(like, FIELDS, ROWS), stack_tile(like, FIELDS, ROWS)
    made, lanes = stack_tile(like, MADE, ROWS), stack_array(like, ROWS)
    lanes[:] = 0.0
    numbers = np.int64(4 if pred[0] <= YXYX else 5)
    for s in range(first, last, ROWS):
        n = min(ROWS, last - s)
        pack(pred, s, s + n, tile_a)
        pack(target, s, s + n, tile_b)
        for j in range(whole_vectors(n)):
            k = np.uint64(j)
            a, b = box_at(tile_a, k), box_at(tile_b, k)
            loss, g = loss_and_grad(a, b, tau)
            invalid = (a.area - a.area) + (b.area - b.area)  # 0, or nan
            made[LOSS, k], made[X, k], made[Y, k] = loss + invalid, known(g.x) + invalid, known(g.y) + invalid
            made[W, k], made[H, k] = known(g.w) + invalid, known(g.h) + invalid
            made[ANGLE, k] = known(g.angle) + invalid
        in_format(pred[0], n, made)
        if weights.size:
            for j in range(n):
                w = np.float64(weights[np.uint64(s + j)])
                for c in range(MADE):
                    made[c, np.uint64(j)] *= w
        if out.size:
            for j in range(n):
                out[np.uint64(s + j)] = one_nan(out.dtype.type(made[LOSS, np.uint64(j)]))
        if grad.size:
            for c in range(numbers):
                for j in range(n):
                    found = grad.dtype.type(scale * made[np.uint64(X + c), np.uint64(j)])
                    grad[np.uint64((s + j) * numbers + c)] = one_nan(found)
        if sums.size:
            for j in range(n):
                lanes[j] += made[LOSS, j]
            if s + n == last or (s + n) % BLOCK == 0:
                sums[s // BLOCK] = total(lanes)


def _signature(t):
    boxes = side(t, 5)
    outputs = group(vector(t), vector(t), vector(f8))
    return types.void(boxes, boxes, f8, readonly(t), t, group(i8, i8), outputs)


ROTATED_LOSSES = Kernel(rotated_losses, _signature, {name: {"loss_and_grad": loss} for name, loss in LOSSES.items()})
