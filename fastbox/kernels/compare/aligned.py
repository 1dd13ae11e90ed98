"""The value of row i of one collection with row i of the other."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import LINE, copy_line
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.transpose import are_rows
from fastbox.kernels.build.types import group, i8, side, vector
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.read_rows import ROWS, column_angles, plain_box, read_rows
from fastbox.kernels.geometry.safe_range import all_safe, box, empty_range, widen_range

# Kernel binds this anew for each metric; here it is iou's.
ANGLES = False


def aligned(beta, a, b, span, out):
    """Write the values of the rows of a span."""
    first, last = span
    rowwise = are_rows(*a[1:]), are_rows(*b[1:])
    ax0, ay0, ax1, ay1 = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    bx0, by0, bx1, by1 = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    angle_a, angle_b, values = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    per_line = LINE // out.itemsize
    for s in range(first, last, ROWS):
        n = min(ROWS, last - s)
        read_rows(a, rowwise[0], s, n, ax0, ay0, ax1, ay1)
        read_rows(b, rowwise[1], s, n, bx0, by0, bx1, by1)
        if ANGLES:
            column_angles((ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1), angle_a, angle_b)
        top, low = empty_range(beta)
        for j in range(ROWS):
            one = plain_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
            values[j] = value(one, plain_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]), beta)
            top, low = widen_range(top, low, ax0[j], ay0[j], ax1[j], ay1[j])
            top, low = widen_range(top, low, bx0[j], by0[j], bx1[j], by1[j])
        if not all_safe(top, low, beta):
            for j in range(n):
                one = box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
                values[j] = robust(one, box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]), beta)
        if n == ROWS:
            for line in range(0, ROWS, per_line):
                copy_line(out, s + line, values, line)
        else:
            for j in range(n):
                out[np.uint64(s + j)] = values[j]


ALIGNED = Kernel(aligned, lambda t: types.void(t, side(t), side(t), group(i8, i8), vector(t)), METRICS)
