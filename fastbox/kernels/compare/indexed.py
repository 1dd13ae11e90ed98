"""The best, the top and the pairs of one image through an index: the bits that the dense kernels give.

Both sides are sorted. Rows of a that lie together form a group; the boxes of b that overlap the group's hull are
gathered into a tile, and every row of the group is measured with the tile.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import integers_of, ordered_bits
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH, above, below, first_bits, lowest
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import NEEDS_IOU, NEEDS_IOU_ROUNDED, ROUNDED_LEAST
from fastbox.kernels.compare.cell_index import GROUP, empty_runs, find_runs, gather, grid_of, hull_of, unpack_grid
from fastbox.kernels.compare.lanes import SIDE
from fastbox.kernels.compare.measure import (
    BLOCK,
    BOUND,
    TILE_COLS,
    VALUES,
    emit_pair,
    empty_pairs,
    grown,
    measure_above,
    screen_terms,
    whole_vectors,
    with_loops,
)
from fastbox.kernels.geometry.elementary import epsilon
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.formulas import larger
from fastbox.kernels.geometry.pack import COLS, box_at

# Kernel binds these anew for each metric; here they are iou's.
SCREEN, ANGLES = NEEDS_IOU, False

NOWHERE = np.int64(2**63 - 1)
ROWS = VALUES + 1


@device
def least_value(t, screen):
    """Return the value above which the boxes of a pair overlap."""
    return type(t)(ROUNDED_LEAST) if screen == NEEDS_IOU_ROUNDED else type(t)(0)


def measure_highest(one, tile, n, beta):
    """Write the values of one box with n boxes of a tile beside the boxes; return the bits of the highest above 0.

    Above 0 floats are in the order of their bits, and a maximum of integers vectorises, a maximum of floats does not.
    """
    zero = type(one.area)(0)
    most = ordered_bits(zero)
    for j in range((n + SIDE - 1) // SIDE * SIDE):  # not by a call: the loop would keep a remainder
        k = np.uint64(j)
        found = value(one, box_at(tile, k), beta)
        tile[VALUES, k] = found
        bits = ordered_bits(found if found > zero else zero)
        most = bits if bits > most else most
    return most


@inlined
def place_of(met, ids, n, leader, place):
    """Return the least of a place and of the places of the boxes whose value is that of the leader, the highest."""
    for start in range(0, n, WIDTH):
        mask = ~below(met, start, WIDTH, leader) & first_bits(n - start)
        while mask != np.uint64(0):
            place = min(place, ids[np.uint64(start + lowest(mask))])
            mask &= mask - np.uint64(1)
    return place


def best(beta, rows_a, grid_b, span, outputs):
    """Write the best of each row of groups [first, last) where it exceeds `least_value`; other rows stay."""
    (ids_a, boxes_a, groups), (first, last), (values, indices) = rows_a, span, outputs
    grid = unpack_grid(grid_b)
    T = values.dtype.type
    tile, ids, runs = stack_tile(values, ROWS, TILE_COLS), stack_array(ids_a, COLS), empty_runs(grid)
    leaders, where = stack_array(values, GROUP), stack_array(ids_a, GROUP)
    met, highest = tile[VALUES], stack_array(values, 1)
    bits = integers_of(highest)
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        leaders[:] = least_value(T(0), SCREEN)
        where[:] = NOWHERE
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids, ANGLES)
            for r in range(hi - lo):
                one = box_at(boxes_a, lo + r)
                bits[0] = measure_highest(one, tile, n, beta)
                leader = larger(highest[0], leaders[r])
                if leader == leaders[r] and where[r] == NOWHERE:
                    continue
                place = where[r] if leader == leaders[r] else NOWHERE
                leaders[r], where[r] = leader, place_of(met, ids, n, leader, place)
        for r in range(hi - lo):
            if where[r] < NOWHERE:
                values[ids_a[lo + r]], indices[ids_a[lo + r]] = leaders[r], where[r]


def top(beta, rows_a, grid_b, span, outputs):
    """Write the k best of each row of groups [first, last) that exceed `least_value`; nan and -1 for the others."""
    (ids_a, boxes_a, groups), (first, last), (values, indices) = rows_a, span, outputs
    grid = unpack_grid(grid_b)
    T = values.dtype.type
    eps = epsilon(beta)  # values that round to a tie pass the screen: boxes come in no order
    tile, ids, runs = stack_tile(boxes_a, ROWS, TILE_COLS), stack_array(ids_a, COLS), empty_runs(grid)
    met = tile[VALUES]
    k = values.shape[1]
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        for r in range(lo, hi):
            values[ids_a[r]], indices[ids_a[r]] = least_value(T(0), SCREEN), -1
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids, ANGLES)
            for r in range(lo, hi):
                one = box_at(boxes_a, r)
                ranked, columns = values[ids_a[r]], indices[ids_a[r]]
                p, q = screen_terms(ranked[k - 1], eps, SCREEN)
                for start in range(0, n, BLOCK):
                    m = min(BLOCK, whole_vectors(n) - start)
                    if not measure_above(one, p, q, True, tile, start, m, beta):
                        continue
                    mask = ~below(met, start, WIDTH, ranked[k - 1]) & first_bits(n - start)
                    while mask != np.uint64(0):
                        j = start + lowest(mask)
                        mask &= mask - np.uint64(1)
                        place = k
                        while place > 0 and (
                            met[j] > ranked[place - 1] or (met[j] == ranked[place - 1] and ids[j] < columns[place - 1])
                        ):
                            place -= 1
                        if place < k:
                            for later in range(k - 1, place, -1):
                                ranked[later], columns[later] = ranked[later - 1], columns[later - 1]
                            ranked[place], columns[place] = met[j], ids[j]
                    p, q = screen_terms(ranked[k - 1], eps, SCREEN)
        for r in range(lo, hi):
            for place in range(k):
                if indices[ids_a[r], place] < 0:
                    values[ids_a[r], place] = T(np.nan)


def pairs(beta, rows_a, grid_b, span, limits, counts):
    """Return rows, columns and values above a limit of groups [first, last), unordered, and count them for each row."""
    (ids_a, boxes_a, groups), (first, last), (limit, upper) = rows_a, span, limits
    grid = unpack_grid(grid_b)
    dtype = boxes_a.dtype
    eps = epsilon(limit)
    tile, ids, runs = stack_tile(boxes_a, ROWS, TILE_COLS), stack_array(ids_a, COLS), empty_runs(grid)
    met = tile[VALUES]
    rows, cols, values = empty_pairs(dtype)
    found = 0
    p, q = screen_terms(limit, eps, SCREEN)
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids, ANGLES)
            for r in range(lo, hi):
                one, row = box_at(boxes_a, r), ids_a[r]
                for start in range(0, n, BLOCK):
                    m = min(BLOCK, whole_vectors(n) - start)
                    if not measure_above(one, p, q, True, tile, start, m, beta):
                        continue
                    if found + BLOCK > rows.size:
                        rows, cols, values = grown(rows, cols, values)
                    reached = above(met, start, WIDTH, limit) & first_bits(n - start)
                    while reached != np.uint64(0):
                        j = start + lowest(reached)
                        reached &= reached - np.uint64(1)
                        if not (upper and ids[j] <= row):
                            found = emit_pair(row, ids[j], met[j], found, rows, cols, values, counts)
    return rows[:found], cols[:found], values[:found]


@device
def sift_down(cols, values, start, place, n):
    """Move a pair down a heap of the n columns from `start` on, until none below the pair has a higher column."""
    column, value = cols[start + place], values[start + place]
    while 2 * place + 1 < n:
        below = 2 * place + 1
        if below + 1 < n and cols[start + below + 1] > cols[start + below]:
            below += 1
        if cols[start + below] <= column:
            break
        cols[start + place], values[start + place] = cols[start + below], values[start + below]
        place = below
    cols[start + place], values[start + place] = column, value


def order(ends, span, cols, values):
    """Sort the columns of each row of a span, whose pairs end at ends[row], and the values of the columns too."""
    first, last = span
    for row in range(first, last):
        start, end = ends[row - 1] if row else 0, ends[row]
        if end - start > 64:
            for place in range((end - start) // 2 - 1, -1, -1):
                sift_down(cols, values, start, place, end - start)
            for n in range(end - start - 1, 0, -1):
                cols[start], cols[start + n] = cols[start + n], cols[start]
                values[start], values[start + n] = values[start + n], values[start]
                sift_down(cols, values, start, 0, n)
            continue
        for j in range(start + 1, end):
            column, value, place = cols[j], values[j], j
            while place > start and cols[place - 1] > column:
                cols[place], values[place] = cols[place - 1], values[place - 1]
                place -= 1
            cols[place], values[place] = column, value


def _signature(t, *outputs):
    """Return the types of the arguments of a query, given the types of its outputs."""
    return t, group(vector(i8), vector(t, 2), readonly(i8)), grid_of(t), group(i8, i8), *outputs


def top_signature(t):
    """Return the types of the arguments of `top`."""
    return types.void(*_signature(t, group(vector(t, 2), vector(i8, 2))))


def pairs_signature(t):
    """Return the types of the arguments of `pairs`."""
    return group(vector(i8), vector(i8), vector(t))(*_signature(t, group(t, types.boolean), vector(i8)))


BEST = Kernel(
    best, lambda t: types.void(*_signature(t, group(vector(t), vector(i8)))), with_loops(BOUND, measure_highest)
)
TOP = Kernel(top, top_signature, BOUND)
PAIRS = Kernel(pairs, pairs_signature, BOUND)
ORDER = Kernel(order, lambda t: types.void(readonly(i8), group(i8, i8), vector(i8), vector(t)), {"": {}})
