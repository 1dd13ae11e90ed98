"""ATSS: the anchors that a truth takes by the statistics of their IoUs (Zhang et al., CVPR 2020)."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign import candidates
from fastbox.kernels.assign.candidates import DISREGARDED, UNCLAIMED
from fastbox.kernels.assign.claims import claim
from fastbox.kernels.build.device import device
from fastbox.kernels.codes import OWN
from fastbox.kernels.compare.measure import VALUES
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import smaller
from fastbox.kernels.geometry.pack import box_at

# Bound anew for each source; here it is a grid's.
levels_of = candidates.grid_levels

# Bound anew for each geometry, as `robust`, `box_at` and VALUES are; here they are those of plain boxes.


@device
def centre_of(box):
    half = type(box.x0)(0.5)
    return half * box.x0 + half * box.x1, half * box.y0 + half * box.y1


@device
def depth_in(box, x, y):
    """Return the least distance of a point inside a box to an edge; below 0 for a point outside."""
    return smaller(smaller(x - box.x0, y - box.y0), smaller(box.x1 - x, box.y1 - y))


def by_statistics(source, place, one, g, truth, bounds, state, m, work):
    """Take the nearest anchors of each level whose IoU reaches mean + standard deviation of all their IoUs.

    Returns the number of anchors touched, and that of all anchors, as :func:`by_iou` does where none is at a best.
    """
    image, n = place[0], place[1]
    held, owned, claimer, _ = state
    floor = bounds[2]
    levels, which, k = levels_of(source)
    table = which[image]
    T = type(floor)
    margin = type(one.area)(0.01)
    x, y = centre_of(one)
    for j in range(n):
        a = np.uint64(j)
        cx, cy = centre_of(box_at(work, a))
        dx, dy = cx - x, cy - y
        work[VALUES, a] = dx * dx + dy * dy
    room = levels.shape[1] * k
    near, who = np.empty(room, work.dtype), np.empty(room, np.int64)
    c = first = 0
    for level in range(levels.shape[1]):
        start, last = c, first + levels[table, level]
        for a in range(first, last):
            d = work[VALUES, a]
            if (c - start == k and not d < near[c - 1]) or claimer[a] == DISREGARDED:
                continue
            if c - start < k:
                c += 1
            spot = c - 1
            while spot > start and d < near[spot - 1]:
                near[spot], who[spot] = near[spot - 1], who[spot - 1]
                spot -= 1
            near[spot], who[spot] = d, a
        first = last
    if c < 2:  # of one value there is no deviation
        return m, n
    total = square = np.float64(0)
    for j in range(c):
        near[j] = robust(box_at(work, who[j]), one, T(0))
        total += np.float64(near[j])
    for j in range(c):
        square += (np.float64(near[j]) - total / c) ** 2
    least = T(total / c + math.sqrt(square / (c - 1)))
    for j in range(c):
        a, v = who[j], near[j]
        cx, cy = centre_of(box_at(work, a))
        if depth_in(one, cx, cy) > margin and v >= least and (claimer[a] == UNCLAIMED or v > held[a]):
            m = claim(a, g, T(np.inf), OWN, state, m)
            held[a], owned[a] = v, truth
    return m, n
