"""Anchors in lanes: where an image has no more than some thousand, all of them meet each truth once, block by block.

Each lane keeps its anchor's highest IoU and the truth of it. That takes less time than to look for the truth's best
first, and then again for all values that matter.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.blocks import meets_block
from fastbox.kernels.assign.candidates import UNCLAIMED
from fastbox.kernels.assign.claims import claim, claims_at
from fastbox.kernels.build.bits import from_ordered_bits, ordered_bits, ordered_view
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.masks import WIDTH, above, first_bits, lowest
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.codes import FIRST
from fastbox.kernels.compare.measure import BLOCK
from fastbox.kernels.geometry.formulas import iou, larger
from fastbox.kernels.geometry.pack import box_at, whole_lanes

MOST = 2048  # anchors that meet their truths together: as many as a detector proposes for an image
BLOCKS = MOST // BLOCK


@inlined
def claim_best(n, g, tops, top, flags, state, m, values):
    """Let a truth claim the anchors at its best, or the first of them; return the number of anchors touched."""
    below = from_ordered_bits(type(top)(top - type(top)(1)))
    for first in range(0, n, BLOCK):
        if tops[np.uint64(first) // np.uint64(BLOCK)] != top:
            continue
        mask = above(values, first, WIDTH, below) & first_bits(n - first)
        while mask != np.uint64(0):
            m = claim(first + lowest(mask), g, type(below)(np.nan), flags, state, m)  # no value is there to reach it
            if flags & FIRST:
                return m
            mask &= mask - np.uint64(1)
    return m


@inlined
def row_of(owner, start):
    """Return the row of a truth of an image whose truths begin at a row; -1 for none."""
    return start + np.int64(owner) if owner >= type(owner)(0) else -1


@device
def meet_truths(n, start, tile, reached, rule, sparse, state, m, work):
    """Let n anchors meet all truths of a tile, whose rows begin at one, and truths claim the anchors at their best.

    Anchors are touched that a truth claims, or whose value is at least the floor. Writes each valid truth's best to
    `reached`, and the values and truths of all anchors, or of those touched. Returns the number of anchors touched, and
    whether all this is done: if a truth claims the anchors that it does not overlap, no anchor has a value or a truth.
    """
    (flags, min_claim, floor), (held, owned, claimer, touched), before = rule, state, m
    T, lanes = type(min_claim), whole_lanes(n)
    zero = T(0)
    # Made here, for then the compiler knows that these overlap neither each other nor the work space.
    values, highest, owners = stack_array(work, MOST), stack_array(work, MOST), stack_array(work, MOST)
    tops = stack_array(ordered_view(work), BLOCKS)
    for k in range(lanes):
        highest[np.uint64(k)], owners[np.uint64(k)] = zero, T(-1)
    for g in range(reached.size):
        one = box_at(tile, g)
        top = ordered_bits(zero)
        if one.x0 != one.x0:
            continue
        for first in range(0, n, BLOCK):
            row, here = np.uint64(first) // np.uint64(BLOCK), ordered_bits(zero)
            if meets_block(one, row, work):
                for k in range(min(BLOCK, lanes - first)):
                    j = np.uint64(first + k)
                    met, most = iou(one, box_at(work, j), zero), highest[j]
                    values[j] = met
                    owners[j] = T(g) if met > most else owners[j]
                    highest[j] = met if met > most else most
                    here = larger(here, ordered_bits(met if met > zero else zero))
            tops[row] = here
            top = larger(top, here)
        best = from_ordered_bits(top)
        reached[g] = best
        if claims_at(best, min_claim, flags):
            if best == zero:
                for j in range(before, m):
                    claimer[touched[j]] = UNCLAIMED
                if not sparse:
                    held[:], owned[:] = zero, -1
                return before, False
            m = claim_best(n, g, tops, top, flags, state, m, values)
    least = np.nextafter(floor, T(-np.inf))
    for first in range(0, n, WIDTH):
        mask = above(highest, first, WIDTH, least) & first_bits(n - first)
        while mask != np.uint64(0):
            a = first + lowest(mask)
            mask &= mask - np.uint64(1)
            if claimer[a] == UNCLAIMED:
                touched[m] = a
                m += 1
    if sparse:
        for j in range(m):
            a = np.uint64(touched[j])
            held[a], owned[a] = highest[a], row_of(owners[a], start)
    else:
        for k in range(n):
            a = np.uint64(k)
            held[a], owned[a] = highest[a], row_of(owners[a], start)
    return m, True


IN_LANES = {"AT_ONCE": MOST, "meet_truths": meet_truths}
