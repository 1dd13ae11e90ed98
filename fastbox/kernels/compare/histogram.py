"""Histograms of the values of all pairs: only pairs that may overlap are measured, where all others are 0."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH, between, lowest
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import group, i8, side, vector
from fastbox.kernels.codes import LANES
from fastbox.kernels.compare.dense import pair_signature
from fastbox.kernels.compare.measure import (
    BOUND,
    VALUES,
    empty_tile_b,
    like_tiles,
    measure,
    measure_extremes,
    whole_vectors,
    with_loops,
)
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.pack import COLS, box_at, pack, tile_ranges, whole_lanes
from fastbox.kernels.metrics import METRICS

# Kernel binds this and `pack` anew for each metric; here they are iou's.
APART = True

TALLIES = 4  # counts side by side, for values of one bin would wait for each other
FLAGS = COLS + WIDTH  # flags of pairs looked at together, and room for a mask behind the last


@device
def bin_of(x, edges, start, scale):
    """Return the bin of a value; of nan, and of a value beyond the edges, the number of bins."""
    bins = edges.size - 1
    if not (x >= edges[0] and x <= edges[bins]):
        return bins
    k = min(np.int64((np.float64(x) - start) * scale), bins - 1)
    if x < edges[k]:
        k -= 1
    elif k < bins - 1 and x >= edges[k + 1]:
        k += 1
    return k


@device
def nearness(edges, start, scale):
    """Return how near to a whole number, in widths of a bin, a value's place must be for its bin to need a test."""
    most = 0.0
    for k in range(edges.size):
        most = max(most, abs((np.float64(edges[k]) - start) * scale - k))
    return most + 1e-6


@device
def tally(kept, found, edges, start, scale, near, tallies):
    """Count the bins of values; behind them is room for LANES more."""
    bins = edges.size - 1
    low, high, nan = edges[0], edges[bins], edges.dtype.type(np.nan)
    places = stack_array(np.empty(0, np.int32), LANES)
    for l in range(LANES):
        kept[found + l] = nan
    for j in range(0, found, LANES):
        close = np.int32(0)
        for l in range(LANES):
            x = kept[np.uint64(j + l)]
            inside = (x >= low) & (x <= high)
            position = (np.float64(x) - start) * scale if inside else 0.5
            place = np.int32(position)
            part = position - np.float64(place)
            close = np.int32(close | np.int32((part < near) | (part > 1.0 - near)))
            places[l] = place if inside else np.int32(bins)
        if close:
            for l in range(LANES):
                places[l] = bin_of(kept[j + l], edges, start, scale)
        for l in range(LANES):
            tallies[np.uint64(l % TALLIES), np.uint64(places[l])] += 1


@device
def valid_boxes(tile, first, n):
    """Return how many of n boxes of a tile are valid, where all areas are screenable."""
    valid = 0
    for j in range(first, first + n):
        area = tile[4, np.uint64(j)]
        valid += area == area
    return valid


def keep_overlaps(tile_a, first, rows, tile_b, n, beta, kept, found):
    """Keep the values of some rows with all n boxes of a tile where valid boxes may overlap; return how many they are.

    Of all pairs, at most COLS, a flag is written before a mask of flags is read, for a read of what was just written
    by parts would wait.
    """
    flags, places = stack_array(np.empty(0, np.uint8), FLAGS), stack_array(np.empty(0, np.int32), COLS)
    width = whole_lanes(n)
    for r in range(rows):
        one, place = box_at(tile_a, np.uint64(first + r)), r * width
        for j in range(0, width, LANES):
            for l in range(LANES):
                k = np.uint64(j + l)
                beside = (one.x0 < tile_b[2, k]) & (tile_b[0, k] < one.x1)
                flags[np.uint64(place) + k] = beside & (one.y0 < tile_b[3, k]) & (tile_b[1, k] < one.y1)
    pairs = rows * width
    new = 0
    for j in range(0, pairs, WIDTH):
        mask = between(flags, j, 1, 1)
        if pairs - j < WIDTH:
            mask &= (np.uint64(1) << np.uint64(pairs - j)) - np.uint64(1)
        while mask != np.uint64(0):
            places[np.uint64(new)] = j + lowest(mask)
            mask &= mask - np.uint64(1)
            new += 1
    half, per_row = np.float32(0.5), np.float32(1) / np.float32(width)
    for c in range(new):
        place = places[np.uint64(c)]
        r = np.int32((np.float32(place) + half) * per_row)
        one, other = box_at(tile_a, np.uint64(first + r)), box_at(tile_b, np.uint64(place - r * width))
        kept[np.uint64(found + c)] = value(one, other, beta)
    return new


def histogram(beta, sides, images, span, outputs):
    """Count the values between edges, each interval closed below, the last one above too; all others are left out.

    Where a metric is 0 without an overlap, only pairs with an overlap are measured, and all other valid pairs count as
    zeros. Bins are computed side by side, and compared with the edges only where one is near.
    """
    (a, b), (starts_a, starts_b, skip), (image, first, last) = sides, images, span
    edges, counts = outputs
    bins = counts.size
    low, high, zero = edges[0], edges[bins], edges.dtype.type(0)
    start, scale = np.float64(low), np.float64(bins) / (np.float64(high) - np.float64(low))
    near = nearness(edges, start, scale)
    zeros, found, crowded = 0, 0, False
    tile_a, tile_b = stack_tile(like_tiles(edges), VALUES, LANES), empty_tile_b(edges.dtype, 0)
    met = tile_b[VALUES]
    kept, tallies = np.empty(2 * COLS + LANES, edges.dtype), np.zeros((TALLIES, bins + 1), np.int64)
    for _, lo, hi, s, e in tile_ranges(starts_a, starts_b, skip, image, first, last):
        screenable_b = pack(b, s, e, tile_b)
        n = e - s
        step = COLS // whole_lanes(n)
        valid_b = valid_boxes(tile_b, 0, n)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            screenable = pack(a, i, i + m, tile_a) and screenable_b
            for r in range(0, m, step):
                rows, before = min(step, m - r), found
                if APART and screenable and not crowded:
                    found += keep_overlaps(tile_a, r, rows, tile_b, n, beta, kept, found)
                    zeros += valid_b * valid_boxes(tile_a, r, rows) - (found - before)
                else:
                    for k in range(r, r + rows):
                        one = box_at(tile_a, k)
                        measure(one, tile_b, 0, whole_vectors(n), beta)
                        if not screenable:
                            measure_extremes(one, tile_b, 0, n, beta, met, 0)
                        for j in range(n):
                            x = met[np.uint64(j)]
                            kept[np.uint64(found)] = x
                            found += (x != zero) & (x == x)
                            zeros += x == zero
                crowded = 2 * (found - before) > rows * n
                if found >= COLS:
                    tally(kept, found, edges, start, scale, near, tallies)
                    found = 0
    tally(kept, found, edges, start, scale, near, tallies)
    tallies[0, bin_of(zero, edges, start, scale)] += zeros
    for k in range(bins):
        for way in range(TALLIES):
            counts[k] += tallies[way, k]


_APART = {name: {**names, "APART": METRICS[name].zero_apart} for name, names in BOUND.items()}


def signature(t, boxes=side):
    """Return the types of the arguments, given the type of boxes."""
    return types.void(*pair_signature(t, group(vector(t), vector(i8)), boxes=boxes))


HISTOGRAM = Kernel(histogram, signature, with_loops(_APART, keep_overlaps))
