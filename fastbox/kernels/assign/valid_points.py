"""The valid points of an image: those that may be of any truth at all, packed side by side with their predictions."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.overlaps import AREA, X0, X1, Y0, Y1, corners_in
from fastbox.kernels.assign.point_codes import LOGIT_PRODUCTS, LOGITS, PRODUCTS
from fastbox.kernels.assign.windows import corners_at, in_window, level_at
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.types import group, i8, readonly, side
from fastbox.kernels.geometry.elementary import exp, log

FLOOR = -100.0  # of logarithms in a cross entropy, as in torch


@device
def mark(grid, image, truths, n, radius, mode, marks):
    """Write 0 for each point that is inside any of n truths, or near the centre of any, as the mode says."""
    levels, steps, strides, images, offset = grid
    for k in range(strides.size):
        across, down, begin = level_at(levels, steps, offset, images[image] + k)
        for g in range(n):
            box = corners_in(truths, g)
            top, bottom, left, right = in_window(across, down, box, radius * strides[k], mode, radius - radius)
            for row in range(top, bottom):
                start = begin + row * across[0]
                for p in range(start + left, start + right):
                    marks[np.uint64(p)] = 0


@device
def compact(boxes, start, members, m, tile):
    """Write the predictions of m points as corners and areas, without invalid ones; return the number that is left.

    The points of invalid predictions are taken from the list.
    """
    kept = 0
    for j in range(m):
        p = members[j]
        x0, y0, x1, y1 = corners_at(boxes, start + p)
        members[kept] = p
        tile[X0, kept], tile[Y0, kept], tile[X1, kept], tile[Y1, kept] = x0, y0, x1, y1
        tile[AREA, kept] = (x1 - x0) * (y1 - y0)
        kept += x0 == x0
    return kept


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


@inlined
def has_logits(activation):
    return activation == LOGITS or activation == LOGIT_PRODUCTS


@inlined
def presence_of(objectness, activation, row):
    """Return the objectness of a prediction as a probability; 1 where scores are no products with it."""
    T = objectness.dtype.type
    if activation == PRODUCTS:
        return objectness[row]
    return T(sigmoid(np.float64(objectness[row]))) if activation == LOGIT_PRODUCTS else T(1)


@inlined
def score_of(score, presence, activation):
    """Return a score as a probability, rounded after each operation as peers do."""
    T = type(score)
    if has_logits(activation):
        score = T(sigmoid(np.float64(score)))
    if activation == PRODUCTS or activation == LOGIT_PRODUCTS:
        score = T(math.sqrt(np.float64(score * presence)))
    return score


def scored_predictions_type(t):
    return group(side(t), readonly(i8), readonly(t, 2), readonly(t), i8)
