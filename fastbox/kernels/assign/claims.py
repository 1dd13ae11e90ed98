"""Claims: the anchors that a truth takes by their IoU, and the anchors that are ignored.

Functions that loop over candidates are bound anew for each source of candidates. Their common arguments are:

- `place`: the image, its number of anchors, the first part to go over, the end of these parts, and whether all areas
  are screenable;
- `state`: for each anchor its highest value, the truth of this value, and the truth that claims the anchor; and the
  anchors touched: claimed, ignored, or with a value of at least `floor`;
- `bounds`: the value to exceed, the value to keep, the floor, the truth's best, the rule's options.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign import candidates
from fastbox.kernels.assign.candidates import DISREGARDED, UNCLAIMED
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.masks import WIDTH, above, first_bits, lowest
from fastbox.kernels.codes import AT_ZERO, BY_UNION, FIRST, LAST, TIES
from fastbox.kernels.compare.measure import VALUES

# Bound anew for each source, and VALUES for each geometry; here these are a grid's.
window, measure, upper_bound = candidates.grid_window, candidates.grid_row, candidates.grid_upper_bound


def disregard(source, place, region, most, divisor, state, m, work):
    """Mark the anchors of which a region holds a greater share; return the number of anchors touched."""
    _, n, begin, end, screenable = place
    claimer, touched = state[2], state[3]
    zero = type(most)(0)
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, region, zero, screenable, work)
        for row in range(top, bottom):
            number, step, offset, width = measure(
                source, part, row, left, right, region, zero, screenable, divisor, work
            )
            for start in range(0, width, WIDTH):
                mask = above(work[VALUES], offset + start, WIDTH, most) & first_bits(width - start)
                while mask != np.uint64(0):
                    a = number + (start + lowest(mask)) * step
                    mask &= mask - np.uint64(1)
                    if claimer[a] == UNCLAIMED:
                        claimer[a] = DISREGARDED
                        touched[m] = a
                        m += 1
    return m


def highest(source, place, one, best, claimer, ignored, work):
    """Find a truth's highest IoU with an anchor that is not ignored, from the best so far on, in the dtype of this.

    The part of the highest upper bound comes first, and of that part the middle row: their values exclude nearly all
    other rows.
    """
    _, n, begin, end, screenable = place
    zero = type(best)(0)
    likely, most = begin, type(one.area)(-1)
    for part in range(begin, end):
        bound = upper_bound(source, part, one)
        if bound > most:
            likely, most = part, bound
    for turn in range(begin - 2, end):
        if turn == likely or (turn == begin - 2 and best > zero):
            continue
        part = turn if turn >= begin else likely
        top, bottom, left, right = window(source, part, n, one, best, screenable, work)
        if turn == begin - 2 and top < bottom:
            top = (top + bottom) >> 1
            bottom = top + 1
        for row in range(top, bottom):
            number, step, offset, width = measure(source, part, row, left, right, one, best, screenable, BY_UNION, work)
            for start in range(0, width, WIDTH):
                mask = above(work[VALUES], offset + start, WIDTH, best) & first_bits(width - start)
                while mask != np.uint64(0):
                    k = start + lowest(mask)
                    mask &= mask - np.uint64(1)
                    v = type(zero)(work[VALUES, offset + k])
                    if v > best and not (ignored and claimer[number + k * step] == DISREGARDED):
                        best = v
                        mask &= above(work[VALUES], offset + start, WIDTH, best)
    return best


@inlined
def claims_at(best, min_claim, flags):
    """Return whether a truth claims the anchors at its best."""
    return flags & (TIES | FIRST) != 0 and best >= min_claim and (best > type(best)(0) or flags & AT_ZERO != 0)


@device
def claim(a, g, floor, flags, state, m):
    """Let a truth claim an anchor, unless the anchor is ignored or keeps another truth."""
    held, _, claimer, touched = state
    if claimer[a] == UNCLAIMED:
        if not held[a] >= floor:
            touched[m] = a
            m += 1
        claimer[a] = g
    elif claimer[a] != DISREGARDED and flags & LAST:
        claimer[a] = g
    return m


@inlined
def keep(a, v, g, truth, bounds, state, m, first):
    """Keep an anchor's value if it is the highest, with its truth; return the numbers of anchors touched, and of one.

    That one is the first anchor at the truth's best, where the truth claims no other.
    """
    _, least, floor, best, flags = bounds
    held, owned, claimer, touched = state
    if v >= least and v > held[a]:
        if v >= floor and held[a] < floor and claimer[a] == UNCLAIMED:
            touched[m] = a
            m += 1
        held[a], owned[a] = v, truth
    if v == best and claimer[a] != DISREGARDED:
        if flags & TIES:
            m = claim(a, g, floor, flags, state, m)
        else:
            first = min(first, a)
    return m, first


def by_iou(source, place, one, g, truth, bounds, state, m, work):
    """Keep each anchor's highest value and its truth; let the truth claim the anchors at its own best.

    Returns the number of anchors touched, and the first one at the truth's best, where the truth claims no other; the
    number of anchors if there is none.
    """
    _, n, begin, end, screenable = place
    below = bounds[0]
    first = n
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, one, below, screenable, work)
        for row in range(top, bottom):
            number, step, offset, width = measure(
                source, part, row, left, right, one, below, screenable, BY_UNION, work
            )
            for start in range(0, width, WIDTH):
                whole = first_bits(width - start)
                mask = above(work[VALUES], offset + start, WIDTH, below) & whole
                if mask == whole:  # as in most windows of a grid
                    for k in range(start, min(start + WIDTH, width)):
                        v = work[VALUES, offset + k]
                        m, first = keep(number + k * step, v, g, truth, bounds, state, m, first)
                    continue
                while mask != np.uint64(0):
                    k = start + lowest(mask)
                    mask &= mask - np.uint64(1)
                    v = work[VALUES, offset + k]
                    m, first = keep(number + k * step, v, g, truth, bounds, state, m, first)
    return m, first
