"""The value of row i of one collection with row i of the other."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, i8, side, vector
from fastbox.kernels.build.nontemporal import LINE, copy_line
from fastbox.kernels.build.stack import scratch
from fastbox.kernels.build.transpose import beside
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.extremes import iou_of as sure
from fastbox.kernels.geometry.metrics import iou as value
from fastbox.kernels.geometry.read_rows import LANES, box, fetch, turn, usual_box
from fastbox.kernels.geometry.safe_range import all_usual, nothing_seen, seen

ANGLES = False


def aligned(beta, a, b, first, last, out):
    """Write the values of rows [first, last)."""
    rowwise = beside(*a[1:]), beside(*b[1:])
    ax0, ay0, ax1, ay1 = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    bx0, by0, bx1, by1 = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    angle_a, angle_b, values = scratch(out, LANES), scratch(out, LANES), scratch(out, LANES)
    per_line = LINE // out.itemsize
    for s in range(first, last, LANES):
        n = min(LANES, last - s)
        fetch(a, rowwise[0], s, n, ax0, ay0, ax1, ay1)
        fetch(b, rowwise[1], s, n, bx0, by0, bx1, by1)
        if ANGLES:
            turn(ax0, ay0, ax1, ay1, angle_a)
            turn(bx0, by0, bx1, by1, angle_b)
        top, low = nothing_seen(beta)
        for j in range(LANES):
            one = usual_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
            values[j] = value(one, usual_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]), beta)
            top, low = seen(top, low, ax0[j], ay0[j], ax1[j], ay1[j])
            top, low = seen(top, low, bx0[j], by0[j], bx1[j], by1[j])
        if not all_usual(top, low, beta):
            for j in range(n):
                one = box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
                values[j] = sure(one, box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]), beta)
        if n == LANES:
            for line in range(0, LANES, per_line):
                copy_line(out, s + line, values, line)
        else:
            for j in range(n):
                out[np.uint64(s + j)] = values[j]


ALIGNED = Kernel(aligned, lambda t: types.void(t, side(t), side(t), i8, i8, vector(t)), METRICS)
