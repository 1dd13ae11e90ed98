"""Boxes as a source of candidates: a part is some of the packed anchors of an image, and its rows are blocks of them.

`starts` cuts the boxes into sets, and `which` says which set each image has. The frames around the blocks are the last
row of the work space: of anchors that lie in order in their image, as those of a grid do, few blocks are near a truth.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.candidates import (
    COLUMNS,
    DISREGARDED,
    NUMBER,
    ROWS,
    STEP,
    X,
    Y,
    grid_exclude,
    grid_levels,
    grid_open,
    share,
)
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.stack import stack_tile
from fastbox.kernels.codes import BY_ANCHOR, BY_UNION, NEEDS_IOU, XYXY
from fastbox.kernels.compare import measure
from fastbox.kernels.compare.measure import BLOCK, VALUES, none_above, screen_terms, with_loops
from fastbox.kernels.geometry.elementary import epsilon
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.formulas import iof, larger, smaller
from fastbox.kernels.geometry.pack import box_at, pack, whole_lanes

PART = 1024  # anchors that truths go over one after the other: with their values, 40 KiB of float32
FRAME = 4  # numbers of the frame around a block
SIDE_BY_SIDE = 16  # boxes whose ends are compared in one register or two

# Bound anew for each geometry, as are `pack`, `box_at`, `none_above` and `iof`; here they are those of plain boxes. Of
# the work space, VALUES is the row that values are written to, behind the rows of a tile, and FRAMES that of frames.
FRAMES = VALUES + 1
_MEASURING = with_loops({"iou": METRICS["iou"]}, measure.measure, compiled=inlined)
measure_above = with_loops(_MEASURING, measure.measure_above, compiled=inlined)["iou"]["measure_above"]


@device
def frame_blocks(n, work):
    """Write the frame around each block of n boxes; invalid boxes are left out."""
    inf = work.dtype.type(np.inf)
    ends = stack_tile(work, FRAME, SIDE_BY_SIDE)
    for first in range(0, n, BLOCK):
        for l in range(SIDE_BY_SIDE):
            ends[0, l], ends[1, l], ends[2, l], ends[3, l] = inf, inf, -inf, -inf
        for start in range(first, first + whole_lanes(min(BLOCK, n - first)), SIDE_BY_SIDE):
            for l in range(SIDE_BY_SIDE):
                j = np.uint64(start + l)
                ends[0, l], ends[1, l] = smaller(work[0, j], ends[0, l]), smaller(work[1, j], ends[1, l])
                ends[2, l], ends[3, l] = larger(work[2, j], ends[2, l]), larger(work[3, j], ends[3, l])
        x0, y0, x1, y1 = inf, inf, -inf, -inf
        for l in range(SIDE_BY_SIDE):
            x0, y0 = smaller(ends[0, l], x0), smaller(ends[1, l], y0)
            x1, y1 = larger(ends[2, l], x1), larger(ends[3, l], y1)
        place = np.uint64(first // BLOCK * FRAME)
        work[FRAMES, place], work[FRAMES, place + np.uint64(1)] = x0, y0
        work[FRAMES, place + np.uint64(2)], work[FRAMES, place + np.uint64(3)] = x1, y1


@inlined
def meets_block(one, row, work):
    """Return whether the frame around a block meets a box; otherwise every value of the block is 0."""
    place = np.uint64(FRAME * row)
    wide = (work[FRAMES, place] < one.x1) & (work[FRAMES, place + np.uint64(2)] > one.x0)
    return wide & (work[FRAMES, place + np.uint64(1)] < one.y1) & (work[FRAMES, place + np.uint64(3)] > one.y0)


@device
def boxes_open(source, image, before, screenable, work):
    boxes, starts, which = source[0], source[1], source[2]
    first, last = starts[which[image]], starts[which[image] + 1]
    if before < 0 or which[before] != which[image]:
        screenable = pack(boxes, first, last, work)
        frame_blocks(last - first, work)
    return last - first, 0, (last - first + PART - 1) // PART, screenable


@device
def one_at_once(begin, end):
    """Return how many parts truths go over together."""
    return 1


@device
def boxes_window(source, part, n, one, below, screenable, work):
    return part * (PART // BLOCK), (min((part + 1) * PART, n) + BLOCK - 1) // BLOCK, 0, n


@device
def measure_shares(one, tile, first, n, divisor, zero):
    """Write the shares of n boxes from a place on that lie in a region, or the shares of the region in the boxes."""
    if divisor == BY_ANCHOR:
        for k in range(n):
            j = np.uint64(first + k)
            tile[VALUES, j] = iof(box_at(tile, j), one, zero)
    else:
        for k in range(n):
            j = np.uint64(first + k)
            tile[VALUES, j] = iof(one, box_at(tile, j), zero)


@device
def boxes_extremes(first, n, one, divisor, work):
    """Write again the values of n boxes from a place on that are beyond the safe range."""
    for j in range(first, first + n):
        work[VALUES, j] = share(box_at(work, j), one, divisor, work[VALUES, j])


@inlined
def measured(one, below, screenable, divisor, tile, first, n):
    """Write the values of at most a block of boxes that can exceed a value; return whether there are any."""
    zero, lanes = type(below)(0), whole_lanes(n)
    p, q = screen_terms(below if divisor == BY_UNION else zero, epsilon(below), NEEDS_IOU)
    if divisor == BY_UNION:
        if not measure_above(one, p, q, screenable, tile, first, lanes, zero):
            return False
    else:
        if screenable and none_above(one, p, q, tile, first, lanes):
            return False
        measure_shares(one, tile, first, lanes, divisor, zero)
    if not screenable:
        boxes_extremes(first, n, one, divisor, tile)
    return True


@inlined
def boxes_row(source, part, row, left, right, one, below, screenable, divisor, work):
    first = row * BLOCK
    n = min(BLOCK, right - first) if meets_block(one, row, work) else 0
    if n > 0 and not measured(one, below, screenable, divisor, work, first, n):
        n = 0
    return first, 1, first, n


@device
def boxes_levels(source):
    return source[3], source[2], source[4]


@device
def boxes_upper_bound(source, part, one):
    return one.area


@device
def boxes_anchor(source, image, number, work):
    return box_at(work, number)


@device
def boxes_exclude(n, claimer, touched, work):
    m = 0
    for a in range(n):
        if work[0, a] != work[0, a]:
            claimer[a] = DISREGARDED
            touched[m] = a
            m += 1
    return m


@inlined
def as_side(corners, row):
    """Return corners, in four rows of an array from one on, as a collection of boxes."""
    return XYXY, corners[row], corners[row + 1], corners[row + 2], corners[row + 3]


@device
def grid_unfold(source, image, before, screenable, work):
    """Pack all anchors of a grid as boxes."""
    planes, xs, ys, which = source[0], source[2], source[3], source[7]
    n, begin, end, _ = grid_open(source, image, before, screenable, work)
    if before >= 0 and which[before] == which[image]:
        return n, 0, (n + PART - 1) // PART, screenable
    corners = np.empty((4, n), xs.dtype)
    for part in range(begin, end):
        a = planes[part, NUMBER]
        for y in range(planes[part, Y], planes[part, Y] + planes[part, ROWS]):
            for x in range(planes[part, X], planes[part, X] + planes[part, COLUMNS]):
                corners[0, a], corners[1, a], corners[2, a], corners[3, a] = xs[0, x], ys[0, y], xs[1, x], ys[1, y]
                a += planes[part, STEP]
    screenable = pack(as_side(corners, 0), 0, n, work)
    frame_blocks(n, work)
    return n, 0, (n + PART - 1) // PART, screenable


BOXES = {
    "WORK": FRAMES + 1,
    "opened": boxes_open,
    "parts_at_once": one_at_once,
    "window": boxes_window,
    "measure": boxes_row,
    "upper_bound": boxes_upper_bound,
    "anchor_of": boxes_anchor,
    "levels_of": boxes_levels,
    "exclude": boxes_exclude,
}
UNFOLDED = {**BOXES, "opened": grid_unfold, "levels_of": grid_levels, "exclude": grid_exclude}
