"""ATSS: the anchors that a truth takes by the statistics of their IoUs (Zhang et al., CVPR 2020)."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign import candidates
from fastbox.kernels.assign.candidates import DISREGARDED, UNCLAIMED, VALUES
from fastbox.kernels.assign.claims import claim
from fastbox.kernels.codes import OWN
from fastbox.kernels.geometry.extremes import robust_iou
from fastbox.kernels.geometry.formulas import smaller
from fastbox.kernels.geometry.pack import box_at

# Bound anew for each source; here it is a grid's.
levels_of = candidates.grid_levels


def by_statistics(source, place, one, g, truth, bounds, state, m, work):
    """Take the nearest anchors of each level whose IoU reaches mean + standard deviation of all their IoUs."""
    image, n = place[0], place[1]
    held, owned, claimer, _ = state
    levels, which, k = levels_of(source)
    table = which[image]
    T = type(one.area)
    half, margin = T(0.5), T(0.01)
    x, y = half * one.x0 + half * one.x1, half * one.y0 + half * one.y1
    for j in range(n):
        a = np.uint64(j)
        dx, dy = half * work[0, a] + half * work[2, a] - x, half * work[1, a] + half * work[3, a] - y
        work[VALUES, a] = dx * dx + dy * dy
    room = levels.shape[1] * k
    near, who = np.empty(room, T), np.empty(room, np.int64)
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
        return m
    total = square = np.float64(0)
    for j in range(c):
        near[j] = robust_iou(box_at(work, who[j]), one)
        total += np.float64(near[j])
    for j in range(c):
        square += (np.float64(near[j]) - total / c) ** 2
    least = T(total / c + math.sqrt(square / (c - 1)))
    for j in range(c):
        a, v = who[j], near[j]
        cx, cy = half * work[0, a] + half * work[2, a], half * work[1, a] + half * work[3, a]
        inside = smaller(smaller(cx - one.x0, cy - one.y0), smaller(one.x1 - cx, one.y1 - cy)) > margin
        if inside and v >= least and (claimer[a] == UNCLAIMED or v > held[a]):
            m = claim(a, g, T(np.inf), OWN, state, m)
            held[a], owned[a] = v, truth
    return m
