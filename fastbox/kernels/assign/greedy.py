"""Detections take truths one after the other, best score first: each truth once, a crowd as often as it is met."""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, i8, readonly, side, vector
from fastbox.kernels.compare.dense import BLOCK, BOUND, VALUES, measure, measure_odd, none_above, sought, whole
from fastbox.kernels.geometry.extremes import iof_of
from fastbox.kernels.geometry.metrics import NEEDS_IOU, NO_SCREEN, iof
from fastbox.kernels.geometry.pack import LANES, at, pack

# Kernel binds these anew for each metric; here they are iou's.
SCREEN, ANGLES = NEEDS_IOU, False

FREE, TAKEN, CROWD = range(3)


def greedy(a, b, starts_a, starts_b, first, last, order, classes_a, classes_b, crowd, least, below, matches, values):
    """Match the rows of a in `order`, image by image of [first, last), each to the best row of b that is still free.

    `order` holds the rows of an image in its own places, -1 for one that can't match. A value must reach `least`;
    `below` is the float before it. The last of equal values wins. A crowd is taken only where no other will do.
    """
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    none = T(0)
    most_a, most_b = np.int64(0), np.int64(0)
    for g in range(first, last):
        most_a, most_b = max(most_a, starts_a[g + 1] - starts_a[g]), max(most_b, starts_b[g + 1] - starts_b[g])
    tile_a = np.empty((6, (most_a + LANES - 1) // LANES * LANES), values.dtype)
    tile_b = np.empty((7, (most_b + LANES - 1) // LANES * LANES), values.dtype)
    state = np.empty(most_b, np.int8)
    met = tile_b[VALUES]
    p, q = sought(below, eps, SCREEN)
    for g in range(first, last):
        lo, hi, s, e = starts_a[g], starts_a[g + 1], starts_b[g], starts_b[g + 1]
        if lo == hi or s == e:
            continue
        tame_b = pack(b, s, e, ANGLES, tile_b)
        tame = pack(a, lo, hi, ANGLES, tile_a) and tame_b
        screened = SCREEN != NO_SCREEN and tame
        crowds = np.int64(0)
        for j in range(e - s):
            state[j] = CROWD if crowd[s + j] else FREE
            crowds += np.int64(crowd[s + j])
        free = e - s - crowds
        for place in range(lo, hi):
            row = order[place]
            if row < 0:
                continue
            one = at(tile_a, row - lo)
            best, chosen = least, np.int64(-1)
            if free > 0:
                for start in range(0, e - s, BLOCK):
                    n = min(BLOCK, whole(e - s) - start)
                    if screened and none_above(one, p, q, tile_b, start, n):
                        continue
                    measure(one, tile_b, start, n, none)
                    if not tame:
                        measure_odd(one, tile_b, start, n, none, met, start)
                    for j in range(start, min(start + n, e - s)):
                        if met[j] >= best and state[j] == FREE and classes_a[row] == classes_b[s + j]:
                            best, chosen = met[j], j
            if chosen >= 0:
                state[chosen] = TAKEN
                free -= 1
            elif crowds > 0:
                for j in range(e - s):
                    if state[j] == CROWD and classes_a[row] == classes_b[s + j]:
                        inside = iof(one, at(tile_b, j), none)
                        inside = inside if inside == inside else iof_of(one, at(tile_b, j), none)
                        if inside >= best:
                            best, chosen = inside, j
            if chosen >= 0:
                matches[row], values[row] = s + chosen, best


GREEDY = Kernel(
    greedy,
    lambda t: types.void(
        side(t),
        side(t),
        readonly(i8),
        readonly(i8),
        i8,
        i8,
        vector(i8),
        readonly(i8),
        readonly(i8),
        readonly(types.boolean),
        t,
        t,
        vector(i8),
        vector(t),
    ),
    BOUND,
)
