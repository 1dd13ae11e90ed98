"""IoU as COCO's code computes it, from a corner and two sides; and where the truths of a class lie.

Kernels that match boxes of another geometry bind `box_at`, `frame_of` and `overlap` anew.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.types import readonly

LEAST, MOST = 2.0**-900, 2.0**900  # between these an area is neither too small nor too large for the plain formula

Sides = namedtuple("Sides", "x y w h")


def four(t):
    """Return the types of the columns x, y, w and h of boxes."""
    return types.repeated(readonly(t), 4)


@device
def box_at(columns, j):
    """Return the j-th box of the columns x, y, w and h."""
    x, y, w, h = columns
    return Sides(x[j], y[j], w[j], h[j])


@device
def frame_of(box):
    """Return left, top, right and bottom of a frame outside of which the box overlaps nothing."""
    return box.x, box.y, box.x + box.w, box.y + box.h


@device
def overlap_beyond(box, truth, crowd):
    """Compute the overlap of boxes whose areas overflow or underflow: each axis in units of a power of two.

    The unit is a little more than the longer side; for a crowd, where the area of the first box divides, than its side.
    """
    x, y, w, h = box.x, box.y, box.w, box.h
    left, top, width, height = truth.x, truth.y, truth.w, truth.h
    wide, high = math.frexp(w if crowd else max(w, width))[1], math.frexp(h if crowd else max(h, height))[1]
    x, w, left, width = np.ldexp(x, -wide), np.ldexp(w, -wide), np.ldexp(left, -wide), np.ldexp(width, -wide)
    y, h, top, height = np.ldexp(y, -high), np.ldexp(h, -high), np.ldexp(top, -high), np.ldexp(height, -high)
    across = (x + w if x + w < left + width else left + width) - (x if x > left else left)
    down = (y + h if y + h < top + height else top + height) - (y if y > top else top)
    shared = across * down
    whole = w * h if crowd else w * h + width * height - shared
    return shared / whole if whole > 0.0 else 0.0


@device
def overlap(box, truth, crowd):
    """Compute the IoU of a box with a truth; with a crowd, the share of the box inside the crowd."""
    x, y, w, h = box.x, box.y, box.w, box.h
    left, top, width, height = truth.x, truth.y, truth.w, truth.h
    across = (x + w if x + w < left + width else left + width) - (x if x > left else left)
    down = (y + h if y + h < top + height else top + height) - (y if y > top else top)
    if not (across > 0.0 and down > 0.0):
        return 0.0
    shared = across * down
    whole = w * h if crowd else w * h + width * height - shared
    if (whole > LEAST) & (whole < MOST):
        return shared / whole
    return overlap_beyond(box, truth, crowd)


@device
def first_of(code, codes, order, lo, hi):
    """Find the first place of [lo, hi) whose row has at least this code."""
    while lo < hi:
        middle = (lo + hi) // 2
        if codes[order[middle]] < code:
            lo = middle + 1
        else:
            hi = middle
    return lo
