"""Overlap losses of boxes row by row, with their gradients, in one pass.

Whatever is not asked for is an array of size 0.
"""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, i8, readonly, side, vector
from fastbox.kernels.build.nontemporal import LINE, begins, copy_line, fence, pour
from fastbox.kernels.build.stack import scratch
from fastbox.kernels.build.transpose import WIDE, beside, merge
from fastbox.kernels.common.block_sums import BLOCK, total
from fastbox.kernels.geometry.extremes import LOSSES, graded_iou
from fastbox.kernels.geometry.gradients import iou as graded
from fastbox.kernels.geometry.metrics import one_nan
from fastbox.kernels.geometry.pack import CXCYWH, XYWH, YXYX
from fastbox.kernels.geometry.read_rows import LANES, box, fetch, turn, usual, usual_box

NUMBERS = 4 * LANES
AHEAD = NUMBERS + LINE  # numbers made, with those before them that fill no cache line yet
sure, ANGLES = graded_iou, False


def boxes(pred, target, weights, scale, first, last, out, grad, streamed, sums):
    """Do rows [first, last); first begins a block.

    `out` gets the loss of each; `grad` the gradient times the scale, by the four numbers of each predicted box in its
    own format; `sums` the float64 sum of each block.
    """
    arrangement, half, zero = pred[0], out.dtype.type(0.5), out.dtype.type(0)
    rowwise = beside(*pred[1:]), beside(*target[1:])
    ax0, ay0, ax1, ay1 = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    bx0, by0, bx1, by1 = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    angle_a, angle_b = scratch(out, LANES), scratch(out, LANES)
    g0, g1, g2, g3 = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    values, slopes = scratch(out, LANES), scratch(out, AHEAD)
    lanes = scratch(sums, LANES)
    lanes[:] = 0.0
    per_line = LINE // out.itemsize
    behind = begins(grad, 4 * first) if streamed else 0
    for s in range(first, last, LANES):
        n = min(LANES, last - s)
        fetch(pred, rowwise[0], s, n, ax0, ay0, ax1, ay1)
        fetch(target, rowwise[1], s, n, bx0, by0, bx1, by1)
        if ANGLES:
            turn(ax0, ay0, ax1, ay1, angle_a)
            turn(bx0, by0, bx1, by1, angle_b)
        if not (usual(ax0, ay0, ax1, ay1) and usual(bx0, by0, bx1, by1)):
            for j in range(n):
                values[j], g = sure(
                    box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
        elif grad.size:
            for j in range(LANES):
                values[j], g = graded(
                    usual_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    usual_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
        else:
            for j in range(LANES):
                values[j] = graded(
                    usual_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j]),
                    usual_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]),
                )[0]
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
                for j in range(LANES):
                    g0[j], g1[j] = g0[j] + g2[j], g1[j] + g3[j]
            elif arrangement == CXCYWH:
                for j in range(LANES):
                    g0[j], g2[j] = g0[j] + g2[j], half * (g2[j] - g0[j])
                    g1[j], g3[j] = g1[j] + g3[j], half * (g3[j] - g1[j])
            elif arrangement == YXYX:
                for j in range(LANES):
                    g0[j], g1[j], g2[j], g3[j] = g1[j], g0[j], g3[j], g2[j]
            for j in range(0, LANES, WIDE):
                merge((g0, g1, g2, g3), j, slopes, behind + 4 * j)
            if n < LANES:
                start = 4 * s - behind
                for j in range(0 if s > first else behind, behind + 4 * n):
                    grad[start + j] = slopes[j]
            elif streamed:
                pour(grad, 4 * s, slopes, behind, NUMBERS, s > first)
            else:
                for line in range(0, NUMBERS, per_line):
                    copy_line(grad, 4 * s + line, slopes, line)
        if out.size:
            if n == LANES:
                for line in range(0, LANES, per_line):
                    copy_line(out, s + line, values, line)
            else:
                for j in range(n):
                    out[s + j] = values[j]
        if sums.size:
            for j in range(n, LANES):
                values[j] = zero
            for j in range(LANES):
                lanes[j] += np.float64(values[j])
            if s + n == last or (s + n) % BLOCK == 0:
                sums[s // BLOCK] = total(lanes)
    if streamed:
        if (last - first) % LANES == 0 and last > first:
            for j in range(behind):
                grad[4 * last - behind + j] = slopes[j]
        fence()


BOXES = Kernel(
    boxes,
    lambda t: types.void(
        side(t), side(t), readonly(t), t, i8, i8, vector(t), vector(t), types.boolean, vector(types.float64)
    ),
    LOSSES,
)
