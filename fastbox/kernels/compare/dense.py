"""Dense kernels: all pairs measured, for the best, the top or pairs. One kernel each.

Every kernel takes the metric's beta, both collections, the offsets of their images with the images to leave out, the
span of rows of a to do, and its outputs. Rows are independent of one another, so any cut of the rows on any number of
threads gives the same bits.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import apart
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH, above, at_most, below, first_bits, lowest
from fastbox.kernels.build.prefetch import prefetch_boxes, prefetch_numbers
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import LANES, NEEDS_IOU, NO_SCREEN
from fastbox.kernels.compare.lanes import (
    BEST_SO_FAR,
    BOUND,
    RANKS,
    SIDE,
    WHERE,
    correct_invalid,
    first_valid,
    lead_across,
    lead_extremes,
    lead_few,
    rank_extremes,
    rank_few,
    reach_few,
)
from fastbox.kernels.compare.measure import (
    BLOCK,
    ROWS,
    TILE_COLS,
    TINY,
    VALUES,
    better,
    emit_pair,
    empty_pairs,
    empty_tile_b,
    grown,
    insert,
    like_tiles,
    measure_above,
    measure_extremes,
    screen_terms,
    whole_vectors,
    with_loops,
)
from fastbox.kernels.geometry.elementary import epsilon
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.pack import COLS, box_at, clear_invalid, pack, pack_usual, tile_ranges

# Kernel binds these and `pack` anew for each metric; here they are iou's.
SCREEN, DISTANCE, APART = NEEDS_IOU, False, True

FEW = 64  # columns up to which `best` and `top` do not screen an image
AHEAD = 256  # rows between what is asked of memory and what is worked on, of images of few columns
P, Q = 8, 9  # rows of the lanes of `best`, behind those that the leaders use


def best(beta, sides, images, span, outputs):
    """Write each row's best value and its column, the lowest at ties; nan and -1 for a row without valid pair.

    Lanes are rows of a, and one box of b meets all of them: the comparison with the best so far is a select. Images of
    few columns are not screened, for a branch that can't be foreseen takes longer than what it spares. Where rows are
    far fewer than columns, lanes are columns: a step takes five fourths of the other way's, for its best has to be
    found among lanes.
    """
    (a, b), (starts_a, starts_b, skip), (g, first, last) = sides, images, span
    values, indices = outputs
    lanes, tile_b = stack_tile(values, VALUES, LANES), empty_tile_b(values.dtype, SIDE)
    while g < starts_a.size - 1 and starts_a[g] < last:
        lo, hi, s = max(starts_a[g], first), min(starts_a[g + 1], last), starts_b[g]
        n = 0 if skip[g] else starts_b[g + 1] - s
        across = APART and SIDE < n <= COLS and 5 * (hi - lo) * ((n + SIDE - 1) // SIDE) < 4 * n
        valid = n
        if across or 0 < n <= FEW:
            valid = 0 if pack_usual(b, s, s + n, SIDE, tile_b) else first_valid(n, tile_b)
        if valid == n:
            lead(a, b, (lo, hi, s, s + n), beta, tile_b, values, indices)
        else:
            if n > SIDE:
                prefetch_boxes(b, s + AHEAD, FEW)
            for i in range(lo, hi, LANES):
                m = min(LANES, hi - i)
                prefetch_boxes(a, i + AHEAD, LANES)
                prefetch_numbers(values, i + AHEAD, LANES)
                prefetch_numbers(indices, i + AHEAD, LANES)
                rows = (m + SIDE - 1) // SIDE * SIDE  # those behind the image come later
                usual = pack_usual(a, i, i + m, SIDE, lanes)
                if i + rows > last or not (usual or clear_invalid(m, lanes)):
                    lead(a, b, (i, i + m, s, s + n), beta, tile_b, values, indices)
                    continue
                if across:
                    lead_across(lanes, m, tile_b, s, n, beta, values, indices, i)
                else:
                    lead_few(lanes, m, tile_b, s, n, beta, values, indices, i)
                if not usual or valid > 0:
                    correct_invalid(lanes, m, s, valid, values, indices, i)
        g += 1


def lead(a, b, image, beta, tile_b, values, indices):
    """Write the best values of some rows and their columns, of the boxes of one image."""
    lo, hi, begin, end = image
    T = values.dtype.type
    eps = epsilon(T(0))
    worst, nan = T(np.inf) if DISTANCE else T(-np.inf), T(np.nan)
    zero, tiny, none = T(0), T(TINY), T(-1)
    lanes = stack_tile(values, 10, LANES)
    for row in range(lo, hi):
        values[row], indices[row] = nan, -1
    for s in range(begin, end, COLS):
        n = min(COLS, end - s)
        screenable_b = pack(b, s, s + n, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            screenable = pack(a, i, i + m, lanes) and screenable_b
            screened = SCREEN != NO_SCREEN and screenable
            for l in range(LANES):
                lanes[BEST_SO_FAR, l] = worst
                lanes[WHERE, l] = none
            for l in range(m):
                if indices[i + l] >= 0:
                    lanes[BEST_SO_FAR, l] = values[i + l]
            for l in range(LANES):
                lanes[P, l], lanes[Q, l] = screen_terms(lanes[BEST_SO_FAR, l], eps, SCREEN)
            for j in range(n):
                one = box_at(tile_b, j)
                if screened:
                    size = one.area + tiny
                    hit = np.int32(0)
                    for l in range(LANES):
                        w = smaller(lanes[2, l], one.x1) - larger(lanes[0, l], one.x0)
                        h = smaller(lanes[3, l], one.y1) - larger(lanes[1, l], one.y0)
                        reach = (w if w > zero else zero) * h * lanes[P, l]
                        hit = np.int32(hit | np.int32(reach > lanes[Q, l] * (size + lanes[4, l])))
                    if hit == 0:
                        continue
                column = T(j)
                for l in range(LANES):
                    met = value(box_at(lanes, l), one, beta)
                    taken = better(met, lanes[BEST_SO_FAR, l], DISTANCE)
                    leader = met if taken else lanes[BEST_SO_FAR, l]
                    lanes[BEST_SO_FAR, l] = leader
                    lanes[WHERE, l] = column if taken else lanes[WHERE, l]
                    if SCREEN != NO_SCREEN:
                        lanes[P, l], lanes[Q, l] = screen_terms(leader, eps, SCREEN)
            if not screenable:
                lead_extremes(lanes, m, tile_b, n, beta, indices, i)
            for l in range(m):
                if lanes[WHERE, l] >= zero:
                    values[i + l], indices[i + l] = lanes[BEST_SO_FAR, l], s + np.int64(lanes[WHERE, l])


def top(beta, sides, images, span, outputs):
    """Write each row's k best values and their columns, best first, the lower column at ties.

    In images of few columns lanes are rows of a, as those of `best` are.
    """
    (a, b), (starts_a, starts_b, skip), (g, first, last) = sides, images, span
    values, indices = outputs
    T, k = values.dtype.type, values.shape[1]
    eps = epsilon(T(0))
    tile_a, tile_b = stack_tile(like_tiles(values), VALUES, LANES), stack_tile(like_tiles(values), ROWS, TILE_COLS)
    met = tile_b[VALUES]
    while g < starts_a.size - 1 and starts_a[g] < last:
        lo, hi, begin = max(starts_a[g], first), min(starts_a[g + 1], last), starts_b[g]
        end = begin if skip[g] else starts_b[g + 1]
        few = k < RANKS and 0 < end - begin <= FEW
        for s in range(begin, max(end, begin + 1), COLS):  # once for an image without columns, too
            e = min(s + COLS, end)
            screenable_b = pack(b, s, e, tile_b)
            for i in range(lo, hi, LANES):
                m = min(LANES, hi - i)
                prefetch_boxes(a, i + AHEAD, LANES)
                screenable = pack(a, i, i + m, tile_a) and screenable_b
                if few and screenable:
                    rank_few(tile_a, m, tile_b, s, e - s, beta, values, indices, i)
                    continue
                screened = SCREEN != NO_SCREEN and screenable
                for r in range(m):
                    one, ranked, columns = box_at(tile_a, r), values[i + r], indices[i + r]
                    if s == begin:
                        for place in range(k):
                            ranked[place], columns[place] = T(np.inf) if DISTANCE else T(-np.inf), -1
                    p, q = screen_terms(ranked[k - 1], eps, SCREEN)
                    for start in range(0, e - s, BLOCK):
                        n = min(BLOCK, whole_vectors(e - s) - start)
                        if not measure_above(one, p, q, screened, tile_b, start, n, beta):
                            continue
                        if not screenable:
                            measure_extremes(one, tile_b, start, n, beta, met, start)
                            rank_extremes(met, start, n, ranked, columns, s + start)
                            continue
                        least = ranked[k - 1]
                        taken = below(met, start, WIDTH, least) if DISTANCE else above(met, start, WIDTH, least)
                        mask = taken & first_bits(n)
                        while mask != np.uint64(0):
                            j = start + lowest(mask)
                            mask &= mask - np.uint64(1)
                            if better(met[j], ranked[k - 1], DISTANCE):
                                insert(met[j], s + j, ranked, columns, DISTANCE)
                        p, q = screen_terms(ranked[k - 1], eps, SCREEN)
                    if e == end:
                        for place in range(k):
                            ranked[place] = ranked[place] if columns[place] >= 0 else T(np.nan)
        g += 1


def pairs(beta, sides, images, span, limits, counts):
    """Return rows, columns and values that reach the threshold, in the order met, and count them for each row.

    In images of few columns, and no more than rows, lanes are rows of a, as those of `best` are. The limits are
    `limit`, a distance's threshold or the float below a similarity's, and `upper`: keep only columns behind the row.
    """
    (a, b), (starts_a, starts_b, skip), (image, first, last) = sides, images, span
    limit, upper = limits
    dtype = a[1].dtype
    eps = epsilon(limit)
    tile_a, tile_b = stack_tile(like_tiles(a[1]), VALUES, LANES), stack_tile(like_tiles(a[1]), ROWS, TILE_COLS)
    met, near = tile_b[VALUES], stack_array(like_tiles(a[1]), LANES)
    rows, cols, values = empty_pairs(dtype)
    found = 0
    p, q = screen_terms(limit, eps, SCREEN)
    for _, lo, hi, s, e in tile_ranges(starts_a, starts_b, skip, image, first, last):
        screenable_b = pack(b, s, e, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            prefetch_boxes(a, i + AHEAD, LANES)
            screenable = pack(a, i, i + m, tile_a) and screenable_b
            if upper and e <= i + 1:
                continue
            if e - s <= min(FEW, m) and screenable:
                for j in range(e - s):
                    reached = reach_few(tile_a, box_at(tile_b, j), beta, limit, near)
                    if found + LANES > rows.size:
                        rows, cols, values = grown(rows, cols, values)
                    while reached != np.uint64(0):
                        l = lowest(reached)
                        reached &= reached - np.uint64(1)
                        if not (upper and s + j <= i + l):
                            found = emit_pair(i + l, s + j, near[l], found, rows, cols, values, counts)
                continue
            screened = SCREEN != NO_SCREEN and screenable
            for r in range(m):
                one = box_at(tile_a, r)
                for start in range(0, e - s, BLOCK):
                    n = min(BLOCK, whole_vectors(e - s) - start)
                    if upper and s + start + n <= i + r + 1:
                        continue
                    if not measure_above(one, p, q, screened, tile_b, start, n, beta):
                        continue
                    if not screenable:
                        measure_extremes(one, tile_b, start, n, beta, met, start)
                    if found + BLOCK > rows.size:
                        rows, cols, values = grown(rows, cols, values)
                    reached = at_most(met, start, WIDTH, limit) if DISTANCE else above(met, start, WIDTH, limit)
                    reached &= first_bits(n)
                    while reached != np.uint64(0):
                        j = start + lowest(reached)
                        reached &= reached - np.uint64(1)
                        if not (upper and s + j <= i + r):
                            found = emit_pair(i + r, s + j, met[j], found, rows, cols, values, counts)
    return rows[:found], cols[:found], values[:found]


def scatter(found, places, out):
    """Move pairs to the places of their rows, in the order met; the places move on as they fill."""
    (rows, cols, values), (out_rows, out_cols, out_values) = found, out
    for n in range(rows.size):
        place = places[rows[n]]
        out_rows[place], out_cols[place], out_values[place] = rows[n], cols[n], values[n]
        places[rows[n]] = place + 1


def pair_signature(t, *outputs, boxes=side):
    """Return the types of the arguments of a kernel over pairs, given the types of its outputs and of boxes."""
    images = group(readonly(i8), readonly(i8), readonly(types.boolean))
    return t, group(boxes(t), boxes(t)), images, group(i8, i8, i8), *outputs


def found_signature(t):
    """Return the types of rows, columns and values of pairs."""
    return group(vector(i8), vector(i8), vector(t))


def top_signature(t, boxes=side):
    """Return the types of the arguments of `top`, given the type of boxes."""
    return types.void(*pair_signature(t, group(vector(t, 2), vector(i8, 2)), boxes=boxes))


def pairs_signature(t, boxes=side):
    """Return the types of the arguments of `pairs`, given the type of boxes."""
    return found_signature(t)(*pair_signature(t, group(t, types.boolean), vector(i8), boxes=boxes))


LEADING = with_loops(BOUND, lead, compiled=apart)
BEST = Kernel(best, lambda t: types.void(*pair_signature(t, group(vector(t), vector(i8)))), LEADING)
TOP = Kernel(top, top_signature, BOUND)
PAIRS = Kernel(pairs, pairs_signature, BOUND)
SCATTER = Kernel(scatter, lambda t: types.void(found_signature(t), vector(i8), found_signature(t)), {"": {}})
