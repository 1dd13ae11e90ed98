"""An index of one image: boxes sorted into the cells of grids, to find the boxes that overlap a region.

A grid for each size of box: class c holds the boxes whose longer side is 2^-c of the largest, up to a factor of two.
The boxes of a class are sorted by the cell of their first corner, so that a row of cells is one run of boxes. Cells are
numbered by a function that never falls as its coordinate rises, and `shapes` says how many cells a box of the class
extends at most, its reach: the boxes that overlap a region start in its cells, or in the cells one reach before.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import LANES
from fastbox.kernels.compare.measure import whole_vectors
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.pack import COLS, pack

CLASSES = 24  # boxes smaller than 2^-23 of the largest share the last one
GROUP = LANES  # rows of a measured with one tile
# Columns of `shapes`, one row a class: the number of its first cell, its cells across and down (none across where the
# class is empty), and how many cells a box extends at most.
FIRST_CELL, ACROSS, DOWN, REACH_X, REACH_Y = range(5)
ORIGIN_X, ORIGIN_Y, SCALE = range(3)  # columns of `scales`, one row a class

Grid = namedtuple("Grid", "ids boxes starts shapes scales")


@device
def unpack_grid(grid):
    """Return the arrays of a grid by name."""
    ids, boxes, starts, shapes, scales = grid
    return Grid(ids, boxes, starts, shapes, scales)


@device
def cell(x, origin, scale, cells):
    place = (np.float64(x) - origin) * scale
    return np.int64(min(max(place, 0.0), np.float64(cells - 1)))


@device
def lay_out(counts, origin, sides, exponent, least):
    """Choose the cells of each class, given its number of boxes; return shapes, scales and the number of cells.

    `exponent` is that of the largest box; `least` is the side of a cell in sides of the largest box of its class, and
    the boxes of a cell on average, both at least.
    """
    shapes, scales = np.zeros((CLASSES, 5), np.int64), np.zeros((CLASSES, 3), np.float64)
    (left, top), (width, height), (share, per_cell) = origin, sides, least
    cells = 0
    for c in range(CLASSES):
        if counts[c]:
            size = math.ldexp(share, exponent - c)
            most = max(counts[c] / per_cell, 1.0)
            while (math.floor(width / size) + 1.0) * (math.floor(height / size) + 1.0) > most:
                size *= 1.25
            shapes[c, FIRST_CELL] = cells
            shapes[c, ACROSS] = np.int64(width / size) + 1
            shapes[c, DOWN] = np.int64(height / size) + 1
            scales[c, ORIGIN_X], scales[c, ORIGIN_Y], scales[c, SCALE] = left, top, 1.0 / size
            cells += shapes[c, ACROSS] * shapes[c, DOWN]
    return shapes, scales, cells


def build(boxes, span, angles, least):
    """Sort the boxes of a span that have an area into cells, whose sizes :func:`lay_out` chooses by `least`.

    Returns whether the areas are screenable (if not, the rest is of no use) and the grid: numbers and boxes (corners,
    area, angle) in their new order, where each cell's boxes start, shapes and scales of the classes.
    """
    first, last = span
    dtype = boxes[1].dtype
    n = last - first
    tile = np.empty((6, COLS), dtype)
    packed = np.empty((6, n), dtype)
    screenable = True
    indexed = 0
    largest, left, top, right, bottom = 0.0, np.inf, np.inf, -np.inf, -np.inf
    for s in range(0, n, COLS):
        m = min(COLS, n - s)
        screenable = pack(boxes, first + s, first + s + m, angles, tile) and screenable
        for j in range(m):
            for r in range(6):
                packed[r, s + j] = tile[r, j]
            if tile[4, j] > 0:
                indexed += 1
                largest = max(largest, max(tile[2, j] - tile[0, j], tile[3, j] - tile[1, j]))
                left, top = min(left, tile[0, j]), min(top, tile[1, j])
                right, bottom = max(right, tile[2, j]), max(bottom, tile[3, j])
    width, height = right - left, bottom - top
    screenable = screenable and (indexed == 0 or (width < np.inf and height < np.inf))

    counts = np.zeros(CLASSES, np.int64)
    kinds = np.full(n, -1, np.int8)
    exponent = math.frexp(largest)[1]
    if screenable:
        for j in range(n):
            if packed[4, j] > 0:
                longer = max(packed[2, j] - packed[0, j], packed[3, j] - packed[1, j])
                kinds[j] = min(exponent - math.frexp(longer)[1], CLASSES - 1)
                counts[kinds[j]] += 1
    shapes, scales, cells = lay_out(counts, (left, top), (width, height), exponent, least)
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
    return screenable, (ids, ordered, starts, shapes, scales)


@device
def find_runs(grid, hull, runs):
    """Write the runs of sorted boxes that hold all boxes that overlap the hull; return the number of runs."""
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

    Returns the number of boxes and the run to go on with, whose start is moved behind the boxes gathered.
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
    for j in range(n, whole_vectors(n)):
        tile[4, j] = np.nan
    return n, first


@device
def most_runs(grid):
    return grid.shapes[:, DOWN].sum() + 1


@device
def hull_of(boxes, first, last):
    x0, y0, x1, y1 = boxes[0, first], boxes[1, first], boxes[2, first], boxes[3, first]
    for j in range(first + 1, last):
        x0, y0 = min(x0, boxes[0, j]), min(y0, boxes[1, j])
        x1, y1 = max(x1, boxes[2, j]), max(y1, boxes[3, j])
    return Box(x0, y0, x1, y1, x0, x0)


def survey(grid_b, boxes_a, groups, step):
    """Estimate the cost of all groups, in pairs measured without an index, from every step-th group."""
    grid = unpack_grid(grid_b)
    runs = np.empty((most_runs(grid), 2), np.int64)
    cost = 0
    for g in range(0, groups.size - 1, step):
        rows = groups[g + 1] - groups[g]
        for k in range(find_runs(grid, hull_of(boxes_a, groups[g], groups[g + 1]), runs)):
            cost += (runs[k, 1] - runs[k, 0]) * (rows + 8) + 32
    return cost * step


def grid_of(t):
    """Return the types of a grid."""
    return group(vector(i8), vector(t, 2), vector(i8), vector(i8, 2), vector(types.float64, 2))


BUILD = Kernel(
    build,
    lambda t: group(types.boolean, grid_of(t))(
        side(t), group(i8, i8), types.boolean, group(types.float64, types.float64)
    ),
    {"": {}},
)
SURVEY = Kernel(survey, lambda t: i8(grid_of(t), vector(t, 2), readonly(i8), i8), {"": {}})
