"""An index of one image: boxes sorted into the cells of grids, to find the boxes that overlap a region.

A grid for each size of box: class c holds the boxes whose longer side is 4^-c of the largest, up to a factor of four.
The boxes of a class are sorted by the cell of their first corner, so that a row of cells is one run of boxes. Cells are
numbered by a function that never falls as its coordinate rises, and `shapes` says how many cells a box of the class
extends at most, its reach: the boxes that overlap a region start in its cells, or in the cells one reach before.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import bits_of, integers_of
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import f8, group, i8, readonly, side, vector
from fastbox.kernels.codes import LANES
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.pack import COLS, pack, whole_lanes, write_angles

TESTED = 16  # boxes of a run tested together, and places behind the last box that may be tested
MOST = COLS + TESTED  # places for the boxes of a tile and of the last test
FAR, FEWEST = 2.5, 0.5  # the side of a cell in sides of the common class, from which on cells may hold FEWEST boxes
CLASSES = 12  # boxes smaller than 4^-11 of the largest share the last one
GROUP = LANES  # rows of a measured with one tile
# Columns of `shapes`, one row a class: the number of its first cell, its cells across and down (none across where the
# class is empty), and how many cells a box extends at most.
FIRST_CELL, ACROSS, DOWN, REACH_X, REACH_Y = range(5)
ORIGIN_X, ORIGIN_Y, SCALE = range(3)  # columns of `scales`, one row a class

FIELDS = 6  # numbers of a packed box; those behind corners and area are copied if asked for

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
def exponent_of(length):
    """Return the exponent e of the first power 2^e above a length that is neither 0 nor subnormal."""
    return (bits_of(np.float64(length)) >> 52) - 1022


@device
def lay_out(counts, origin, sides, exponent, least):
    """Choose the cells of each class, given its number of boxes; return shapes, scales and the number of cells.

    `exponent` is that of the largest box; `least` is the side of a cell in sides of the largest box of its class, and
    the boxes of a cell on average, both at least. Where boxes are few, cells do not grow further than FAR: most boxes
    near a large cell overlap none of its few boxes.
    """
    shapes, scales = np.zeros((CLASSES, 5), np.int64), np.zeros((CLASSES, 3), np.float64)
    (left, top), (width, height), (share, per_cell) = origin, sides, least
    cells, common = 0, 0
    for c in range(CLASSES):
        common = c if counts[c] > counts[common] else common
    for c in range(CLASSES):
        if counts[c]:
            size, far = math.ldexp(share, exponent - 2 * c), math.ldexp(FAR, exponent - 2 * min(c, common))
            while True:
                wanted = (math.floor(width / size) + 1.0) * (math.floor(height / size) + 1.0)
                most = counts[c] / (per_cell if size < far else FEWEST)
                if wanted <= max(most, 1.0):
                    break
                size *= 1.25
            shapes[c, FIRST_CELL] = cells
            shapes[c, ACROSS] = np.int64(width / size) + 1
            shapes[c, DOWN] = np.int64(height / size) + 1
            scales[c, ORIGIN_X], scales[c, ORIGIN_Y], scales[c, SCALE] = left, top, 1.0 / size
            cells += shapes[c, ACROSS] * shapes[c, DOWN]
    return shapes, scales, cells


@device
def fill_cells(n, old, rows, starts, new):
    """Write the numbers of n boxes, and some rows of the boxes, in the order of their cells.

    `starts` has where each cell ends, and then where it begins.
    """
    (packed, where, kinds), (ids, ordered) = old, new
    for j in range(n):
        if kinds[j] >= 0:
            one = np.uint64(where[j])
            starts[one] -= 1
            ids[np.uint64(starts[one])] = j
    for r in range(rows):
        for place in range(starts[-1]):
            k = np.uint64(place)
            ordered[r, k] = packed[r, np.uint64(ids[k])]


def build(boxes, span, angles, least, room):
    """Sort the boxes of a span that have an area into cells, whose sizes :func:`lay_out` chooses by `least`.

    Writes the grid to the room: numbers and boxes (corners, area, angle) in their new order, and where each cell's
    boxes start; the rest of the room is work space for boxes, cells and classes in the old order. Returns whether the
    areas are screenable (if not, the rest is of no use), the number of cells, shapes and scales of the classes.
    """
    ids, ordered, starts, packed, where, kinds = room
    first, last = span
    n = last - first
    tile = np.empty((FIELDS, COLS), ordered.dtype)
    screenable = True
    indexed = 0
    largest, left, top, right, bottom = 0.0, np.inf, np.inf, -np.inf, -np.inf
    for s in range(0, n, COLS):
        m = min(COLS, n - s)
        screenable = pack(boxes, first + s, first + s + m, tile) and screenable
        if angles:
            write_angles(m, tile)
        for r in range(FIELDS if angles else 5):
            for j in range(m):
                packed[r, np.uint64(s + j)] = tile[r, np.uint64(j)]
        for j in range(m):
            k = np.uint64(j)
            if tile[4, k] > 0:
                indexed += 1
                largest = max(largest, max(tile[2, k] - tile[0, k], tile[3, k] - tile[1, k]))
                left, top = min(left, tile[0, k]), min(top, tile[1, k])
                right, bottom = max(right, tile[2, k]), max(bottom, tile[3, k])
    width, height = right - left, bottom - top
    screenable = screenable and (indexed == 0 or (width < np.inf and height < np.inf))

    counts = np.zeros(CLASSES, np.int64)
    kinds[:] = -1
    exponent = math.frexp(largest)[1]
    if screenable:
        for j in range(n):
            k = np.uint64(j)
            if packed[4, k] > 0:
                longer = max(packed[2, k] - packed[0, k], packed[3, k] - packed[1, k])
                kind = min((exponent - exponent_of(longer)) // 2, CLASSES - 1)
                kinds[k] = kind
                counts[np.uint64(kind)] += 1
    shapes, scales, cells = lay_out(counts, (left, top), (width, height), exponent, least)
    for k in range(cells + 1):
        starts[k] = 0
    for j in range(n):
        k = np.uint64(j)
        if kinds[k] >= 0:
            c = np.uint64(kinds[k])
            across, down, scale = shapes[c, ACROSS], shapes[c, DOWN], scales[c, SCALE]
            x, y = cell(packed[0, k], left, scale, across), cell(packed[1, k], top, scale, down)
            shapes[c, REACH_X] = max(shapes[c, REACH_X], cell(packed[2, k], left, scale, across) - x)
            shapes[c, REACH_Y] = max(shapes[c, REACH_Y], cell(packed[3, k], top, scale, down) - y)
            where[k] = shapes[c, FIRST_CELL] + y * across + x
            starts[np.uint64(where[k])] += 1
    for k in range(cells):
        starts[k + 1] += starts[k]  # where each cell ends, until its boxes are put before the end
    fill_cells(n, (packed, where, kinds), FIELDS if angles else 5, starts[: cells + 1], (ids, ordered))
    for place in range(starts[cells]):
        ids[place] += first
    for j in range(starts[cells], starts[cells] + TESTED):
        ordered[0, j] = ordered[1, j] = ordered[2, j] = ordered[3, j] = 0.0
    return screenable, cells, shapes, scales


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
            start, stop = grid.starts[np.uint64(base + left)], grid.starts[np.uint64(base + right + 1)]
            runs[np.uint64(n), 0], runs[np.uint64(n), 1] = start, stop
            n += np.int64(start < stop)
    return n


@inlined
def gather(grid, hull, runs, first, last, tile, ids, angles):
    """Fill a tile with boxes of the runs [first, last) that overlap the hull.

    Returns the number of boxes and the run to go on with, whose start is moved behind the boxes gathered.
    """
    x0, y0, x1, y1 = grid.boxes[0], grid.boxes[1], grid.boxes[2], grid.boxes[3]
    near, hit = stack_array(ids, MOST), stack_array(integers_of(tile[4]), MOST)
    tested, n = 0, 0
    while first < last and tested < COLS:
        start = runs[first, 0]
        stop = min(runs[first, 1], start + COLS - tested)
        for k in range(start, stop, TESTED):
            at = tested + k - start
            for lane in range(TESTED):
                j = np.uint64(k + lane)
                inside = (x0[j] < hull.x1) & (x1[j] > hull.x0) & (y0[j] < hull.y1) & (y1[j] > hull.y0)
                hit[np.uint64(at + lane)] = inside
                near[np.uint64(at + lane)] = k + lane
        tested += stop - start
        runs[first, 0] = stop
        first += np.int64(stop == runs[first, 1])
    for k in range(tested):
        ids[np.uint64(n)] = near[np.uint64(k)]
        n += np.int64(hit[np.uint64(k)])
    if angles:
        for r in range(5, FIELDS):
            for k in range(n):
                tile[r, np.uint64(k)] = grid.boxes[r, np.uint64(ids[np.uint64(k)])]
    areas = grid.boxes[4]
    p, q, r, s, area = tile[0], tile[1], tile[2], tile[3], tile[4]
    for place in range(n):
        k = np.uint64(place)
        j = np.uint64(ids[k])
        p[k], q[k], r[k], s[k], area[k], ids[k] = x0[j], y0[j], x1[j], y1[j], areas[j], grid.ids[j]
    for j in range(n, whole_lanes(n)):
        tile[4, j] = np.nan
    return n, first


@device
def empty_runs(grid):
    """Return room for the runs of any hull, each with its first box and the end."""
    return np.empty((grid.shapes[:, DOWN].sum() + 1, 2), np.int64)


@inlined
def hull_of(boxes, first, last):
    j = np.uint64(first)
    x0, y0, x1, y1 = boxes[0, j], boxes[1, j], boxes[2, j], boxes[3, j]
    for k in range(first + 1, last):
        j = np.uint64(k)
        x0, y0 = min(x0, boxes[0, j]), min(y0, boxes[1, j])
        x1, y1 = max(x1, boxes[2, j]), max(y1, boxes[3, j])
    return Box(x0, y0, x1, y1, x0, x0)


def survey(grid_b, boxes_a, groups, step):
    """Estimate the cost of all groups, in pairs measured without an index, from every step-th group."""
    grid = unpack_grid(grid_b)
    runs = empty_runs(grid)
    cost = 0
    for g in range(0, groups.size - 1, step):
        rows = groups[g + 1] - groups[g]
        for k in range(find_runs(grid, hull_of(boxes_a, groups[g], groups[g + 1]), runs)):
            cost += (runs[k, 1] - runs[k, 0]) * (rows + 8) + 32
    return cost * step


def grid_of(t):
    """Return the types of a grid."""
    return group(vector(i8), vector(t, 2), vector(i8), vector(i8, 2), vector(f8, 2))


def room_of(t):
    """Return the types of the room for a grid and for work space."""
    return group(vector(i8), vector(t, 2), vector(i8), vector(t, 2), vector(i8), vector(types.int8))


def build_signature(boxes, t):
    """Return the types of the arguments of `build`, given those of boxes and of the numbers of packed boxes."""
    found = group(types.boolean, i8, vector(i8, 2), vector(f8, 2))
    return found(boxes, group(i8, i8), types.boolean, group(f8, f8), room_of(t))


BUILD = Kernel(build, lambda t: build_signature(side(t), t), {"": {}})
SURVEY = Kernel(survey, lambda t: i8(grid_of(t), vector(t, 2), readonly(i8), i8), {"": {}})
