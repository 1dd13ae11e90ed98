"""Measuring: one box against a tile of boxes, and the screen that skips boxes whose values can't be high enough."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.codes import NEEDS_IOU_ROUNDED, NEEDS_OVERLAP
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.pack import COLS, box_at, pack, pack_usual, pack_usual_with_angles, pack_with_angles

VALUES = 6  # the row of a tile that values are written to, behind corners, area and angle
ROWS = VALUES + 1
TINY = 2.0**-120  # keeps the areas of two points from summing to 0, where every bound would read 0 > 0
TILE_COLS = COLS + 16  # a tile's rows do not lie 4 KiB apart, where stores to one look like loads of another
BLOCK = 64  # columns screened together: long enough to vectorise, short enough to be worth skipping


@device
def whole_vectors(n):
    """Return the least multiple of eight from n on; packing makes the boxes beyond n invalid."""
    return (n + 7) // 8 * 8


@device
def better(x, y, distance):
    """Return whether a value is better than another: lower for a distance, higher for a similarity."""
    return x < y if distance else x > y


@inlined
def insert(value, column, ranked, columns, distance):
    """Insert a value, better than the last one, and its column into the ranks of a row."""
    place = ranked.size - 1
    while place > 0 and better(value, ranked[place - 1], distance):
        ranked[place], columns[place] = ranked[place - 1], columns[place - 1]
        place -= 1
    ranked[place], columns[place] = value, column


@device
def screen_terms(t, eps, screen):
    """Return the p and q for which a value above t needs intersection * p > q * (area + area).

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
    """Return whether the screen of p and q excludes all n boxes of a tile from `first` on: no division."""
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

    Into the tile, for a loop that writes elsewhere must first test every array that it reads for overlap.
    """
    for j in range(n):
        k = np.uint64(first + j)
        tile[VALUES, k] = value(one, box_at(tile, k), beta)


def measure_above(one, p, q, screened, tile, first, n, beta):
    """Write values as `measure` does, unless the screen of p and q excludes all boxes; return whether it did."""
    if screened and none_above(one, p, q, tile, first, n):
        return False
    measure(one, tile, first, n, beta)
    return True


def measure_into(one, tile, n, beta, out, place):
    """Write the values of one box with the first n boxes of a tile to out[place:]."""
    for j in range(n):
        out[np.uint64(place + j)] = value(one, box_at(tile, j), beta)


def measure_extremes(one, tile, first, n, beta, values, place):
    """Write again the nan among n values from a place on: boxes beyond the safe range have other values.

    Such boxes exist only where an area is not screenable.
    """
    for j in range(n):
        if values[place + j] != values[place + j]:
            values[place + j] = robust(one, box_at(tile, first + j), beta)


@device
def like_tiles(values):
    """Return an array of the dtype of tiles, given values."""
    return values


@device
def empty_tile_b(dtype, spare):
    """Return a tile for boxes of b and their values, with `spare` columns behind the last box."""
    return np.empty((VALUES + 1, COLS + spare), dtype)


@device
def empty_pairs(dtype):
    """Return rows, columns and values for a first block of pairs."""
    return np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, dtype)


@device
def grown(rows, cols, values):
    """Return pairs in arrays twice as long."""
    return doubled(rows), doubled(cols), doubled(values)


@device
def doubled(values):
    """Return the values in an array twice as long."""
    more = np.empty(2 * values.size, values.dtype)
    for j in range(values.size):
        more[j] = values[j]
    return more


@inlined
def emit_pair(row, column, met, found, rows, cols, values, counts):
    """Write a pair behind the pairs found and count the pair for its row; return the number of pairs found."""
    rows[found], cols[found], values[found] = row, column, met
    counts[row] += 1
    return found + 1


def with_loops(bound, *loops, compiled=device):
    """Return the names that kernels are bound to, by metric, with loops that are compiled once per metric."""
    return {
        name: {**names, **{loop.__name__: compiled(rebound(loop, names, name)) for loop in loops}}
        for name, names in bound.items()
    }


_PACKS = {
    False: {"pack": pack, "pack_usual": pack_usual},
    True: {"pack": pack_with_angles, "pack_usual": pack_usual_with_angles},
}
_PACKED = {name: {**names, **_PACKS[names["ANGLES"]]} for name, names in METRICS.items()}
BOUND = with_loops(with_loops(_PACKED, measure, measure_into, measure_extremes), measure_above, compiled=inlined)
