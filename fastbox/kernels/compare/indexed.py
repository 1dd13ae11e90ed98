"""Boxes of one image sorted into the cells of grids, and what becomes of the pairs that can overlap.

A grid for each size of box: class c holds the boxes whose longer side is 2^-c of the largest, up to a factor of two.
The boxes of a class are sorted by the cell of their first corner, so that a row of cells is one run of boxes. Cells are
numbered by a function that never falls as its coordinate rises, and `reach` says how many cells a box of the class
extends at most: whoever overlaps a box is in the cells from its first, less the reach, to its last.

Both sides are sorted. Rows of a that lie together form a group; what overlaps the group's hull is gathered into a tile,
and every row of the group is measured with the tile as in `reduce`, with the same bits.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import types
from numba.extending import overload

from fastbox.kernels.build.kernel import Kernel, device, i8, readonly, side, vector
from fastbox.kernels.compare.dense import BLOCK, BOUND, grown, measure, none_above, sought, whole
from fastbox.kernels.geometry.metrics import NEEDS_IOU, NEEDS_IOU_ROUNDED, Box, larger
from fastbox.kernels.geometry.pack import COLS, LANES, at, pack

# Kernel binds these anew for each metric; here they are iou's.
SCREEN = NEEDS_IOU

CLASSES = 24  # boxes smaller than 2^-23 of the largest share the last one
GROUP = LANES  # rows of a measured with one tile
FIRST_CELL, ACROSS, DOWN, REACH_X, REACH_Y = range(5)  # what `shapes` holds of a class; none across where it is empty
ORIGIN_X, ORIGIN_Y, SCALE = range(3)  # and `scales`
ROUNDED_LEAST = 2.0**-10  # from here on a GIoU is high only where boxes overlap, whatever was rounded

NOWHERE = np.int64(2**63 - 1)
APART = 16  # so that the rows of a tile do not lie 4 KiB apart, where stores to one look like loads of another

Grid = namedtuple("Grid", "ids boxes starts shapes scales")


@device
def cell(x, origin, scale, cells):
    place = (np.float64(x) - origin) * scale
    return np.int64(min(max(place, 0.0), np.float64(cells - 1)))


@device
def least_value(t, screen):
    """What a value must exceed for its boxes to be sure to overlap."""
    return type(t)(ROUNDED_LEAST) if screen == NEEDS_IOU_ROUNDED else type(t)(0)


def build(boxes, first, last, angles, least, per_cell):
    """Sort the boxes [first, last) that have an area into cells.

    A cell is at least `least` times the largest box of its class, and holds at least `per_cell` boxes on average.

    Returns whether the areas are tame (if not, the rest is of no use) and the grid: numbers and boxes (corners, area,
    angle) in their new order, where each cell's boxes start, shapes and scales of the classes.
    """
    dtype = boxes[1].dtype
    n = last - first
    tile = np.empty((6, COLS), dtype)
    packed = np.empty((6, n), dtype)
    tame = True
    indexed = 0
    largest, left, top, right, bottom = 0.0, np.inf, np.inf, -np.inf, -np.inf
    for s in range(0, n, COLS):
        m = min(COLS, n - s)
        tame = pack(boxes, first + s, first + s + m, angles, tile) and tame
        for j in range(m):
            for r in range(6):
                packed[r, s + j] = tile[r, j]
            if tile[4, j] > 0:
                indexed += 1
                largest = max(largest, max(tile[2, j] - tile[0, j], tile[3, j] - tile[1, j]))
                left, top = min(left, tile[0, j]), min(top, tile[1, j])
                right, bottom = max(right, tile[2, j]), max(bottom, tile[3, j])
    width, height = right - left, bottom - top
    tame = tame and (indexed == 0 or (width < np.inf and height < np.inf))

    shapes, scales = np.zeros((CLASSES, 5), np.int64), np.zeros((CLASSES, 3), np.float64)
    counts = np.zeros(CLASSES, np.int64)
    kinds = np.full(n, -1, np.int8)
    exponent = math.frexp(largest)[1]
    if tame:
        for j in range(n):
            if packed[4, j] > 0:
                longer = max(packed[2, j] - packed[0, j], packed[3, j] - packed[1, j])
                kinds[j] = min(exponent - math.frexp(longer)[1], CLASSES - 1)
                counts[kinds[j]] += 1
    cells = 0
    for c in range(CLASSES):
        if counts[c]:
            size = math.ldexp(least, exponent - c)
            most = max(counts[c] / per_cell, 1.0)
            while (math.floor(width / size) + 1.0) * (math.floor(height / size) + 1.0) > most:
                size *= 1.25
            shapes[c, FIRST_CELL] = cells
            shapes[c, ACROSS] = np.int64(width / size) + 1
            shapes[c, DOWN] = np.int64(height / size) + 1
            scales[c, ORIGIN_X], scales[c, ORIGIN_Y], scales[c, SCALE] = left, top, 1.0 / size
            cells += shapes[c, ACROSS] * shapes[c, DOWN]

    starts = np.zeros(cells + 1, np.int64)
    where = np.empty(n, np.int64)
    for j in range(n):
        if kinds[j] >= 0:
            c = kinds[j]
            across, down = shapes[c, ACROSS], shapes[c, DOWN]
            x = cell(packed[0, j], left, scales[c, SCALE], across)
            y = cell(packed[1, j], top, scales[c, SCALE], down)
            shapes[c, REACH_X] = max(shapes[c, REACH_X], cell(packed[2, j], left, scales[c, SCALE], across) - x)
            shapes[c, REACH_Y] = max(shapes[c, REACH_Y], cell(packed[3, j], top, scales[c, SCALE], down) - y)
            where[j] = shapes[c, FIRST_CELL] + y * across + x
            starts[where[j] + 1] += 1
    for k in range(cells):
        starts[k + 1] += starts[k]
    places = starts.copy()
    ids, ordered = np.empty(starts[cells], np.int64), np.empty((6, starts[cells]), dtype)
    for j in range(n):
        if kinds[j] >= 0:
            place = places[where[j]]
            places[where[j]] += 1
            ids[place] = first + j
            for r in range(6):
                ordered[r, place] = packed[r, j]
    return tame, (ids, ordered, starts, shapes, scales)


@device
def find_runs(grid, hull, runs):
    """Write the runs of sorted boxes among which are all that overlap the hull; return how many runs."""
    n = 0
    for c in range(CLASSES):
        across, down = grid.shapes[c, ACROSS], grid.shapes[c, DOWN]
        if across == 0:
            continue
        x, y, scale = grid.scales[c, ORIGIN_X], grid.scales[c, ORIGIN_Y], grid.scales[c, SCALE]
        left = max(cell(hull.x0, x, scale, across) - grid.shapes[c, REACH_X], 0)
        right = cell(hull.x1, x, scale, across)
        top = max(cell(hull.y0, y, scale, down) - grid.shapes[c, REACH_Y], 0)
        bottom = cell(hull.y1, y, scale, down)
        for row in range(top, bottom + 1):
            base = grid.shapes[c, FIRST_CELL] + row * across
            runs[n, 0], runs[n, 1] = grid.starts[base + left], grid.starts[base + right + 1]
            n += runs[n, 0] < runs[n, 1]
    return n


@device
def gather(grid, hull, runs, first, last, tile, ids):
    """Fill a tile with boxes of the runs [first, last) that overlap the hull.

    Returns how many boxes, and the run to go on with, whose start is moved to what is left of it.
    """
    x0, y0, x1, y1 = grid.boxes[0], grid.boxes[1], grid.boxes[2], grid.boxes[3]
    n = 0
    while first < last and n < COLS:
        stop = min(runs[first, 1], runs[first, 0] + COLS - n)
        for k in range(runs[first, 0], stop):
            j = np.uint64(k)
            ids[np.uint64(n)] = k
            n += np.int64((x0[j] < hull.x1) & (x1[j] > hull.x0) & (y0[j] < hull.y1) & (y1[j] > hull.y0))
        runs[first, 0] = stop
        first += np.int64(stop == runs[first, 1])
    for r in range(6):
        row, source = tile[r], grid.boxes[r]
        for k in range(n):
            row[np.uint64(k)] = source[np.uint64(ids[np.uint64(k)])]
    for k in range(n):
        ids[np.uint64(k)] = grid.ids[np.uint64(ids[np.uint64(k)])]
    for j in range(n, whole(n)):
        tile[4, j] = np.nan
    return n, first


@device
def most_runs(grid):
    return grid.shapes[:, DOWN].sum() + 1


def bits_of(values):
    """View floats as integers of their size."""
    return values.view(np.int32 if values.itemsize == 4 else np.int64)


@overload(bits_of)
def _bits_of(values):
    integer = np.int32 if values.dtype.bitwidth == 32 else np.int64
    return lambda values: values.view(integer)


@device
def highest(values, bits, n, least):
    """The highest of n values, or `least` of at least 0: above 0 floats are in the order of their bits.

    A maximum of integers vectorises, one of floats does not. The place behind the tile turns bits into a float again.
    """
    most = bits[COLS] * 0
    for j in range(n):
        found = bits[np.uint64(j)]
        most = found if found > most else most
    bits[COLS] = most
    return larger(values[COLS], least)


@device
def hull_of(boxes, first, last):
    x0, y0, x1, y1 = boxes[0, first], boxes[1, first], boxes[2, first], boxes[3, first]
    for j in range(first + 1, last):
        x0, y0 = min(x0, boxes[0, j]), min(y0, boxes[1, j])
        x1, y1 = max(x1, boxes[2, j]), max(y1, boxes[3, j])
    return Box(x0, y0, x1, y1, x0, x0)


def survey(grid_b, boxes_a, groups, step):
    """Estimate what all groups cost, in pairs measured without an index, from every step-th of them."""
    grid = Grid(grid_b[0], grid_b[1], grid_b[2], grid_b[3], grid_b[4])
    runs = np.empty((most_runs(grid), 2), np.int64)
    cost = 0
    for g in range(0, groups.size - 1, step):
        rows = groups[g + 1] - groups[g]
        for k in range(find_runs(grid, hull_of(boxes_a, groups[g], groups[g + 1]), runs)):
            cost += (runs[k, 1] - runs[k, 0]) * (rows + 8) + 32
    return cost * step


def best(beta, ids_a, boxes_a, groups, grid_b, first, last, values, indices):
    """Write the best of each row of groups [first, last) where it exceeds `least_value`; leave the others alone."""
    T = values.dtype.type
    grid = Grid(grid_b[0], grid_b[1], grid_b[2], grid_b[3], grid_b[4])
    tile, ids, runs = (
        np.empty((7, COLS + APART), values.dtype),
        np.empty(COLS, np.int64),
        np.empty((most_runs(grid), 2), np.int64),
    )
    leaders, where = np.empty(GROUP, values.dtype), np.empty(GROUP, np.int64)
    met = tile[6]
    bits = bits_of(met)
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        leaders[:] = least_value(T(0), SCREEN)
        where[:] = NOWHERE
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids)
            for r in range(hi - lo):
                one = at(boxes_a, lo + r)
                measure(one, tile, 0, whole(n), beta)
                leader = highest(met, bits, n, leaders[r])
                if leader == leaders[r] and where[r] == NOWHERE:
                    continue
                place = where[r] if leader == leaders[r] else NOWHERE
                for j in range(n):
                    place = min(place, ids[j] if met[j] == leader else NOWHERE)
                leaders[r], where[r] = leader, place
        for r in range(hi - lo):
            if where[r] < NOWHERE:
                values[ids_a[lo + r]], indices[ids_a[lo + r]] = leaders[r], where[r]


def top(beta, ids_a, boxes_a, groups, grid_b, first, last, values, indices):
    """Write the k best of each row of groups [first, last) that exceed `least_value`; nan and -1 for the others."""
    T = values.dtype.type
    eps = T(np.finfo(values.dtype).eps)
    grid = Grid(grid_b[0], grid_b[1], grid_b[2], grid_b[3], grid_b[4])
    tile, ids, runs = (
        np.empty((7, COLS + APART), values.dtype),
        np.empty(COLS, np.int64),
        np.empty((most_runs(grid), 2), np.int64),
    )
    met = tile[6]
    k = values.shape[1]
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        for r in range(lo, hi):
            values[ids_a[r]], indices[ids_a[r]] = least_value(T(0), SCREEN), -1
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids)
            for r in range(lo, hi):
                one = at(boxes_a, r)
                ranked, columns = values[ids_a[r]], indices[ids_a[r]]
                p, q = sought(ranked[k - 1], eps, SCREEN)
                for start in range(0, n, BLOCK):
                    m = min(BLOCK, whole(n) - start)
                    if none_above(one, p, q, tile, start, m):
                        continue
                    measure(one, tile, start, m, beta)
                    for j in range(start, min(start + m, n)):
                        place = k
                        while place > 0 and (
                            met[j] > ranked[place - 1] or (met[j] == ranked[place - 1] and ids[j] < columns[place - 1])
                        ):
                            place -= 1
                        if place < k:
                            for later in range(k - 1, place, -1):
                                ranked[later], columns[later] = ranked[later - 1], columns[later - 1]
                            ranked[place], columns[place] = met[j], ids[j]
                    p, q = sought(ranked[k - 1], eps, SCREEN)
        for r in range(lo, hi):
            for place in range(k):
                if indices[ids_a[r], place] < 0:
                    values[ids_a[r], place] = T(np.nan)


def pairs(beta, ids_a, boxes_a, groups, grid_b, first, last, below, upper, counts):
    """Return rows, columns and values above `below` of groups [first, last), unordered, and count them for each row."""
    dtype = boxes_a.dtype
    eps = dtype.type(np.finfo(dtype).eps)
    grid = Grid(grid_b[0], grid_b[1], grid_b[2], grid_b[3], grid_b[4])
    tile, ids, runs = (
        np.empty((7, COLS + APART), dtype),
        np.empty(COLS, np.int64),
        np.empty((most_runs(grid), 2), np.int64),
    )
    met = tile[6]
    rows, cols, values = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, dtype)
    found = 0
    p, q = sought(below, eps, SCREEN)
    for g in range(first, last):
        lo, hi = groups[g], groups[g + 1]
        hull = hull_of(boxes_a, lo, hi)
        run, end = 0, find_runs(grid, hull, runs)
        while run < end:
            n, run = gather(grid, hull, runs, run, end, tile, ids)
            for r in range(lo, hi):
                one, row = at(boxes_a, r), ids_a[r]
                for start in range(0, n, BLOCK):
                    m = min(BLOCK, whole(n) - start)
                    if none_above(one, p, q, tile, start, m):
                        continue
                    measure(one, tile, start, m, beta)
                    if found + BLOCK > rows.size:
                        rows, cols, values = grown(rows), grown(cols), grown(values)
                    for j in range(start, min(start + m, n)):
                        if met[j] > below and not (upper and ids[j] <= row):
                            rows[found], cols[found], values[found] = row, ids[j], met[j]
                            found += 1
                            counts[row] += 1
    return rows[:found], cols[:found], values[:found]


def order(ends, first, last, cols, values):
    """Sort the columns of each of the rows [first, last), whose pairs end at ends[row], and their values with them."""
    for row in range(first, last):
        start, end = ends[row - 1] if row else 0, ends[row]
        if end - start > 64:
            by = np.argsort(cols[start:end])
            cols[start:end], values[start:end] = cols[start:end][by], values[start:end][by]
            continue
        for j in range(start + 1, end):
            column, value, place = cols[j], values[j], j
            while place > start and cols[place - 1] > column:
                cols[place], values[place] = cols[place - 1], values[place - 1]
                place -= 1
            cols[place], values[place] = column, value


def _grid(t):
    return types.Tuple((vector(i8), vector(t, 2), vector(i8), vector(i8, 2), vector(types.float64, 2)))


def _grouped(t, *outputs):
    return (t, vector(i8), vector(t, 2), readonly(i8), _grid(t), i8, i8, *outputs)


BUILD = Kernel(
    build,
    lambda t: types.Tuple((types.boolean, _grid(t)))(side(t), i8, i8, types.boolean, types.float64, types.float64),
    {"": {}},
)
SURVEY = Kernel(survey, lambda t: i8(_grid(t), vector(t, 2), readonly(i8), i8), {"": {}})
BEST = Kernel(best, lambda t: types.void(*_grouped(t, vector(t), vector(i8))), BOUND)
TOP = Kernel(top, lambda t: types.void(*_grouped(t, vector(t, 2), vector(i8, 2))), BOUND)
PAIRS = Kernel(
    pairs,
    lambda t: types.Tuple((vector(i8), vector(i8), vector(t)))(*_grouped(t, t, types.boolean, vector(i8))),
    BOUND,
)
ORDER = Kernel(order, lambda t: types.void(readonly(i8), i8, i8, vector(i8), vector(t)), {"": {}})
