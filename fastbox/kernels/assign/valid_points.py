"""The valid points of an image: those that may be of any truth at all, packed side by side with their predictions."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import AREA, X0, X1, Y0, Y1, corners_in
from fastbox.kernels.assign.point_codes import AT_CENTRE, INSIDE, LOGIT_PRODUCTS, LOGITS, PRODUCTS
from fastbox.kernels.assign.windows import corners_at, level_at, stretch
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.types import group, i8, readonly, side
from fastbox.kernels.geometry.elementary import exp, log

FLOOR = -100.0  # of logarithms in a cross entropy, as in torch


@device
def mark(grid, image, truths, n, radius, inside, near, valid):
    """Mark the points inside any of n truths, near the centre of any, or both kinds."""
    xs, ys, strides = grid[0], grid[1], grid[3]
    zero = type(radius)(0)
    for g in range(n):
        x0, y0, x1, y1 = corners_in(truths, g)
        for k in range(strides.size):
            x, columns, y, rows, begin = level_at(grid, image, k)
            around = radius * strides[k]
            for mode in (INSIDE, AT_CENTRE):
                if not (inside if mode == INSIDE else near):
                    continue
                left, right = stretch(xs, x, columns, x0, x1, around, mode, zero)
                top, bottom = stretch(ys, y, rows, y0, y1, around, mode, zero)
                for row in range(top, bottom):
                    valid[begin + row * columns + left : begin + row * columns + right] = 1


@device
def compact(boxes, start, n, valid, members, tile):
    """Pack the predictions of valid points, and the points; return their number.

    Points are marked 1; one whose prediction is invalid is then marked -1.
    """
    m = 0
    for p in range(n):
        if valid[p] == 1:
            x0, y0, x1, y1 = corners_at(boxes, start + p)
            if x0 == x0:
                members[m] = p
                tile[X0, m], tile[Y0, m], tile[X1, m], tile[Y1, m] = x0, y0, x1, y1
                tile[AREA, m] = (x1 - x0) * (y1 - y0)
                m += 1
            else:
                valid[p] = -1
    return m


@inlined
def sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@inlined
def softplus(x):
    """Compute log(1 + e^x)."""
    return (x if x > 0.0 else 0.0) + log(1.0 + exp(-abs(x)))


@inlined
def log_of(x):
    """Compute a logarithm, at least -100."""
    found = log(x)
    return found if found > FLOOR else FLOOR


@inlined
def log_of_rest(x):
    """Compute log(1 - x), at least -100: by its series where 1 - x would lose the last bits of x."""
    small = x < 2.0**-14
    series = -x * (1.0 + x * (0.5 + x * (1.0 / 3.0 + x * 0.25)))
    found = log(1.0 - x)
    found = series if small else found
    return found if found > FLOOR else FLOOR


@device
def score_at(scores, objectness, activation, row, c):
    """Return a score as a probability, rounded after each operation as peers do."""
    T = scores.dtype.type
    s = scores[row, c]
    if activation == LOGITS or activation == LOGIT_PRODUCTS:
        s = T(sigmoid(np.float64(s)))
    if activation == PRODUCTS:
        s = T(math.sqrt(np.float64(s * objectness[row])))
    elif activation == LOGIT_PRODUCTS:
        s = T(math.sqrt(np.float64(s * T(sigmoid(np.float64(objectness[row]))))))
    return s


def scored_predictions_type(t):
    return group(side(t), readonly(i8), readonly(t, 2), readonly(t), i8)
