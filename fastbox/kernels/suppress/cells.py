"""Grids of cells, one for each kind of size, to find the boxes that overlap one enough without the others."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import bits_of
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import f8, group, i8, side, vector
from fastbox.kernels.geometry.extremes import robust_iou, valid
from fastbox.kernels.geometry.formulas import Box, iou, larger, smaller
from fastbox.kernels.geometry.pack import box_at, corners_of
from fastbox.kernels.geometry.safe_range import is_screenable, safe_area

GONE = 2  # the state of a box that need not be found any more

BLOCK = 32  # boxes of a run measured together: a constant count, of which no vector register leaves a remainder
PAD = BLOCK  # places behind the last box that may be measured

# Sizes are sorted into kinds by the power of two of the longer side and by the aspect, five powers of two each.
OCTAVES, LEAST_OCTAVE, ASPECTS = 64, -24, 7
FULL = 4  # boxes in a cell on average, from which on cells are halved
FAR = 2.0**31  # cells from the origin beyond which all are one
GOLDEN = 0.6180339887498949

# Columns of the frame of each kind: the origin of its grid, cells a pixel, and the range of its sides.
X, Y, PER_X, PER_Y, MIN_W, MAX_W, MIN_H, MAX_H, MAX_X, MAX_Y = range(10)
BASE, NX, NY, REACH_X, REACH_Y, STRIDE, CELLS, FOLDED, COUNT = range(9)


@device
def corners(boxes, k):
    """Return the k-th box, with the bits that `pack` gives it."""
    arrangement, p, q, r, s = boxes
    row = np.uint64(k)  # unsigned, here and below: no test for an index from the end
    x0, y0, x1, y1 = corners_of(arrangement, p[row], q[row], r[row], s[row])
    return Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), x0)


@device
def meets(box):
    """Return whether a box has an area, without which no IoU is above 0."""
    return (box.x1 > box.x0) & (box.y1 > box.y0)


@device
def shrunk(low, high, share):
    """Return the ends of a side less a share about its centre: two boxes with an IoU above the share still overlap.

    The intersection is longer than that share of either side. Where coordinates are too coarse, nothing is taken off.
    """
    low, high = np.float64(low), np.float64(high)
    loss = 0.5 * share * (high - low)
    if (share == 0.0) | ((high - low) * 2.0**40 <= max(abs(low), abs(high))):
        loss = 0.0
    return low + loss, high - loss


@device
def slot(x, origin, per):
    """Return the cell of a coordinate; cells never fall as coordinates rise."""
    cell = (0.5 * x - 0.5 * origin) * per
    cell = cell if cell > -FAR else -FAR
    return np.int64(math.floor(cell if cell < FAR else FAR))


@device
def octave_of(length):
    """Return the exponent of the first power of two above a length."""
    return (bits_of(length) >> 52) - 1022


@device
def kind_of(w, h):
    """Return the kind of a size: by the power of two of the longer side, and by the aspect."""
    wide, high = octave_of(w), octave_of(h)
    octave = min(max(max(wide, high) - LEAST_OCTAVE, 0), OCTAVES - 1)
    aspect = min(max((wide - high + 2) // 5 + ASPECTS // 2, 0), ASPECTS - 1)
    return octave * ASPECTS + aspect


@device
def cut(frame, layout, share):
    """Choose the cells of a kind: as long as its longest sides, or shorter where many boxes lie in each.

    There are four cells for each box at most. A larger grid is folded: its lines begin a golden section of all cells
    apart, so that lines near one another share no cell.
    """
    for axis in range(2):
        longest = (1.0 - share) * frame[MAX_W + 2 * axis]
        frame[PER_X + axis] = min(2.0 / max(longest, 1e-300), 1e300)
    most = 4 * layout[COUNT]
    cells, halvings = 0.0, 0
    while True:
        for axis in range(2):
            end = frame[MAX_X + axis] + frame[MAX_W + 2 * axis]
            layout[NX + axis] = slot(end, frame[X + axis], frame[PER_X + axis]) + 1
        cells = np.float64(layout[NX]) * np.float64(layout[NY])
        if (halvings == 2) | (FULL * cells > layout[COUNT]):
            break
        halvings += 1
        frame[PER_X] *= 2.0
        frame[PER_Y] *= 2.0
    folded = cells > most
    layout[FOLDED] = folded
    layout[CELLS] = most if folded else layout[NX] * layout[NY]
    layout[STRIDE] = np.int64(GOLDEN * most) if folded else layout[NX]


@device
def count_cells(boxes, members, cells, count, grids):
    """Replace the kind of each box by its cell, widen the reach of its kind, and return where each cell ends."""
    frames, layouts, share = grids
    starts = np.zeros(count + 1, np.int64)
    for place in range(members.size):
        j = np.uint64(place)
        if cells[j] < 0:
            continue
        kind = np.uint64(cells[j])
        box = corners(boxes, members[j])
        frame, layout = frames[kind], layouts[kind]
        (u0, u1), (v0, v1) = shrunk(box.x0, box.x1, share), shrunk(box.y0, box.y1, share)
        column, line = slot(u0, frame[X], frame[PER_X]), slot(v0, frame[Y], frame[PER_Y])
        layout[REACH_X] = max(layout[REACH_X], slot(u1, frame[X], frame[PER_X]) - column)
        layout[REACH_Y] = max(layout[REACH_Y], slot(v1, frame[Y], frame[PER_Y]) - line)
        cell = line * layout[STRIDE] + column
        cells[j] = layout[BASE] + (cell % layout[CELLS] if layout[FOLDED] else cell)
        starts[np.uint64(cells[j])] += 1
    for cell in range(count):
        starts[cell + 1] += starts[cell]
    return starts


@device
def sort_by_cell(boxes, scores, members, cells, starts, places, beyond):
    """Sort members by their cells into a tile of their boxes, their scores, and their rows.

    `beyond` says whether some are beyond the safe range, so that their area is nan.

    Given where each cell ends, `starts` then says where each cell begins.
    """
    tile, keys, rows = places
    for place in range(members.size - 1, -1, -1):
        j = np.uint64(place)
        if cells[j] >= 0:
            cell = np.uint64(cells[j])
            k = starts[cell] - 1
            starts[cell] = k
            rows[np.uint64(k)] = members[j]
    n = starts[starts.size - 1]
    for place in range(n):
        k = np.uint64(place)
        box = corners(boxes, rows[k])
        tile[0, k], tile[1, k], tile[2, k], tile[3, k] = box.x0, box.y0, box.x1, box.y1
        tile[4, k] = box.area if beyond else (box.x1 - box.x0) * (box.y1 - box.y0)
        keys[k] = scores[np.uint64(rows[k])]
    for k in range(n, n + PAD):
        tile[4, k] = np.nan


def arrange(boxes, scores, members, t, out, places):
    """Sort boxes that can meet others into grids, one for each kind of size; the others keep their score in `out`.

    Writes the boxes to the places: a tile, scores, rows, and cells, which are work space. Returns the grid for
    `reached`: where cells begin, the frame and layout of each kind's grid, the share that boxes are shrunk by, and
    whether all areas are screenable. The last cell ends at the number of boxes.
    """
    tile, keys, rows, cells = places
    kinds = OCTAVES * ASPECTS
    frames, layouts = np.empty((kinds, 10), np.float64), np.zeros((kinds, 9), np.int64)
    screenable, beyond = True, False
    for place in range(members.size):
        j = np.uint64(place)
        row, cells[j] = np.uint64(members[j]), -1
        box = corners(boxes, row)
        if box.area != box.area and not valid(box):
            continue
        if not meets(box):
            out[row] = scores[row]
        elif scores[row] == scores[row]:
            x, y = np.float64(box.x0), np.float64(box.y0)
            w, h = np.float64(box.x1) - x, np.float64(box.y1) - y
            kind = np.uint64(kind_of(w, h))
            frame = frames[kind]
            if layouts[kind, COUNT] == 0:
                frame[X], frame[Y], frame[MAX_X], frame[MAX_Y] = x, y, x, y
                frame[MIN_W], frame[MAX_W], frame[MIN_H], frame[MAX_H] = w, w, h, h
            frame[X], frame[Y] = smaller(frame[X], x), smaller(frame[Y], y)
            frame[MAX_X], frame[MAX_Y] = larger(frame[MAX_X], x), larger(frame[MAX_Y], y)
            frame[MIN_W], frame[MAX_W] = smaller(frame[MIN_W], w), larger(frame[MAX_W], w)
            frame[MIN_H], frame[MAX_H] = smaller(frame[MIN_H], h), larger(frame[MAX_H], h)
            layouts[kind, COUNT] += 1
            screenable &= is_screenable(box.area)
            beyond |= box.area != box.area
            cells[j] = np.int64(kind)
    share = max(np.float64(t) - 2.0**-10, 0.0) if screenable else 0.0
    order, base = np.empty(kinds, np.int64), 0
    present = 0
    if beyond:  # all in one cell
        layouts[:] = 0
        frames[0] = 0.0
        for j in range(members.size):
            cells[j] = min(cells[j], 0)
        frames[0, MAX_W] = frames[0, MAX_H] = np.inf
        layouts[0, NX] = layouts[0, NY] = layouts[0, CELLS] = 1
        base, order[0], present = 1, 0, 1
    for kind in range(kinds):
        if layouts[kind, COUNT]:
            cut(frames[kind], layouts[kind], share)
            layouts[kind, BASE] = base
            base += layouts[kind, CELLS]
            order[present] = kind
            present += 1
    starts = count_cells(boxes, members, cells, base, (frames, layouts, share))
    sort_by_cell(boxes, scores, members, cells, starts, (tile, keys, rows), beyond)
    return starts, frames[order[:present]], layouts[order[:present]], share, screenable


@inlined
def measure_block(one, tile, start, t, met):
    """Write the IoUs of a box with a block of a tile, and return whether one of them is above t."""
    hit = np.int32(0)
    for j in range(BLOCK):
        met[j] = iou(one, box_at(tile, np.uint64(start + j)), type(t)(0))
        hit = np.int32(hit | np.int32(met[j] > t))
    return hit != 0


@device
def list_run(tile, one, p, run, t, screenable, state, hits, found):
    """List the boxes of a run that box p reaches, behind the boxes found; return the number of boxes found."""
    first, last = run
    met = stack_array(tile, BLOCK)
    for start in range(first, last, BLOCK):
        n = min(BLOCK, last - start)
        if not screenable:
            for j in range(n):
                met[j] = robust_iou(one, box_at(tile, start + j))
        elif not measure_block(one, tile, start, t, met):
            continue
        for j in range(n):
            q = start + j
            hits[np.uint64(found)] = q
            found += np.int64((met[np.uint64(j)] > t) & (state[np.uint64(q)] != GONE) & (q != p))
    return found


@device
def reached(grid, tile, p, t, state, hits):
    """List the boxes, except those that are gone, whose IoU with box p is above t; return their number."""
    starts, frames, layouts, share, screenable = grid
    one = box_at(tile, p)
    (u0, u1), (v0, v1) = shrunk(one.x0, one.x1, share), shrunk(one.y0, one.y1, share)
    w, h = np.float64(one.x1) - np.float64(one.x0), np.float64(one.y1) - np.float64(one.y0)
    found = 0
    for kind in range(layouts.shape[0]):
        # An IoU above t needs sides whose ratio is between t and 1 / t.
        if (w * share > frames[kind, MAX_W]) | (frames[kind, MIN_W] * share > w):
            continue
        if (h * share > frames[kind, MAX_H]) | (frames[kind, MIN_H] * share > h):
            continue
        x, y, per_x, per_y = frames[kind, X], frames[kind, Y], frames[kind, PER_X], frames[kind, PER_Y]
        left = max(slot(u0, x, per_x) - layouts[kind, REACH_X], 0)
        right = min(slot(u1, x, per_x), layouts[kind, NX] - 1)
        top = max(slot(v0, y, per_y) - layouts[kind, REACH_Y], 0)
        bottom = min(slot(v1, y, per_y), layouts[kind, NY] - 1)
        if (left > right) | (top > bottom):
            continue
        base, stride, cells = layouts[kind, BASE], layouts[kind, STRIDE], layouts[kind, CELLS]
        width, lines = right - left + 1, bottom - top + 1
        folded = layouts[kind, FOLDED]
        if folded and 4 * lines * (width + lines) > cells:  # lines might share cells: take each cell once
            left, width, stride, lines = 0, cells, 0, 1
        for line in range(top, top + lines):
            cell, more = line * stride + left, width
            if folded:
                cell %= cells
            while more:
                n = min(more, cells - cell)
                run = starts[np.uint64(base + cell)], starts[np.uint64(base + cell + n)]
                found = list_run(tile, one, p, run, t, screenable, state, hits, found)
                cell, more = 0, more - n
    return found


given = types.Array(f8, 1, "C", readonly=True)


def grid_of(t):
    """Return the types of a grid."""
    return group(vector(i8), vector(f8, 2), vector(i8, 2), f8, types.boolean)


def places_of(t):
    """Return the types of places: a tile, scores, rows."""
    return group(vector(t, 2), vector(f8), vector(i8))


ARRANGE = Kernel(
    arrange,
    lambda t: grid_of(t)(
        side(t), given, vector(i8), t, vector(f8), group(vector(t, 2), vector(f8), vector(i8), vector(i8))
    ),
    {"": {}},
)
