"""Greedy matching: detections take truths by descending score, each truth once, a crowd any number of times."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH, below, first_bits, lowest
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import NEEDS_IOU, NO_SCREEN
from fastbox.kernels.compare.measure import (
    BLOCK,
    BOUND,
    VALUES,
    like_tiles,
    measure,
    measure_extremes,
    none_above,
    screen_terms,
    whole_vectors,
)
from fastbox.kernels.geometry.elementary import epsilon
from fastbox.kernels.geometry.extremes import iof_of
from fastbox.kernels.geometry.formulas import iof
from fastbox.kernels.geometry.pack import box_at, pack, whole_lanes

# Kernel binds this and `pack` anew for each metric; here they are iou's.
SCREEN = NEEDS_IOU

FREE, TAKEN, CROWD = range(3)


def greedy(detections, truths, limits, span, outputs):
    """Match the detections of the images of a span in `order`, each to the best truth that is still free.

    Detections are boxes, the bounds of images, `order` and classes; truths are boxes, bounds, classes and crowd flags.
    `order` holds the rows of an image in the places of the image, -1 for a detection that can't match. A value must
    reach `least`; `limit` is the float before it. The last of equal values wins. A crowd is taken only if no other
    truth reaches `least`.
    """
    (a, starts_a, order, classes_a), (b, starts_b, classes_b, crowd) = detections, truths
    (least, limit), (first, last), (matches, values) = limits, span, outputs
    T = values.dtype.type
    eps = epsilon(T(0))
    none = T(0)
    most_a, most_b = np.int64(0), np.int64(0)
    for g in range(first, last):
        most_a, most_b = max(most_a, starts_a[g + 1] - starts_a[g]), max(most_b, starts_b[g + 1] - starts_b[g])
    tile_a = np.empty((VALUES, whole_lanes(most_a)), like_tiles(values).dtype)
    tile_b = np.empty((VALUES + 1, whole_lanes(most_b) + WIDTH), like_tiles(values).dtype)  # with room for a mask
    state = np.empty(most_b, np.int8)
    met = tile_b[VALUES]
    p, q = screen_terms(limit, eps, SCREEN)
    for g in range(first, last):
        lo, hi, s, e = starts_a[g], starts_a[g + 1], starts_b[g], starts_b[g + 1]
        if lo == hi or s == e:
            continue
        screenable_b = pack(b, s, e, tile_b)
        screenable = pack(a, lo, hi, tile_a) and screenable_b
        screened = SCREEN != NO_SCREEN and screenable
        crowds = np.int64(0)
        for j in range(e - s):
            state[j] = CROWD if crowd[s + j] else FREE
            crowds += np.int64(crowd[s + j])
        free = e - s - crowds
        for place in range(lo, hi):
            row = order[place]
            if row < 0:
                continue
            one = box_at(tile_a, row - lo)
            best, chosen = least, np.int64(-1)
            if free > 0:
                for start in range(0, e - s, BLOCK):
                    n = min(BLOCK, whole_vectors(e - s) - start)
                    if screened and none_above(one, p, q, tile_b, start, n):
                        continue
                    measure(one, tile_b, start, n, none)
                    if not screenable:
                        measure_extremes(one, tile_b, start, n, none, met, start)
                    mask = ~below(met, start, WIDTH, best) & first_bits(e - s - start)
                    while mask != np.uint64(0):
                        j = start + lowest(mask)
                        mask &= mask - np.uint64(1)
                        if met[j] >= best and state[j] == FREE and classes_a[row] == classes_b[s + j]:
                            best, chosen = met[j], j
            if chosen >= 0:
                state[chosen] = TAKEN
                free -= 1
            elif crowds > 0:
                for j in range(e - s):
                    if state[j] == CROWD and classes_a[row] == classes_b[s + j]:
                        inside = iof(one, box_at(tile_b, j), none)
                        inside = inside if inside == inside else iof_of(one, box_at(tile_b, j), none)
                        if inside >= best:
                            best, chosen = inside, j
            if chosen >= 0:
                matches[row], values[row] = s + chosen, best


def signature(t, boxes=side):
    """Return the types of the arguments, given the type of boxes."""
    detections = group(boxes(t), readonly(i8), vector(i8), readonly(i8))
    truths = group(boxes(t), readonly(i8), readonly(i8), readonly(types.boolean))
    return types.void(detections, truths, group(t, t), group(i8, i8), group(vector(i8), vector(t)))


GREEDY = Kernel(greedy, signature, BOUND)
