"""Overlap losses of boxes row by row, with their gradients, in one pass.

An output that is not asked for is an array of size 0.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import LINE, append_nontemporal, copy_line, fence, finish_nontemporal, per_line
from fastbox.kernels.build.prefetch import prefetch_numbers, rows_ahead
from fastbox.kernels.build.stack import stack_array, stack_columns
from fastbox.kernels.build.transpose import WIDE, columns_to_rows, lanes_to_rows, lanes_to_vector, rows_to_lanes
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import BLOCK, CXCYWH, XYWH, XYXY, YXYX
from fastbox.kernels.common.block_sums import total
from fastbox.kernels.geometry.extreme_gradients import LOSSES, robust_iou_loss_and_grad
from fastbox.kernels.geometry.formulas import one_nan
from fastbox.kernels.geometry.gradients import iou as loss_and_grad
from fastbox.kernels.geometry.read_rows import (
    AT_ONCE,
    IN_ROWS,
    ROWS,
    column_angles,
    layout_of,
    plain_box,
    read_rows,
    write_values,
)
from fastbox.kernels.geometry.safe_range import (
    are_columns_safe,
    are_ordinary,
    are_rows_safe,
    box,
    start_ordinary,
    widen_lane,
)

NUMBERS = 4 * ROWS
AHEAD = LINE + 3 * NUMBERS  # three parts of numbers behind a cache line of numbers

# Kernel binds these anew for each loss; here they are IoU's. GRADED: whether gradients are asked for.
robust, ANGLES, GRADED = robust_iou_loss_and_grad, False, True
graded_corners = graded_columns = plain_corners = plain_columns = None


def corner_losses(pred, target, scale, span, ahead, values, grad, place):
    """Write the losses of rows of corners, whole times ROWS, and from a place on the gradients times the scale.

    Returns whether all boxes are valid and safe; if not, no loss is right. From their rows to their losses and
    gradients boxes stay in registers; those of some rows ahead are asked for.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = stack_columns(values, WIDE), stack_columns(values, WIDE)
    found, (g0, g1, g2, g3) = stack_array(values, WIDE), stack_columns(values, WIDE)
    lows, totals, zero = stack_array(values, WIDE), stack_array(values, WIDE), values.dtype.type(0)
    start_ordinary(lows, totals)
    for s in range(span[0], span[1], WIDE):
        k = s - span[0]
        if ahead:
            prefetch_numbers(pred, 4 * (s + ahead), 4 * WIDE)
            prefetch_numbers(target, 4 * (s + ahead), 4 * WIDE)
        rows_to_lanes(pred, s, (ax0, ay0, ax1, ay1), 0)
        rows_to_lanes(target, s, (bx0, by0, bx1, by1), 0)
        for j in range(WIDE):
            one = plain_box(ax0[j], ay0[j], ax1[j], ay1[j], zero)
            other = plain_box(bx0[j], by0[j], bx1[j], by1[j], zero)
            found[j], g = loss_and_grad(one, other)
            if GRADED:
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
            widen_lane(lows, totals, j, one, other)
        lanes_to_vector(found, 0, values, k)
        if GRADED:
            lanes_to_rows((g0, g1, g2, g3), 0, grad, place + 4 * k)
    return are_ordinary(lows, totals) or (are_rows_safe(pred, *span) and are_rows_safe(target, *span))


def corner_losses_with_angles(pred, target, scale, span, ahead, values, grad, place):
    """Do the same for losses that need angles: of more boxes at once, for each waits for divisions."""
    a, b, g = stack_columns(values, ROWS), stack_columns(values, ROWS), stack_columns(values, ROWS)
    angles, found, safe = (stack_array(values, ROWS), stack_array(values, ROWS)), stack_array(values, ROWS), True
    for s in range(span[0], span[1], ROWS):
        k = s - span[0]
        if ahead:
            prefetch_numbers(pred, 4 * (s + ahead), 4 * ROWS)
            prefetch_numbers(target, 4 * (s + ahead), 4 * ROWS)
        for j in range(0, ROWS, WIDE):
            rows_to_lanes(pred, s + j, a, j)
            rows_to_lanes(target, s + j, b, j)
        column_angles(a, b, *angles)
        safe &= column_losses(a, b, angles, scale, found, g)
        for j in range(0, ROWS, WIDE):
            lanes_to_vector(found, j, values, k + j)
            if GRADED:
                lanes_to_rows(g, j, grad, place + 4 * (k + j))
    return safe


def column_losses(a, b, angles, scale, values, grad):
    """Write the losses of ROWS boxes in columns, and the gradients times the scale in columns.

    Returns whether all boxes are valid and safe; if not, no loss is right.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1), (angle_a, angle_b), (g0, g1, g2, g3) = a, b, angles, grad
    lows, totals = stack_array(values, WIDE), stack_array(values, WIDE)
    start_ordinary(lows, totals)
    for s in range(0, ROWS, WIDE):
        for l in range(WIDE):
            j = np.uint64(s + l)
            one = plain_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
            other = plain_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j])
            values[j], g = loss_and_grad(one, other)
            if GRADED:
                g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1
            widen_lane(lows, totals, l, one, other)
    return are_ordinary(lows, totals) or (are_columns_safe(a) and are_columns_safe(b))


def robust_losses(a, b, angles, scale, n, values, grad):
    """Write the losses of n boxes of any size, and the gradients times the scale in columns."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1), (angle_a, angle_b), (g0, g1, g2, g3) = a, b, angles, grad
    for j in range(n):
        one = box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
        values[j], g = robust(one, box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]))
        g0[j], g1[j], g2[j], g3[j] = scale * g.x0, scale * g.y0, scale * g.x1, scale * g.y1


@inlined
def weigh(weights, first, n, values, grad):
    """Multiply the losses and gradients of n boxes by their weights."""
    g0, g1, g2, g3 = grad
    for j in range(n):
        w = weights[np.uint64(first + j)]
        values[j] = one_nan(values[j] * w)
        g0[j], g1[j] = one_nan(w * g0[j]), one_nan(w * g1[j])
        g2[j], g3[j] = one_nan(w * g2[j]), one_nan(w * g3[j])


@inlined
def corners_to_format(arrangement, grad):
    """Convert ROWS gradients by corners to gradients by the numbers of a format, in place."""
    g0, g1, g2, g3 = grad
    half = g0.dtype.type(0.5)
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


@inlined
def write_gradients(columns, n, grad, position, slopes, turn, nontemporal, first):
    """Write n gradients, at most ROWS, row after row from a position on; return the turn of the next ones.

    Those that are stored past the caches wait in `slopes`, as :func:`append_nontemporal` tells.
    """
    if n < ROWS:
        g0, g1, g2, g3 = columns
        for j in range(n):
            k = position + 4 * j
            grad[k], grad[k + 1], grad[k + 2], grad[k + 3] = g0[j], g1[j], g2[j], g3[j]
        return turn
    at = per_line(grad) + turn
    for j in range(0, ROWS, WIDE):
        columns_to_rows(columns, j, slopes, at + 4 * j)
    if nontemporal:
        return append_nontemporal(grad, position, slopes, turn, NUMBERS, first)
    for line in range(0, NUMBERS, per_line(grad)):
        copy_line(grad, position + line, slopes, at + line)
    return turn


@inlined
def add_up(values, n, lanes):
    """Add n values to sums side by side, each to the next one."""
    for k in range(0, n, ROWS):
        for j in range(ROWS):
            lanes[j] += np.float64(values[np.uint64(k + j)])


def overlap_losses(pred, target, weights, scale, span, outputs):
    """Write the losses of the rows of a span, which starts at the first row of a block.

    Outputs are the loss of each row; the gradient times the scale, by the four numbers of each predicted box in its own
    format; whether the gradient is stored past the caches; and the float64 sum of each block.
    """
    (first, last), (out, grad, nontemporal, sums) = span, outputs
    layouts = layout_of(pred), layout_of(target)
    in_rows = (layouts[0] == IN_ROWS) & (layouts[1] == IN_ROWS)
    corners = (pred[0] == XYXY) & (target[0] == XYXY) & in_rows & (weights.size == 0)
    a, b, g = stack_columns(out, ROWS), stack_columns(out, ROWS), stack_columns(out, ROWS)
    angles, lanes = (stack_array(out, ROWS), stack_array(out, ROWS)), stack_array(sums, ROWS)
    values, slopes, some = stack_array(out, ROWS), stack_array(out, AHEAD), stack_array(out, AT_ONCE)
    lanes[:] = 0.0
    turn, whole, ahead = 0, last - (last - first) % ROWS, rows_ahead(pred[1], pred[1].size)
    step = ROWS if nontemporal else AT_ONCE  # gradients that wait can't be taken back
    for begin in range(first, last, step):
        end = min(begin + step, last)
        done = end - (end - begin) % ROWS if corners else begin
        if done > begin:
            part = begin, done
            if grad.size:
                to, place = (slopes, per_line(grad) + turn) if nontemporal else (grad, 4 * begin)
                safe = graded_corners(pred[1], target[1], scale, part, ahead, some, to, place)
                if nontemporal and safe:
                    turn = append_nontemporal(grad, 4 * begin, slopes, turn, NUMBERS, 4 * first)
            else:
                safe = plain_corners(pred[1], target[1], scale, part, ahead, some, grad, 0)
            done = done if safe else begin
            for k in range(done - begin if out.size else 0):
                out[np.uint64(begin + k)] = some[np.uint64(k)]
            add_up(some, done - begin if sums.size else 0, lanes)
        for s in range(done, end, ROWS):
            n = min(ROWS, end - s)
            read_rows(pred, layouts[0], s, n, *a)
            read_rows(target, layouts[1], s, n, *b)
            if ANGLES:
                column_angles(a, b, *angles)
            if grad.size:
                safe = graded_columns(a, b, angles, scale, values, g)
            else:
                safe = plain_columns(a, b, angles, scale, values, g)
            if not safe:
                robust_losses(a, b, angles, scale, n, values, g)
            if weights.size:
                weigh(weights, s, n, values, g)
            if grad.size:
                corners_to_format(pred[0], g)
                turn = write_gradients(g, n, grad, 4 * s, slopes, turn, nontemporal, 4 * first)
            if out.size:
                write_values(values, n, out, s)
            if sums.size:
                for j in range(n, ROWS):
                    values[j] = out.dtype.type(0)
                for j in range(ROWS):
                    lanes[j] += np.float64(values[j])
        if sums.size and (end == last or end % BLOCK == 0):
            sums[begin // BLOCK] = total(lanes)
    if nontemporal:
        finish_nontemporal(grad, 4 * whole, slopes, turn, NUMBERS, 4 * first)
        fence()


def _signature(t):
    outputs = group(vector(t), vector(t), types.boolean, vector(types.float64))
    return types.void(side(t), side(t), readonly(t), t, group(i8, i8), outputs)


def _bound_to_loss(name, names):
    """Return the names that the kernel is bound to, with its loops, which are longer with gradients."""
    corners = corner_losses_with_angles if names["ANGLES"] else corner_losses
    loops = {"robust_losses": inlined(rebound(robust_losses, names, name))}
    for kind, graded in (("graded", True), ("plain", False)):
        own = {**names, "GRADED": graded}
        own["column_losses"] = loops[f"{kind}_columns"] = inlined(rebound(column_losses, own, name))
        loops[f"{kind}_corners"] = inlined(rebound(corners, own, name))
    return {**names, **loops}


BOUND = {name: _bound_to_loss(name, names) for name, names in LOSSES.items()}
OVERLAP_LOSSES = Kernel(overlap_losses, _signature, BOUND)
