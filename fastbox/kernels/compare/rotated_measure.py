"""The names of a geometry in the kernels that compare boxes: packing, boxes of a tile, measuring where frames meet.

The traversals and the reductions are those of plain boxes. A value takes ten times as long as one of plain boxes, so a
screen finds the boxes one by one whose frames leave room for a value, and only these are measured, side by side.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import integers_of
from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.build.masks import WIDTH, between, first_bits, lowest
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.codes import LANES
from fastbox.kernels.compare.lanes import rank_extremes
from fastbox.kernels.compare.measure import BLOCK, TINY, whole_vectors, with_loops
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.pack import COLS
from fastbox.kernels.geometry.rotated import AREA, FIELDS, box_at
from fastbox.kernels.geometry.rotated_metrics import iou as value
from fastbox.kernels.geometry.safe_range import LEAST_SCREENABLE, MOST_SCREENABLE
from fastbox.kernels.metrics import ROTATED_METRICS

# Bound anew for each geometry: the row of a tile that values are written to, and the rows of a tile with values.
VALUES = FIELDS
ROWS = FIELDS + 1
MOST = 40  # boxes of a block up to which those marked are gathered
CROWDED = 7  # blocks of a matrix measured in full behind one of which most are marked

# Bound anew for each metric: whether boxes apart have the value 0; the formula of loops; and the greatest value up to
# which the formula of loops may differ from `value`, 0 if it never does.
APART, plain, DUST = True, value, 0.0


@device
def copy_tile(packed, first, last, tile):
    """Copy packed boxes [first, last) to a tile; return whether all areas of valid boxes are screenable.

    A tile is filled up to whole lanes with invalid boxes.
    """
    tile = moved(tile, 0)  # without an owner, whose references would be counted
    n = last - first
    whole = (n + LANES - 1) // LANES * LANES
    for r in range(packed.shape[0]):  # not a constant, for which the compiler would repeat the loop
        for j in range(n):
            tile[r, np.uint64(j)] = packed[r, np.uint64(first + j)]
        for j in range(n, whole):
            tile[r, np.uint64(j)] = np.nan
    screenable = True
    for j in range(n):
        area = tile[AREA, j]
        tame = ((area >= LEAST_SCREENABLE) & (area <= MOST_SCREENABLE)) | (area == 0.0) | (area != area)
        screenable = screenable & tame
    return screenable


@inlined
def may_reach(one, p, q, tile, k):
    """Return whether the frames' intersection, or the smaller area, leaves room for a value above that of p and q."""
    w = smaller(one.x1, tile[2, k]) - larger(one.x0, tile[0, k])
    h = smaller(one.y1, tile[3, k]) - larger(one.y0, tile[1, k])
    room = (w if w > 0.0 else 0.0) * (h if h > 0.0 else 0.0)
    room = smaller(room, smaller(one.area, tile[AREA, k]))
    return room * np.float64(p) > np.float64(q) * (one.area + TINY + tile[AREA, k])


@inlined
def none_above(one, p, q, tile, first, n):
    """Return whether the screen of p and q excludes all n boxes of a tile from `first` on."""
    hit = np.int32(0)  # cast at every step: int32 sums widen to int64, which halves the lanes
    for j in range(n):
        hit = np.int32(hit | np.int32(may_reach(one, p, q, tile, np.uint64(first + j))))
    return hit == 0


@inlined
def reaching(one, p, q, tile, first, n):
    """Return which of at most 64 boxes of a tile from `first` on may reach the value of p and q, a bit for each."""
    if none_above(one, p, q, tile, first, n):
        return np.uint64(0)
    flags = stack_array(tile[AREA].view(np.uint8), WIDTH)
    for j in range(n):
        flags[np.uint64(j)] = may_reach(one, p, q, tile, np.uint64(first + j))
    return between(flags, 0, 1, 1) & first_bits(n)


@device
def ones(mask):
    """Return the number of bits that are set, by sums of ever more bits side by side."""
    pairs = mask - (mask >> np.uint64(1) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + (pairs >> np.uint64(2) & np.uint64(0x3333333333333333))
    sums = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    for shift in (8, 16, 32):
        sums += sums >> np.uint64(shift)
    return np.int64(sums & np.uint64(0x7F))


def measure(one, tile, first, n, beta):
    """Write the values of one box with n boxes of a tile from `first` on into the tile, beside the boxes."""
    for j in range(n):
        k = np.uint64(first + j)
        tile[VALUES, k] = plain(one, box_at(tile, k), beta)
    if DUST > 0.0:
        small = np.int32(0)
        for j in range(n):
            met = tile[VALUES, np.uint64(first + j)]
            small = np.int32(small | np.int32((met > 0.0) & (met <= DUST)))
        if small != 0:
            for j in range(first, first + n):
                if 0.0 < tile[VALUES, j] <= DUST:
                    tile[VALUES, j] = value(one, box_at(tile, j), beta)


@inlined
def take(tile, places, first, n, few):
    """Gather the boxes of n places from `first` on side by side, fill vectors up, and return where they end."""
    end = whole_vectors(n)
    for r in range(VALUES):
        for j in range(n):
            k = np.uint64(j)
            few[r, k] = tile[r, np.uint64(places[np.uint64(first + j)])]
        for j in range(n, end):
            few[r, np.uint64(j)] = np.nan
    return end


def measure_marked(one, tile, first, n, marked, beta):
    """Write the values of the boxes that a mask marks, gathered side by side, or of all n if most are marked."""
    few, places = stack_tile(tile, ROWS, BLOCK), stack_array(integers_of(tile[AREA]), BLOCK)
    if ones(marked) > MOST:
        measure(one, tile, first, n, beta)
        return
    found = 0
    while marked != np.uint64(0):
        places[np.uint64(found)] = first + lowest(marked)
        marked &= marked - np.uint64(1)
        found += 1
    end = take(tile, places, 0, found, few)
    measure(one, few, 0, end, beta)
    for k in range(found):
        tile[VALUES, np.uint64(places[np.uint64(k)])] = few[VALUES, np.uint64(k)]


def measure_above(one, p, q, screened, tile, first, n, beta):
    """Write the values of boxes that may reach the value of p and q, nan for the others; return whether there are any.

    Without a screen all boxes are measured.
    """
    if not screened:
        measure(one, tile, first, n, beta)
        return True
    marked = reaching(one, p, q, tile, first, n)
    if marked == np.uint64(0):
        return False
    for j in range(n):
        tile[VALUES, np.uint64(first + j)] = np.nan
    measure_marked(one, tile, first, n, marked, beta)
    return True


def measure_into(one, tile, n, beta, out, place):
    """Write the values of one box with the first n boxes of a tile to out[place:]."""
    tile_of = tile[VALUES]
    crowded = 0  # blocks to measure without a screen, behind one in which most frames meet
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        wide = whole_vectors(m)
        if APART and crowded == 0:
            for j in range(wide):
                k = np.uint64(start + j)
                tile_of[k] = (tile[AREA, k] - tile[AREA, k]) + (one.area - one.area)
            marked = reaching(one, 1.0, 0.0, tile, start, wide)
            if marked != np.uint64(0):
                measure_marked(one, tile, start, wide, marked, beta)
                crowded = CROWDED if ones(marked) > MOST else 0
        else:
            measure(one, tile, start, wide, beta)
            crowded = max(crowded - 1, 0)
        for j in range(m):
            out[np.uint64(place + start + j)] = tile_of[np.uint64(start + j)]


def measure_extremes(one, tile, first, n, beta, values, place):
    """Leave all values as they are: the formulas of rotated boxes hold for all sizes."""


@device
def like_tiles(values):
    """Return an array of the dtype of tiles, which is float64 for all values."""
    return np.empty(0, np.float64)


def empty_tile_b(dtype, spare):
    """Return a tile for boxes of b and their values, with `spare` columns behind the last box."""
    return np.empty((VALUES + 1, COLS + spare), np.float64)


@device
def write_no_angles(n, tile):
    """Write nothing: packed boxes have their angles."""


def rank_few(lanes, m, tile, start, n, beta, values, indices, row):
    """Rank nothing: images of few columns are screened as all others are, for a value takes longer than the screen."""


def reach_few(lanes, one, beta, limit, met):
    """Reach nothing, as :func:`rank_few` ranks nothing."""
    return np.uint64(0)


def bound_to_geometry(box_at, fields, formulas, plain=None, dust=0.0):
    """Return the names that kernels are bound to for a geometry, by metric.

    Parameters
    ----------
    box_at
        Reads a box from a tile.
    fields
        The rows of a tile that a box takes.
    formulas
        The function of each metric.
    plain, dust
        The function of loops for each metric, if another, and the value up to which the loops take the first one too.
    """
    sizes = {"VALUES": fields, "ROWS": fields + 1, "FIELDS": fields, "FEW": 0}
    sizes |= {"ANGLES": True, "DISTANCE": False, "STREAMS": False}
    same = {one.__name__: one for one in (like_tiles, measure_extremes, none_above, rank_few, reach_few)}
    common = {"pack": copy_tile, "box_at": box_at, **same, **sizes}
    common["take"] = inlined(rebound(take, sizes, str(fields)))
    more = [device(rebound(one, common, str(fields))) for one in (empty_tile_b, rank_extremes)]
    common |= {one.__name__: one for one in more}
    bound = {}
    for name, formula in formulas.items():
        facts = ROTATED_METRICS[name]
        bound[name] = {**common, "value": formula, "SCREEN": facts.screen, "APART": facts.zero_apart}
        bound[name] |= {"plain": plain[name], "DUST": dust} if plain and name in plain else {"plain": formula}
    return with_loops(with_loops(with_loops(bound, measure), measure_marked), measure_into, measure_above)


device(measure_extremes)
device(rank_few)
device(reach_few)
