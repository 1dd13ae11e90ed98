"""What becomes of the values: a matrix, the best, the top, pairs, a histogram, or one value a row. One kernel each.

Every kernel takes the metric's beta, both collections, the offsets of their images, the rows of a to do, and its
outputs. Rows are independent of one another, so any cut of them on any number of threads gives the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.compile import Kernel, device, i8, readonly, rebound, side, vector
from fastbox.kernels.metrics import (
    METRICS,
    NEEDS_IOU,
    NEEDS_IOU_ROUNDED,
    NEEDS_OVERLAP,
    NO_SCREEN,
    Box,
    larger,
    smaller,
)
from fastbox.kernels.metrics import iou as value
from fastbox.kernels.stream import fence, stream
from fastbox.kernels.tiles import COLS, LANES, at, pack, tiles, whole_lanes

# Kernel binds these anew for each metric; here they are iou's.
SCREEN, DISTANCE, ANGLES = NEEDS_IOU, False, False

BLOCK = 64  # columns screened together: long enough to vectorise, short enough to be worth skipping


@device
def better(x, y, distance):
    return x < y if distance else x > y


@device
def limit(t, eps, screen):
    """The c for which a value above t needs an intersection above c times the sum of the areas; -inf if any will do.

    iou > t is inter > t / (1 + t) * (area + area); the slack covers all roundings on both sides.
    """
    one = type(t)(1)
    slack = type(t)(16) * eps
    u = t - slack
    anything = type(t)(0) if (t >= type(t)(0)) & (screen != NEEDS_IOU_ROUNDED) else type(t)(-np.inf)
    least = u / (one + u) * (one - slack)
    return least if (t >= type(t)(2.0**-10)) & (screen != NEEDS_OVERLAP) else anything


@device
def none_above(one, c, tile, p, n):
    """Whether none of n boxes from p on overlaps `one` by more than c times the sum of their areas: no division."""
    zero = type(c)(0)
    # Keeps the areas of two points from summing to 0, where every bound would read 0 > 0.
    size = one.area + type(c)(2.0**-120)
    hit = np.int32(0)  # cast at every step: int32 sums widen to int64, which halves the lanes
    for j in range(n):
        k = np.uint64(p + j)  # unsigned: no test for an index from the end, which blocks vectorisation
        w = smaller(one.x1, tile[2, k]) - larger(one.x0, tile[0, k])
        h = smaller(one.y1, tile[3, k]) - larger(one.y0, tile[1, k])
        hit = np.int32(hit | np.int32((w if w > zero else zero) * h > c * (size + tile[4, k])))
    return hit == 0


def measure(one, tile, p, n, beta, out, o):
    """Write the values of one box with n boxes of a tile from p on to out[o:]."""
    for j in range(n):
        k = np.uint64(p + j)
        out[np.uint64(o + j)] = value(one, at(tile, k), beta)


@device
def grown(values):
    more = np.empty(2 * values.size, values.dtype)
    for j in range(values.size):
        more[j] = values[j]
    return more


def pairing(t, *outputs):
    """What every kernel over pairs takes: beta, a, b, offsets of both, the first image and rows to do; then outputs."""
    return (t, side(t), side(t), readonly(i8), readonly(i8), i8, i8, i8, *outputs)


def matrix(beta, a, b, starts_a, starts_b, image, first, last, bases, streamed, out):
    """Write all values of rows [first, last) row by row; image g begins at out[bases[g]]."""
    tile_a, tile_b = np.empty((6, LANES), out.dtype), np.empty((6, COLS), out.dtype)
    row = np.empty(COLS, out.dtype)
    for g, i, m, s, e, _ in tiles(a, b, starts_a, starts_b, image, first, last, ANGLES, tile_a, tile_b):
        n = e - s
        width = starts_b[g + 1] - starts_b[g]
        base = bases[g] + (i - starts_a[g]) * width + s - starts_b[g]
        for r in range(m):
            one = at(tile_a, r)
            if streamed:
                measure(one, tile_b, 0, n, beta, row, 0)
                stream(out, base + r * width, row, n)
            else:
                measure(one, tile_b, 0, n, beta, out, base + r * width)
    if streamed:
        fence()


def best(beta, a, b, starts_a, starts_b, image, first, last, values, indices):
    """Write each row's best value and its column, the lowest at ties; nan and -1 where there is none.

    Lanes are rows of a, and one box of b meets all sixteen: the comparison with the best so far stays in registers.
    """
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    worst = T(np.inf) if DISTANCE else T(-np.inf)
    tile_a, tile_b = np.empty((6, LANES), values.dtype), np.empty((6, COLS), values.dtype)
    x0, y0, x1, y1, area, angle = tile_a[0], tile_a[1], tile_a[2], tile_a[3], tile_a[4], tile_a[5]
    top, met, limits = np.empty(LANES, values.dtype), np.empty(LANES, values.dtype), np.empty(LANES, values.dtype)
    where = np.empty(LANES, np.int32)
    zero, tiny = T(0), T(2.0**-120)
    for row in range(first, last):
        values[row], indices[row] = worst, -1
    for _, i, m, s, e, tame in tiles(a, b, starts_a, starts_b, image, first, last, ANGLES, tile_a, tile_b):
        for l in range(LANES):
            top[l] = values[i + l] if l < m else worst
            where[l] = -1
        screened = SCREEN != NO_SCREEN and tame
        if screened:
            for l in range(LANES):
                limits[l] = limit(top[l], eps, SCREEN)
        for j in range(e - s):
            one = at(tile_b, j)
            if screened:
                size = one.area + tiny
                hit = np.int32(0)
                for l in range(LANES):
                    w = smaller(x1[l], one.x1) - larger(x0[l], one.x0)
                    h = smaller(y1[l], one.y1) - larger(y0[l], one.y0)
                    hit = np.int32(hit | np.int32((w if w > zero else zero) * h > limits[l] * (size + area[l])))
                if hit == 0:
                    continue
            for l in range(LANES):
                met[l] = value(Box(x0[l], y0[l], x1[l], y1[l], area[l], angle[l]), one, beta)
            column = np.int32(j)
            for l in range(LANES):
                taken = better(met[l], top[l], DISTANCE)
                top[l] = met[l] if taken else top[l]
                where[l] = column if taken else where[l]
            if screened:
                for l in range(LANES):
                    limits[l] = limit(top[l], eps, SCREEN)
        for l in range(m):
            if where[l] >= 0:
                values[i + l], indices[i + l] = top[l], s + where[l]
    for row in range(first, last):
        if indices[row] < 0:
            values[row] = T(np.nan)


def top(beta, a, b, starts_a, starts_b, image, first, last, values, indices):
    """Write each row's k best values and their columns, best first, the lower column at ties."""
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    worst = T(np.inf) if DISTANCE else T(-np.inf)
    k = values.shape[1]
    tile_a, tile_b = np.empty((6, LANES), values.dtype), np.empty((6, COLS), values.dtype)
    met = np.empty(BLOCK, values.dtype)
    values[first:last] = worst
    indices[first:last] = -1
    for _, i, m, s, e, tame in tiles(a, b, starts_a, starts_b, image, first, last, ANGLES, tile_a, tile_b):
        screened = SCREEN != NO_SCREEN and tame
        for r in range(m):
            one = at(tile_a, r)
            ranked, columns = values[i + r], indices[i + r]
            c = limit(ranked[k - 1], eps, SCREEN)
            for p in range(0, e - s, BLOCK):
                q = min(p + BLOCK, whole_lanes(e - s))
                if screened and none_above(one, c, tile_b, p, q - p):
                    continue
                measure(one, tile_b, p, q - p, beta, met, 0)
                for j in range(q - p):
                    if better(met[j], ranked[k - 1], DISTANCE):
                        place = k - 1
                        while place > 0 and better(met[j], ranked[place - 1], DISTANCE):
                            ranked[place], columns[place] = ranked[place - 1], columns[place - 1]
                            place -= 1
                        ranked[place], columns[place] = met[j], s + p + j
                c = limit(ranked[k - 1], eps, SCREEN)
    for row in range(first, last):
        for place in range(k):
            if indices[row, place] < 0:
                values[row, place] = T(np.nan)


def pairs(beta, a, b, starts_a, starts_b, image, first, last, below, upper, counts):
    """Return rows, columns and values that reach the threshold, in the order met, and count them for each row.

    `below` is the float next to the threshold on the side of failure. `upper` keeps columns behind the row alone.
    """
    dtype = a[1].dtype
    eps = dtype.type(np.finfo(dtype).eps)
    tile_a, tile_b = np.empty((6, LANES), dtype), np.empty((6, COLS), dtype)
    met = np.empty(BLOCK, dtype)
    rows, cols, values = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, dtype)
    n = 0
    c = limit(below, eps, SCREEN)
    for _, i, m, s, e, tame in tiles(a, b, starts_a, starts_b, image, first, last, ANGLES, tile_a, tile_b):
        if upper and e <= i + 1:
            continue
        screened = SCREEN != NO_SCREEN and tame
        for r in range(m):
            one = at(tile_a, r)
            for p in range(0, e - s, BLOCK):
                q = min(p + BLOCK, whole_lanes(e - s))
                if upper and s + q <= i + r + 1:
                    continue
                if screened and none_above(one, c, tile_b, p, q - p):
                    continue
                measure(one, tile_b, p, q - p, beta, met, 0)
                if n + BLOCK > rows.size:
                    rows, cols, values = grown(rows), grown(cols), grown(values)
                for j in range(q - p):
                    if better(met[j], below, DISTANCE) and not (upper and s + p + j <= i + r):
                        rows[n], cols[n], values[n] = i + r, s + p + j, met[j]
                        n += 1
                        counts[i + r] += 1
    return rows[:n], cols[:n], values[:n]


def scatter(rows, cols, values, places, out_rows, out_cols, out_values):
    """Move pairs to their rows' places, in the order met; places move on as they fill."""
    for n in range(rows.size):
        place = places[rows[n]]
        out_rows[place], out_cols[place], out_values[place] = rows[n], cols[n], values[n]
        places[rows[n]] = place + 1


def histogram(beta, a, b, starts_a, starts_b, image, first, last, edges, counts):
    """Count the values between edges, each interval closed below, the last one above too; all others are left out."""
    bins = counts.size
    low, high = edges[0], edges[bins]
    scale = np.float64(bins) / (np.float64(high) - np.float64(low))
    tile_a, tile_b = np.empty((6, LANES), edges.dtype), np.empty((6, COLS), edges.dtype)
    met = np.empty(COLS, edges.dtype)
    for _, _i, m, s, e, _tame in tiles(a, b, starts_a, starts_b, image, first, last, ANGLES, tile_a, tile_b):
        n = e - s
        for r in range(m):
            one = at(tile_a, r)
            measure(one, tile_b, 0, n, beta, met, 0)
            for j in range(n):
                if met[j] >= low and met[j] <= high:
                    k = min(np.int64((np.float64(met[j]) - np.float64(low)) * scale), bins - 1)
                    if met[j] < edges[k]:
                        k -= 1
                    elif k < bins - 1 and met[j] >= edges[k + 1]:
                        k += 1
                    counts[k] += 1


def aligned(beta, a, b, first, last, out):
    """Write the value of row i of a with row i of b."""
    tile_a, tile_b = np.empty((6, COLS), out.dtype), np.empty((6, COLS), out.dtype)
    for s in range(first, last, COLS):
        n = min(COLS, last - s)
        pack(a, s, s + n, ANGLES, tile_a)
        pack(b, s, s + n, ANGLES, tile_b)
        for j in range(n):
            out[np.uint64(s + j)] = value(at(tile_a, j), at(tile_b, j), beta)


BOUND = {name: {**bound, "measure": device(rebound(measure, bound))} for name, bound in METRICS.items()}

MATRIX = Kernel(matrix, lambda t: types.void(*pairing(t, readonly(i8), types.boolean, vector(t))), BOUND)
BEST = Kernel(best, lambda t: types.void(*pairing(t, vector(t), vector(i8))), BOUND)
TOP = Kernel(top, lambda t: types.void(*pairing(t, vector(t, 2), vector(i8, 2))), BOUND)
PAIRS = Kernel(
    pairs,
    lambda t: types.Tuple((vector(i8), vector(i8), vector(t)))(*pairing(t, t, types.boolean, vector(i8))),
    BOUND,
)
HISTOGRAM = Kernel(histogram, lambda t: types.void(*pairing(t, vector(t), vector(i8))), BOUND)
ALIGNED = Kernel(aligned, lambda t: types.void(t, side(t), side(t), i8, i8, vector(t)), BOUND)
SCATTER = Kernel(
    scatter,
    lambda t: types.void(vector(i8), vector(i8), vector(t), vector(i8), vector(i8), vector(i8), vector(t)),
    {"": {}},
)
