"""A tree of the boxes of a segment, to find those that overlap one enough without the others.

Boxes are sorted by kind of size and shape, then along a Hilbert curve; a leaf holds 16 boxes in this order, a node 16
leaves or nodes. What is found depends on the bounds of nodes alone, which are exact: the order only says how soon.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import eight, lowest
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import f8, group, i8, side, vector
from fastbox.kernels.geometry.extremes import robust_iou, valid
from fastbox.kernels.geometry.formulas import Box, iou, larger, smaller
from fastbox.kernels.geometry.pack import box_at, corners_of
from fastbox.kernels.geometry.safe_range import is_screenable, safe_area
from fastbox.kernels.suppress.curve import PLACES, end_of_run, is_spread, sort_codes, write_codes

GONE = 2  # the state of a box that need not be found any more

WIDTH = 16  # boxes of a leaf, and nodes of a node: a constant count, of which no vector register leaves a remainder
PAD = WIDTH  # places behind the last box that may be measured
DEPTH = 8 * WIDTH  # nodes that wait at most, in a tree of 2^32 boxes
NEAR = 2 * WIDTH  # nodes of a tree of the leaves near one leaf: two groups

LONG = 4 * WIDTH  # boxes of one code that are sorted again, within their own range
ROUNDS = 3  # of sorting, in which the curve tells boxes apart that are 2^39 times as near as others

# Rows of the bounds of nodes: of the boxes less a share of their sides, and of their widths.
X0, Y0, X1, Y1, LEAST_WIDTH, MOST_WIDTH = range(6)


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
def width_of(x0, x1, share):
    """Return the width of a box; 1 where no share of it is asked for, which it may be too large for."""
    return np.float64(x1) - np.float64(x0) if share > 0.0 else 1.0


@device
def bound(bounds, node, x0, y0, x1, y1, least, most):
    """Widen the bounds of a node."""
    k = np.uint64(node)
    bounds[X0, k], bounds[Y0, k] = smaller(bounds[X0, k], x0), smaller(bounds[Y0, k], y0)
    bounds[X1, k], bounds[Y1, k] = larger(bounds[X1, k], x1), larger(bounds[Y1, k], y1)
    bounds[LEAST_WIDTH, k] = smaller(bounds[LEAST_WIDTH, k], least)
    bounds[MOST_WIDTH, k] = larger(bounds[MOST_WIDTH, k], most)


@device
def grown(tile, n, share):
    """Return the bounds of all nodes, what is below each, and the first node of the root.

    Levels follow one another from the leaves up, each filled up to whole nodes that nothing meets. Below a node are
    the first of its nodes, or -1 less the first of its boxes.
    """
    total, level = 0, n
    while True:
        level = max((level + WIDTH - 1) // WIDTH, 1)
        total += (level + WIDTH - 1) // WIDTH * WIDTH
        if level <= WIDTH:
            break
    bounds, below = np.empty((6, total), np.float64), np.empty(total, np.int64)
    for r in range(6):
        bounds[r] = -np.inf if (r == X1) | (r == Y1) | (r == MOST_WIDTH) else np.inf
    for start in range(0, n, WIDTH):
        x0, y0, x1, y1, least, most = np.inf, np.inf, -np.inf, -np.inf, np.inf, -np.inf
        for j in range(start, min(start + WIDTH, n)):
            k = np.uint64(j)
            (u0, u1), (v0, v1) = shrunk(tile[0, k], tile[2, k], share), shrunk(tile[1, k], tile[3, k], share)
            width = width_of(tile[0, k], tile[2, k], share)
            x0, y0, x1, y1 = smaller(x0, u0), smaller(y0, v0), larger(x1, u1), larger(y1, v1)
            least, most = smaller(least, width), larger(most, width)
        bound(bounds, start // WIDTH, x0, y0, x1, y1, least, most)
        below[start // WIDTH] = -1 - start
    first, level = 0, max((n + WIDTH - 1) // WIDTH, 1)
    while level > WIDTH:
        after = first + (level + WIDTH - 1) // WIDTH * WIDTH
        for j in range(level):
            k, parent = first + j, after + j // WIDTH
            x0, y0, x1, y1 = bounds[X0, k], bounds[Y0, k], bounds[X1, k], bounds[Y1, k]
            bound(bounds, parent, x0, y0, x1, y1, bounds[LEAST_WIDTH, k], bounds[MOST_WIDTH, k])
            below[parent] = first + j // WIDTH * WIDTH
        first, level = after, (level + WIDTH - 1) // WIDTH
    return bounds, below, first


@device
def fill(boxes, scores, members, places, first, last, beyond):
    """Write the boxes [first, last) of a segment to their places, in the order of their codes."""
    tile, keys, rows, work = places
    for j in range(first, last):
        k = np.uint64(j)
        row = members[np.uint64(work[0, k] & PLACES)]
        box = corners(boxes, row)
        tile[0, k], tile[1, k], tile[2, k], tile[3, k] = box.x0, box.y0, box.x1, box.y1
        tile[4, k] = box.area if beyond else (box.x1 - box.x0) * (box.y1 - box.y0)
        keys[k], rows[k] = scores[np.uint64(row)], row


@device
def sort(boxes, scores, members, places, n, beyond):
    """Sort the n boxes of a tile, given their places among the members in the first row of the work space.

    Boxes of one code are sorted again within their own range: those of a cluster far from the others.
    """
    tile, _, _, work = places
    codes, spare = work[0, :n], work[1, :n]
    write_codes(tile, codes, 0, n)
    sort_codes(codes, spare)
    fill(boxes, scores, members, places, 0, n, beyond)
    again = ROUNDS - 1
    while again:
        again, first, sorted_again = again - 1, 0, False
        while first < n:
            last = end_of_run(codes, first)
            if last - first >= LONG and is_spread(tile, first, last):
                write_codes(tile, codes, first, last)
                sort_codes(codes[first:last], spare[first:last])
                fill(boxes, scores, members, places, first, last, beyond)
                sorted_again = True
            first = last
        again = again if sorted_again else 0


def arrange(boxes, scores, members, t, out, places):
    """Sort boxes that can meet others into a tree; the others keep their score in `out`.

    Writes the boxes to the places: a tile, scores, rows, and work space. Returns the tree for `reached`: the number of
    boxes, the bounds of nodes, what is below them, the first node of the root, the share that boxes are shrunk by, and
    whether all areas are screenable.
    """
    tile, _, _, work = places
    screenable, beyond, n = True, False, 0
    for place in range(members.size):
        row = np.uint64(members[np.uint64(place)])
        box = corners(boxes, row)
        if box.area != box.area and not valid(box):
            continue
        if not meets(box):
            out[row] = scores[row]
        elif scores[row] == scores[row]:
            k = np.uint64(n)
            tile[0, k], tile[1, k], tile[2, k], tile[3, k] = box.x0, box.y0, box.x1, box.y1
            work[0, k] = place
            screenable &= is_screenable(box.area)
            beyond |= box.area != box.area
            n += 1
    share = max(np.float64(t) - 2.0**-10, 0.0) if screenable else 0.0
    sort(boxes, scores, members, places, n, beyond)
    for r in range(5):
        for k in range(n, n + PAD):
            tile[r, k] = np.nan
    bounds, below, root = grown(tile, n, share)
    return n, bounds, below, root, share, screenable


@inlined
def measure_block(one, p, tile, start, t, met):
    """Write the IoUs of box p with a block of a tile, and return whether one of another box is above t."""
    hit = np.int32(0)
    for j in range(WIDTH):
        met[j] = iou(one, box_at(tile, np.uint64(start + j)), type(t)(0))
        hit = np.int32(hit | np.int32((met[j] > t) & (np.int32(p - start) != j)))
    return hit != 0


@inlined
def list_run(tile, one, p, run, t, screenable, state, hits, found):
    """List the boxes of a run that box p reaches, behind the boxes found; return the number of boxes found."""
    first, last = run
    met = stack_array(tile, WIDTH)
    for start in range(first, last, WIDTH):
        n = min(WIDTH, last - start)
        if not screenable:
            for j in range(n):
                met[j] = robust_iou(one, box_at(tile, start + j))
        elif not measure_block(one, p, tile, start, t, met):
            continue
        for j in range(n):
            q = start + j
            hits[np.uint64(found)] = q
            found += np.int64((met[np.uint64(j)] > t) & (state[np.uint64(q)] != GONE) & (q != p))
    return found


@inlined
def mark_met(bounds, first, sides, widths, share, near):
    """Mark which nodes of a group may have boxes that boxes within these sides reach, of widths from one to another."""
    ((u0, u1), (v0, v1)), (least, most) = sides, widths
    for j in range(WIDTH):
        k = np.uint64(first + j)
        meets = (bounds[X0, k] < u1) & (bounds[X1, k] > u0) & (bounds[Y0, k] < v1) & (bounds[Y1, k] > v0)
        alike = (not bounds[LEAST_WIDTH, k] * share > most) & (not least * share > bounds[MOST_WIDTH, k])
        near[np.uint64(j)] = meets & alike


@device
def nearby(tree, leaf, few_bounds, few_below):
    """Return a tree of the leaves with boxes that those of one leaf may reach; the whole tree if there are many.

    The boxes of a leaf lie close together, and search the tree above the leaves once for all.
    """
    n, bounds, below, root, share, screenable = tree
    if below.size == 0:
        return tree
    k = np.uint64(leaf)
    sides = (bounds[X0, k], bounds[X1, k]), (bounds[Y0, k], bounds[Y1, k])
    widths = bounds[LEAST_WIDTH, k], bounds[MOST_WIDTH, k]
    near, waiting = stack_array(np.empty(0, np.uint8), WIDTH), stack_array(below, DEPTH)
    found, count, depth = stack_array(below, NEAR), 0, 1
    waiting[0] = root
    while depth:
        depth -= 1
        first = waiting[np.uint64(depth)]
        mark_met(bounds, first, sides, widths, share, near)
        for half in range(0, WIDTH, 8):
            marked = eight(near, half)
            while marked != np.uint64(0):
                k = np.uint64(first + half + (lowest(marked) >> 3))
                marked &= marked - np.uint64(1)
                if below[k] >= 0:
                    waiting[np.uint64(depth)] = below[k]
                    depth += 1
                elif count == NEAR - 1:
                    return tree
                else:
                    found[np.uint64(count)] = k
                    count += 1
    few_bounds[X0] = np.inf  # of nodes that nothing meets
    for j in range(count):
        node, place = np.uint64(found[j]), np.uint64(j + (j >= WIDTH - 1))
        few_below[place] = below[node]
        for r in range(6):
            few_bounds[r, place] = bounds[r, node]
    if count >= WIDTH:  # the last node of the first group meets all boxes, and leads to the second group
        few_below[WIDTH - 1] = WIDTH
        for r in range(6):
            few_bounds[r, WIDTH - 1] = np.inf if (r == X1) | (r == Y1) | (r == MOST_WIDTH) else -np.inf
    return n, few_bounds, few_below, 0, share, screenable


@device
def reached(tree, tile, p, t, state, hits):
    """List the boxes, except those that are gone, whose IoU with box p is above t; return their number.

    A tree without nodes is one run of boxes.
    """
    n, bounds, below, root, share, screenable = tree
    one = box_at(tile, p)
    sides = shrunk(one.x0, one.x1, share), shrunk(one.y0, one.y1, share)
    width = width_of(one.x0, one.x1, share)
    near, waiting = stack_array(state, WIDTH), stack_array(hits, DEPTH)
    found, depth = 0, 1
    waiting[0] = root
    while depth:
        depth -= 1
        first = waiting[np.uint64(depth)]
        if first < 0:
            run = -1 - first, n if below.size == 0 else min(WIDTH - 1 - first, n)
            found = list_run(tile, one, p, run, t, screenable, state, hits, found)
            continue
        mark_met(bounds, first, sides, (width, width), share, near)
        for half in range(0, WIDTH, 8):
            marked = eight(near, half)
            while marked != np.uint64(0):
                waiting[np.uint64(depth)] = below[np.uint64(first + half + (lowest(marked) >> 3))]
                depth += 1
                marked &= marked - np.uint64(1)
    return found


given = types.Array(f8, 1, "C", readonly=True)


def tree_of(t):
    """Return the types of a tree."""
    return group(i8, vector(f8, 2), vector(i8), i8, f8, types.boolean)


def places_of(t):
    """Return the types of places: a tile, scores, rows."""
    return group(vector(t, 2), vector(f8), vector(i8))


ARRANGE = Kernel(
    arrange,
    lambda t: tree_of(t)(
        side(t), given, vector(i8), t, vector(f8), group(vector(t, 2), vector(f8), vector(i8), vector(i8, 2))
    ),
    {"": {}},
)
