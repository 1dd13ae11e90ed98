"""Claims: the anchors that a truth takes by their IoU, and the anchors that are ignored.

Functions that loop over candidates are bound anew for each source of candidates. Their common arguments are:

- `place`: the image, its number of anchors, its first part, the end of its parts, and whether all areas are screenable;
- `state`: for each anchor its highest value, the truth of this value, and the truth that claims the anchor; and the
  anchors touched: claimed, ignored, or with a value of at least `floor`;
- `bounds`: the value to exceed, the value to keep, the floor, the truth's best, the rule's options.
"""

from __future__ import annotations

from fastbox.kernels.assign import candidates
from fastbox.kernels.assign.candidates import DISREGARDED, UNCLAIMED
from fastbox.kernels.build.device import device
from fastbox.kernels.codes import BY_UNION, FIRST, LAST, TIES
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
            for k in range(width):
                a = number + k * step
                if work[VALUES, offset + k] > most and claimer[a] == UNCLAIMED:
                    claimer[a] = DISREGARDED
                    touched[m] = a
                    m += 1
    return m


def highest(source, place, one, zero, claimer, ignored, work):
    """Find a truth's highest IoU with an anchor that is not ignored, from zero on, in the dtype of zero.

    The part of the highest upper bound comes first, and of that part the middle row: their values exclude nearly all
    other rows.
    """
    _, n, begin, end, screenable = place
    best = zero
    likely, most = begin, type(one.area)(-1)
    for part in range(begin, end):
        bound = upper_bound(source, part, one)
        if bound > most:
            likely, most = part, bound
    for turn in range(begin - 2, end):
        if turn == likely:
            continue
        part = turn if turn >= begin else likely
        top, bottom, left, right = window(source, part, n, one, best, screenable, work)
        if turn == begin - 2 and top < bottom:
            top = (top + bottom) >> 1
            bottom = top + 1
        for row in range(top, bottom):
            number, step, offset, width = measure(source, part, row, left, right, one, best, screenable, BY_UNION, work)
            for k in range(width):
                v = type(zero)(work[VALUES, offset + k])
                if v > best and not (ignored and claimer[number + k * step] == DISREGARDED):
                    best = v
    return best


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


def by_iou(source, place, one, g, truth, bounds, state, m, work):
    """Keep each anchor's highest value and its truth; let the truth claim the anchors at its own best."""
    _, n, begin, end, screenable = place
    below, keep, floor, best, flags = bounds
    held, owned, claimer, touched = state
    lowest = n
    for part in range(begin, end):
        top, bottom, left, right = window(source, part, n, one, below, screenable, work)
        for row in range(top, bottom):
            number, step, offset, width = measure(
                source, part, row, left, right, one, below, screenable, BY_UNION, work
            )
            for k in range(width):
                v = work[VALUES, offset + k]
                if v > below:
                    a = number + k * step
                    if v >= keep and v > held[a]:
                        if v >= floor and held[a] < floor and claimer[a] == UNCLAIMED:
                            touched[m] = a
                            m += 1
                        held[a], owned[a] = v, truth
                    if v == best and claimer[a] != DISREGARDED:
                        if flags & TIES:
                            m = claim(a, g, floor, flags, state, m)
                        else:
                            lowest = min(lowest, a)
    if flags & FIRST and lowest < n:
        m = claim(lowest, g, floor, flags, state, m)
    return m
