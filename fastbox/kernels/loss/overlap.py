"""Overlap losses of boxes row by row, with their gradients, in one pass.

An output that is not asked for is an array of size 0.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import (
    LINE,
    append_nontemporal,
    copy_line,
    fence,
    finish_nontemporal,
)
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.transpose import WIDE, are_rows, columns_to_rows
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import BLOCK, CXCYWH, XYWH, YXYX
from fastbox.kernels.common.block_sums import total
from fastbox.kernels.geometry.extreme_gradients import LOSSES, robust_iou_loss_and_grad
from fastbox.kernels.geometry.formulas import one_nan
from fastbox.kernels.geometry.gradients import iou as loss_and_grad
from fastbox.kernels.geometry.read_rows import ROWS, column_angles, plain_box, read_rows
from fastbox.kernels.geometry.safe_range import all_safe, box, empty_range, widen_range

NUMBERS = 4 * ROWS
AHEAD = LINE + 3 * NUMBERS  # three parts of numbers behind a cache line of numbers

# Kernel binds these anew for each loss; here they are IoU's.
robust, ANGLES = robust_iou_loss_and_grad, False


def overlap_losses(pred, target, weights, scale, span, outputs):
    """Write the losses of the rows of a span, which starts at the first row of a block.

    Outputs are the loss of each row; the gradient times the scale, by the four numbers of each predicted box in its own
    format; whether the gradient is stored past the caches; and the float64 sum of each block.

    One function, for its loops share columns on the stack, which must not leave it.
    """
    (first, last), (out, grad, nontemporal, sums) = span, outputs
    arrangement, half, zero = pred[0], out.dtype.type(0.5), out.dtype.type(0)
    rowwise = are_rows(*pred[1:]), are_rows(*target[1:])
    ax0, ay0, ax1, ay1 = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    bx0, by0, bx1, by1 = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    angle_a, angle_b = stack_array(out, ROWS), stack_array(out, ROWS)
    g0, g1, g2, g3 = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    values, slopes = stack_array(out, ROWS), stack_array(out, AHEAD)
    lanes = stack_array(sums, ROWS)
    lanes[:] = 0.0
    per_line = LINE // out.itemsize
    turn, whole = 0, last - (last - first) % ROWS
    for s in range(first, last, ROWS):
        n = min(ROWS, last - s)
        read_rows(pred, rowwise[0], s, n, ax0, ay0, ax1, ay1)
        read_rows(target, rowwise[1], s, n, bx0, by0, bx1, by1)
        if ANGLES:
            column_angles((ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1), angle_a, angle_b)
        top, low = empty_range(zero)
        if grad.size:
            for j in range(ROWS):
                values[j], g = loss_and_grad(
                    plain_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    plain_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
                top, low = widen_range(top, low, ax0[j], ay0[j], ax1[j], ay1[j])
                top, low = widen_range(top, low, bx0[j], by0[j], bx1[j], by1[j])
        else:
            for j in range(ROWS):
                values[j] = loss_and_grad(
                    plain_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    plain_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )[0]
                top, low = widen_range(top, low, ax0[j], ay0[j], ax1[j], ay1[j])
                top, low = widen_range(top, low, bx0[j], by0[j], bx1[j], by1[j])
        if not all_safe(top, low, zero):
            for j in range(n):
                values[j], g = robust(
                    box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
        if weights.size:
            for j in range(n):
                w = weights[np.uint64(s + j)]
                values[j] = one_nan(values[j] * w)
                g0[j], g1[j], g2[j], g3[j] = (
                    one_nan(w * g0[j]),
                    one_nan(w * g1[j]),
                    one_nan(w * g2[j]),
                    one_nan(w * g3[j]),
                )
        if grad.size:
            if arrangement == XYWH:
                for j in range(ROWS):
                    g0[j], g1[j] = g0[j] + g2[j], g1[j] + g3[j]
            elif arrangement == CXCYWH:
                for j in range(ROWS):
                    g0[j], g2[j] = g0[j] + g2[j], half * (g2[j] - g0[j])
                    g1[j], g3[j] = g1[j] + g3[j], half * (g3[j] - g1[j])
            elif arrangement == YXYX:
                for j in range(ROWS):
                    g0[j], g1[j], g2[j], g3[j] = g1[j], g0[j], g3[j], g2[j]
            if n < ROWS:
                for j in range(n):
                    k = 4 * (s + j)
                    grad[k], grad[k + 1], grad[k + 2], grad[k + 3] = g0[j], g1[j], g2[j], g3[j]
            else:
                at = per_line + turn
                for j in range(0, ROWS, WIDE):
                    columns_to_rows((g0, g1, g2, g3), j, slopes, at + 4 * j)
                if nontemporal:
                    turn = append_nontemporal(grad, 4 * s, slopes, turn, NUMBERS, 4 * first)
                else:
                    for line in range(0, NUMBERS, per_line):
                        copy_line(grad, 4 * s + line, slopes, at + line)
        if out.size:
            if n == ROWS:
                for line in range(0, ROWS, per_line):
                    copy_line(out, s + line, values, line)
            else:
                for j in range(n):
                    out[s + j] = values[j]
        if sums.size:
            for j in range(n, ROWS):
                values[j] = zero
            for j in range(ROWS):
                lanes[j] += np.float64(values[j])
            if s + n == last or (s + n) % BLOCK == 0:
                sums[s // BLOCK] = total(lanes)
    if nontemporal:
        finish_nontemporal(grad, 4 * whole, slopes, turn, NUMBERS, 4 * first)
        fence()


def _signature(t):
    outputs = group(vector(t), vector(t), types.boolean, vector(types.float64))
    return types.void(side(t), side(t), readonly(t), t, group(i8, i8), outputs)


OVERLAP_LOSSES = Kernel(overlap_losses, _signature, LOSSES)
