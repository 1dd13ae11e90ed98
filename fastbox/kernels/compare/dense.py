"""What becomes of the values: a matrix, the best, the top, pairs, a histogram, or one value a row. One kernel each.

Every kernel takes the metric's beta, both collections, the offsets of their images, the images to leave out, the rows
of a to do, and its outputs. Rows are independent of one another, so any cut of them on any number of threads gives the
same bits.
"""

from __future__ import annotations

import numpy as np
from numba import types

from fastbox.kernels.build.kernel import Kernel, device, i8, inlined, readonly, rebound, side, vector
from fastbox.kernels.build.nontemporal import fence, stream
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.extremes import iou_of as sure
from fastbox.kernels.geometry.metrics import NEEDS_IOU, NEEDS_IOU_ROUNDED, NEEDS_OVERLAP, NO_SCREEN, larger, smaller
from fastbox.kernels.geometry.metrics import iou as value
from fastbox.kernels.geometry.pack import COLS, LANES, at, pack, spans

# Kernel binds these anew for each metric; here they are iou's.
SCREEN, DISTANCE, ANGLES = NEEDS_IOU, False, False

VALUES = 6  # the row of a tile that values are written to, behind corners, area and angle
TINY = 2.0**-120  # keeps the areas of two points from summing to 0, where every bound would read 0 > 0
BEST_SO_FAR, WHERE, P, Q = 6, 7, 8, 9  # what a lane of `best` holds behind its box
BLOCK = 64  # columns screened together: long enough to vectorise, short enough to be worth skipping


@device
def whole(n):
    """A count that a vector of eight divides; the boxes beyond n are packed as invalid."""
    return (n + 7) // 8 * 8


@device
def better(x, y, distance):
    return x < y if distance else x > y


@device
def reaches(x, limit, distance):
    """Whether a value is one of a pair, given the threshold of a distance, or what a similarity must exceed."""
    return x <= limit if distance else x > limit


@device
def sought(t, eps, screen):
    """The p and q for which a value above t needs intersection * p > q * (area + area).

    iou > t is inter > t * (area + area - inter), so p = 1 + t and q = t, less a slack for the roundings on both sides.
    p = 1 with q = 0 asks for an overlap, with q = -inf for nothing.
    """
    zero, one = type(t)(0), type(t)(1)
    slack = type(t)(16) * eps
    by_iou = (t >= type(t)(2.0**-10)) & (screen != NEEDS_OVERLAP)
    otherwise = zero if (t >= zero) & (screen != NEEDS_IOU_ROUNDED) else type(t)(-np.inf)
    return one + t if by_iou else one, (t - slack) * (one - slack) if by_iou else otherwise


@inlined
def none_above(one, p, q, tile, first, n):
    """Whether none of n boxes of a tile from `first` on can have a value above that of p and q: no division."""
    zero = type(p)(0)
    size = one.area + type(p)(TINY)
    hit = np.int32(0)  # cast at every step: int32 sums widen to int64, which halves the lanes
    for j in range(n):
        k = np.uint64(first + j)  # unsigned: no test for an index from the end, which blocks vectorisation
        w = smaller(one.x1, tile[2, k]) - larger(one.x0, tile[0, k])
        h = smaller(one.y1, tile[3, k]) - larger(one.y0, tile[1, k])
        hit = np.int32(hit | np.int32((w if w > zero else zero) * h * p > q * (size + tile[4, k])))
    return hit == 0


def measure(one, tile, first, n, beta):
    """Write the values of one box with n boxes of a tile from `first` on into the tile, beside the boxes.

    Into the tile, for a loop that writes elsewhere must first test every array it reads for overlap.
    """
    for j in range(n):
        k = np.uint64(first + j)
        tile[VALUES, k] = value(one, at(tile, k), beta)


def measure_into(one, tile, n, beta, out, place):
    """Write the values of one box with the first n boxes of a tile to out[place:]."""
    for j in range(n):
        out[np.uint64(place + j)] = value(one, at(tile, j), beta)


def measure_odd(one, tile, first, n, beta, values, place):
    """Write again those of n values from a place on that are nan: boxes beyond the usual have other ones.

    Only where not all areas are tame can there be such boxes.
    """
    for j in range(n):
        if values[place + j] != values[place + j]:
            values[place + j] = sure(one, at(tile, first + j), beta)


@device
def grown(values):
    more = np.empty(2 * values.size, values.dtype)
    for j in range(values.size):
        more[j] = values[j]
    return more


def pairing(t, *outputs):
    """What every kernel over pairs takes.

    Beta, a, b, offsets of both, the images to skip, the first image and rows to do; then outputs.
    """
    return (t, side(t), side(t), readonly(i8), readonly(i8), readonly(types.boolean), i8, i8, i8, *outputs)


def matrix(beta, a, b, starts_a, starts_b, skip, image, first, last, bases, streamed, out):
    """Write all values of rows [first, last) row by row; image g begins at out[bases[g]]."""
    tile_a, tile_b = np.empty((6, LANES), out.dtype), np.empty((7, COLS), out.dtype)
    row = tile_b[VALUES]
    for g, lo, hi, s, e in spans(starts_a, starts_b, skip, image, first, last):
        tame_b = pack(b, s, e, ANGLES, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            tame = pack(a, i, i + m, ANGLES, tile_a) and tame_b
            n = e - s
            width = starts_b[g + 1] - starts_b[g]
            base = bases[g] + (i - starts_a[g]) * width + s - starts_b[g]
            for r in range(m):
                one = at(tile_a, r)
                if streamed:
                    measure(one, tile_b, 0, n, beta)
                    if not tame:
                        measure_odd(one, tile_b, 0, n, beta, row, 0)
                    stream(out, base + r * width, row, n)
                else:
                    measure_into(one, tile_b, n, beta, out, base + r * width)
                    if not tame:
                        measure_odd(one, tile_b, 0, n, beta, out, base + r * width)
    if streamed:
        fence()


def lead_odd(lanes, m, tile, n, beta, indices, first):
    """Let the pairs lead the lanes too of which a box is not usual; a distance of theirs may be infinite."""
    T = lanes.dtype.type
    for l in range(m):
        one = at(lanes, l)
        for j in range(n):
            other = at(tile, j)
            if one.area == one.area and other.area == other.area:
                continue
            met, leader, where = sure(one, other, beta), lanes[BEST_SO_FAR, l], lanes[WHERE, l]
            before = met == leader and T(j) < where
            vacant = met == met and where < T(0) and indices[first + l] < 0
            if better(met, leader, DISTANCE) or before or vacant:
                lanes[BEST_SO_FAR, l], lanes[WHERE, l] = met, T(j)


def rank_odd(met, start, n, ranked, columns, column):
    """Rank values of which some may be infinite distances, as `top` does the others."""
    for j in range(n):
        value = met[start + j]
        place = columns.size
        while place > 0 and value == value and (better(value, ranked[place - 1], DISTANCE) or columns[place - 1] < 0):
            place -= 1
        if place < columns.size:
            for later in range(columns.size - 1, place, -1):
                ranked[later], columns[later] = ranked[later - 1], columns[later - 1]
            ranked[place], columns[place] = value, column + j


def best(beta, a, b, starts_a, starts_b, skip, image, first, last, values, indices):
    """Write each row's best value and its column, the lowest at ties; nan and -1 where there is none.

    Lanes are rows of a, and one box of b meets all of them: the comparison with the best so far is a select.
    """
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    worst = T(np.inf) if DISTANCE else T(-np.inf)
    zero, tiny, none = T(0), T(TINY), T(-1)
    # One array for all that the lanes hold, or every loop over them would first have to test ten arrays for overlap.
    lanes, tile_b = np.empty((10, LANES), values.dtype), np.empty((6, COLS), values.dtype)
    for row in range(first, last):
        values[row], indices[row] = worst, -1
    for _, lo, hi, s, e in spans(starts_a, starts_b, skip, image, first, last):
        tame_b = pack(b, s, e, ANGLES, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            tame = pack(a, i, i + m, ANGLES, lanes) and tame_b
            screened = SCREEN != NO_SCREEN and tame
            for l in range(LANES):
                lanes[BEST_SO_FAR, l] = worst
                lanes[WHERE, l] = none
            for l in range(m):
                lanes[BEST_SO_FAR, l] = values[i + l]
            for l in range(LANES):
                lanes[P, l], lanes[Q, l] = sought(lanes[BEST_SO_FAR, l], eps, SCREEN)
            for j in range(e - s):
                one = at(tile_b, j)
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
                    met = value(at(lanes, l), one, beta)
                    taken = better(met, lanes[BEST_SO_FAR, l], DISTANCE)
                    leader = met if taken else lanes[BEST_SO_FAR, l]
                    lanes[BEST_SO_FAR, l] = leader
                    lanes[WHERE, l] = column if taken else lanes[WHERE, l]
                    if SCREEN != NO_SCREEN:
                        lanes[P, l], lanes[Q, l] = sought(leader, eps, SCREEN)
            if not tame:
                lead_odd(lanes, m, tile_b, e - s, beta, indices, i)
            for l in range(m):
                if lanes[WHERE, l] >= zero:
                    values[i + l], indices[i + l] = lanes[BEST_SO_FAR, l], s + np.int64(lanes[WHERE, l])
    for row in range(first, last):
        if indices[row] < 0:
            values[row] = T(np.nan)


def top(beta, a, b, starts_a, starts_b, skip, image, first, last, values, indices):
    """Write each row's k best values and their columns, best first, the lower column at ties."""
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    worst = T(np.inf) if DISTANCE else T(-np.inf)
    k = values.shape[1]
    tile_a, tile_b = np.empty((6, LANES), values.dtype), np.empty((7, COLS), values.dtype)
    met = tile_b[VALUES]
    values[first:last] = worst
    indices[first:last] = -1
    for _, lo, hi, s, e in spans(starts_a, starts_b, skip, image, first, last):
        tame_b = pack(b, s, e, ANGLES, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            tame = pack(a, i, i + m, ANGLES, tile_a) and tame_b
            screened = SCREEN != NO_SCREEN and tame
            for r in range(m):
                one = at(tile_a, r)
                ranked, columns = values[i + r], indices[i + r]
                p, q = sought(ranked[k - 1], eps, SCREEN)
                for start in range(0, e - s, BLOCK):
                    n = min(BLOCK, whole(e - s) - start)
                    if screened and none_above(one, p, q, tile_b, start, n):
                        continue
                    measure(one, tile_b, start, n, beta)
                    if not tame:
                        measure_odd(one, tile_b, start, n, beta, met, start)
                        rank_odd(met, start, n, ranked, columns, s + start)
                        continue
                    for j in range(n):
                        if better(met[start + j], ranked[k - 1], DISTANCE):
                            place = k - 1
                            while place > 0 and better(met[start + j], ranked[place - 1], DISTANCE):
                                ranked[place], columns[place] = ranked[place - 1], columns[place - 1]
                                place -= 1
                            ranked[place], columns[place] = met[start + j], s + start + j
                    p, q = sought(ranked[k - 1], eps, SCREEN)
    for row in range(first, last):
        for place in range(k):
            if indices[row, place] < 0:
                values[row, place] = T(np.nan)


def pairs(beta, a, b, starts_a, starts_b, skip, image, first, last, below, upper, counts):
    """Return rows, columns and values that reach the threshold, in the order met, and count them for each row.

    `below` is a distance's threshold, or the float below a similarity's. `upper` keeps columns behind the row alone.
    """
    dtype = a[1].dtype
    eps = dtype.type(np.finfo(dtype).eps)
    tile_a, tile_b = np.empty((6, LANES), dtype), np.empty((7, COLS), dtype)
    met = tile_b[VALUES]
    rows, cols, values = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, dtype)
    found = 0
    p, q = sought(below, eps, SCREEN)
    for _, lo, hi, s, e in spans(starts_a, starts_b, skip, image, first, last):
        tame_b = pack(b, s, e, ANGLES, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            tame = pack(a, i, i + m, ANGLES, tile_a) and tame_b
            if upper and e <= i + 1:
                continue
            screened = SCREEN != NO_SCREEN and tame
            for r in range(m):
                one = at(tile_a, r)
                for start in range(0, e - s, BLOCK):
                    n = min(BLOCK, whole(e - s) - start)
                    if upper and s + start + n <= i + r + 1:
                        continue
                    if screened and none_above(one, p, q, tile_b, start, n):
                        continue
                    measure(one, tile_b, start, n, beta)
                    if not tame:
                        measure_odd(one, tile_b, start, n, beta, met, start)
                    if found + BLOCK > rows.size:
                        rows, cols, values = grown(rows), grown(cols), grown(values)
                    for j in range(n):
                        if reaches(met[start + j], below, DISTANCE) and not (upper and s + start + j <= i + r):
                            rows[found], cols[found], values[found] = i + r, s + start + j, met[start + j]
                            found += 1
                            counts[i + r] += 1
    return rows[:found], cols[:found], values[:found]


def scatter(rows, cols, values, places, out_rows, out_cols, out_values):
    """Move pairs to their rows' places, in the order met; places move on as they fill."""
    for n in range(rows.size):
        place = places[rows[n]]
        out_rows[place], out_cols[place], out_values[place] = rows[n], cols[n], values[n]
        places[rows[n]] = place + 1


def histogram(beta, a, b, starts_a, starts_b, skip, image, first, last, edges, counts):
    """Count the values between edges, each interval closed below, the last one above too; all others are left out."""
    bins = counts.size
    low, high = edges[0], edges[bins]
    scale = np.float64(bins) / (np.float64(high) - np.float64(low))
    tile_a, tile_b = np.empty((6, LANES), edges.dtype), np.empty((7, COLS), edges.dtype)
    met = tile_b[VALUES]
    for _, lo, hi, s, e in spans(starts_a, starts_b, skip, image, first, last):
        tame_b = pack(b, s, e, ANGLES, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            tame = pack(a, i, i + m, ANGLES, tile_a) and tame_b
            n = e - s
            for r in range(m):
                one = at(tile_a, r)
                measure(one, tile_b, 0, n, beta)
                if not tame:
                    measure_odd(one, tile_b, 0, n, beta, met, 0)
                for j in range(n):
                    if met[j] >= low and met[j] <= high:
                        k = min(np.int64((np.float64(met[j]) - np.float64(low)) * scale), bins - 1)
                        if met[j] < edges[k]:
                            k -= 1
                        elif k < bins - 1 and met[j] >= edges[k + 1]:
                            k += 1
                        counts[k] += 1


LOOPS = measure, measure_into, measure_odd, lead_odd, rank_odd
BOUND = {
    name: {
        **bound,
        **{loop.__name__: device(rebound(loop, bound, name)) for loop in LOOPS},
    }
    for name, bound in METRICS.items()
}

MATRIX = Kernel(matrix, lambda t: types.void(*pairing(t, readonly(i8), types.boolean, vector(t))), BOUND)
BEST = Kernel(best, lambda t: types.void(*pairing(t, vector(t), vector(i8))), BOUND)
TOP = Kernel(top, lambda t: types.void(*pairing(t, vector(t, 2), vector(i8, 2))), BOUND)
PAIRS = Kernel(
    pairs,
    lambda t: types.Tuple((vector(i8), vector(i8), vector(t)))(*pairing(t, t, types.boolean, vector(i8))),
    BOUND,
)
HISTOGRAM = Kernel(histogram, lambda t: types.void(*pairing(t, vector(t), vector(i8))), BOUND)
SCATTER = Kernel(
    scatter,
    lambda t: types.void(vector(i8), vector(i8), vector(t), vector(i8), vector(i8), vector(i8), vector(t)),
    {"": {}},
)
