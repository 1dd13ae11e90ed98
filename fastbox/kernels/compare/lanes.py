"""The best values of rows: lanes that meet few boxes, and pairs that plain formulas can't measure."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import integers_of, ordered_bits
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.masks import above, at_most
from fastbox.kernels.build.nontemporal import copy_lanes
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.codes import LANES
from fastbox.kernels.compare.measure import BOUND as MEASURED
from fastbox.kernels.compare.measure import better, with_loops
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.formulas import iou_if_met as if_met
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.pack import box_at, clear_invalid

# Kernel binds these anew for each metric; here they are iou's.
DISTANCE, APART = False, True

SIDE = 16  # lanes that meet a box together, a register of float32
RANKS = 16  # more than the most values of a row that are ranked side by side
BEST_SO_FAR, WHERE = 6, 7  # rows of lanes, behind the boxes


def lead_extremes(lanes, m, tile, n, beta, indices, first):
    """Compare each lane's best so far with pairs of which a box is not safe; their distance may be infinite."""
    T = lanes.dtype.type
    for l in range(m):
        one = box_at(lanes, l)
        for j in range(n):
            other = box_at(tile, j)
            if one.area == one.area and other.area == other.area:
                continue
            met, leader, where = robust(one, other, beta), lanes[BEST_SO_FAR, l], lanes[WHERE, l]
            before = met == leader and T(j) < where
            vacant = met == met and where < T(0) and indices[first + l] < 0
            if better(met, leader, DISTANCE) or before or vacant:
                lanes[BEST_SO_FAR, l], lanes[WHERE, l] = met, T(j)


def rank_extremes(met, start, n, ranked, columns, column):
    """Insert values into the ranks of a row as `top` does, though some may be infinite distances."""
    for j in range(n):
        value = met[start + j]
        place = columns.size
        while place > 0 and value == value and (better(value, ranked[place - 1], DISTANCE) or columns[place - 1] < 0):
            place -= 1
        if place < columns.size:
            for later in range(columns.size - 1, place, -1):
                ranked[later], columns[later] = ranked[later - 1], columns[later - 1]
            ranked[place], columns[place] = value, column + j


def lead_few(lanes, m, tile, start, n, beta, values, indices, row):
    """Write the best values of m rows and their columns among the first n boxes of a tile, SIDE rows at a time.

    A row begins with the first column, and where boxes apart have the value 0, with 0, so that numbers not above 0 need
    not be right. This beginning is wrong for an invalid row, and if the first column is invalid.
    """
    T = values.dtype.type
    worst = T(0) if APART else T(np.inf) if DISTANCE else T(-np.inf)
    # Made here, for then the compiler knows that these overlap neither each other nor the lanes.
    leaders, places = stack_array(values, SIDE), stack_array(integers_of(values), SIDE)
    chosen, columns = stack_array(places, SIDE), stack_array(indices, SIDE)
    side = lanes.shape[1] // (LANES // SIDE)  # not a constant, as in `rank_few`
    for first in range(0, m, SIDE):
        for l in range(SIDE):
            leaders[l] = worst
        for l in range(SIDE):
            places[l] = 0
        for j in range(n):
            one, column = box_at(tile, np.uint64(j)), places.dtype.type(j)
            for l in range(SIDE):
                met, leader = if_met(box_at(lanes, np.uint64(first + l)), one, beta), leaders[l]
                taken = better(met, leader, DISTANCE)
                places[l] = column if taken else places[l]
                leaders[l] = met if taken else leader
        copy_lanes(chosen, 0, places)
        for l in range(side):
            columns[np.uint64(l)] = start + np.int64(chosen[np.uint64(l)])
        copy_lanes(values, row + first, leaders)
        copy_lanes(indices, row + first, columns)


def lead_across(lanes, m, tile, start, n, beta, values, indices, row):
    """Do as :func:`lead_few` where boxes apart have the value 0, with lanes across the boxes of the tile.

    From 0 on floats rise with their bits, and integers have maxima that vectorise.
    """
    zero = values.dtype.type(0)
    leaders, places = stack_array(values, SIDE), stack_array(integers_of(values), SIDE)
    whole, beyond = places.dtype.type, places.dtype.type(tile.shape[1])
    side = lanes.shape[1] // (LANES // SIDE)  # not a constant, as in `rank_few`
    for r in range(m):
        one = box_at(lanes, np.uint64(r))
        for l in range(SIDE):
            leaders[l] = zero
        for l in range(SIDE):
            places[l] = 0
        for first in range(0, n, SIDE):
            for l in range(SIDE):
                met, leader = if_met(one, box_at(tile, np.uint64(first + l)), beta), leaders[l]
                places[l] = whole(first) if met > leader else places[l]
                leaders[l] = met if met > leader else leader
        top = ordered_bits(zero)
        for l in range(side):
            top = larger(top, ordered_bits(leaders[np.uint64(l)]))
        column = beyond
        for l in range(side):
            here = whole(places[np.uint64(l)] + whole(l))
            here = here if ordered_bits(leaders[np.uint64(l)]) == top else beyond
            column = smaller(column, here)
        values[row + r], indices[row + r] = leaders[np.uint64(column) % np.uint64(SIDE)], start + np.int64(column)


@device
def first_valid(n, tile):
    """Return the first valid one of n unusual boxes of a tile; n without any, or if an area is not screenable."""
    if not clear_invalid(n, tile):
        return n
    j = 0
    while j < n and tile[0, j] != tile[0, j]:
        j += 1
    return j


@device
def correct_invalid(lanes, m, start, valid, values, indices, row):
    """Give invalid rows no best value, and rows that overlap nothing the first valid column instead of the first."""
    nan = values.dtype.type(np.nan)
    for r in range(m):
        size, k = lanes[4, np.uint64(r)], np.uint64(row + r)
        values[k] = values[k] if size == size else nan
    for r in range(m):
        size, k = lanes[4, np.uint64(r)], np.uint64(row + r)
        column = start + valid if indices[k] == start else indices[k]
        indices[k] = column if size == size else -1


def rank_few(lanes, m, tile, start, n, beta, values, indices, row):
    """Write the values and columns of m rows as `top` does, fewer than RANKS of them, of the n boxes of a tile.

    A value goes through the ranks from the last one up. Each rank takes the rank above if the value is better than
    that, or else the value if it is better than the rank; no value is better than the rank above the first.
    """
    T = values.dtype.type
    worst, none, nan = T(np.inf) if DISTANCE else T(-np.inf), np.int32(-1), T(np.nan)
    k = values.shape[1]
    side = lanes.shape[1] // (LANES // SIDE)  # not a constant, for which the compiler would write each lane by itself
    integers = np.empty(0, np.int32)
    met, here, there = stack_array(values, SIDE), stack_array(integers, SIDE), stack_array(integers, SIDE)
    ranks, places = stack_tile(values, RANKS, SIDE), stack_tile(integers, RANKS, SIDE)
    for first in range(0, m, SIDE):
        for p in range(k + 1):
            for l in range(side):
                ranks[np.uint64(p), np.uint64(l)] = worst if p > 0 else -worst
                places[np.uint64(p), np.uint64(l)] = none
        for j in range(n):
            one, column = box_at(tile, np.uint64(j)), np.int32(j)
            for l in range(side):
                met[np.uint64(l)] = value(box_at(lanes, np.uint64(first + l)), one, beta)
            for p in range(min(k, j + 1), 0, -1):
                rank, above = np.uint64(p), np.uint64(p - 1)
                for lane in range(side):
                    l = np.uint64(lane)
                    x, now, before = met[l], ranks[rank, l], ranks[above, l]
                    taken, later = better(x, now, DISTANCE), better(x, before, DISTANCE)
                    here[l], there[l] = -np.int32(taken), -np.int32(later)
                    now = x if taken else now
                    ranks[rank, l] = before if later else now
                # By bits: of two places to choose from, the compiler would load each by itself.
                for lane in range(side):
                    l = np.uint64(lane)
                    place = np.int32((column & here[l]) | (places[rank, l] & ~here[l]))
                    places[rank, l] = np.int32((places[above, l] & there[l]) | (place & ~there[l]))
        for l in range(min(SIDE, m - first)):
            row_of, lane = np.uint64(row + first + l), np.uint64(l)
            for p in range(k):
                rank, place = np.uint64(p), places[np.uint64(p + 1), lane]
                values[row_of, rank] = ranks[np.uint64(p + 1), lane] if place >= 0 else nan
                indices[row_of, rank] = start + np.int64(place) if place >= 0 else -1


def reach_few(lanes, one, beta, limit, met):
    """Write the values of all lanes with a box; return which of them reach a limit, a bit for each lane."""
    for l in range(lanes.shape[1]):  # not a constant, for which the compiler would write each lane by itself
        met[np.uint64(l)] = value(box_at(lanes, np.uint64(l)), one, beta)
    return at_most(met, 0, LANES, limit) if DISTANCE else above(met, 0, LANES, limit)


_CARED_FOR = with_loops(MEASURED, lead_extremes, rank_extremes)
BOUND = with_loops(_CARED_FOR, lead_across, lead_few, rank_few, reach_few, compiled=inlined)
