"""Suppression: the boxes of a segment (an image, or a class of an image) that are kept, and their scores.

A box is kept if no kept box before it, by score, has an IoU with it above the threshold. This fixes the answer, not the
order of the work: boxes are decided in the order of the tree, each after the boxes before it that it overlaps, so any
cut of a segment on any number of threads gives the same.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.build.types import f8, group, i8, readonly, side, vector
from fastbox.kernels.geometry.elementary import exp
from fastbox.kernels.geometry.extremes import iou_of, valid
from fastbox.kernels.geometry.pack import box_at
from fastbox.kernels.geometry.safe_range import is_screenable
from fastbox.kernels.suppress.tree import (
    GONE,
    NEAR,
    PAD,
    WIDTH,
    corners,
    given,
    meets,
    nearby,
    places_of,
    reached,
    tree_of,
)

OPEN, KEPT = range(2)  # the state of a box that is not gone


@inlined
def unowned(tile, state, hits, tree):
    """Return arrays that the caller holds without their owners, whose references each call would count."""
    n, bounds, below, root, share, screenable = tree
    lent = n, moved(bounds, 0), moved(below, 0), root, share, screenable
    return moved(tile, 0), moved(state, 0), moved(hits, 0), lent


@device
def hard_nms(tree, tile, keys, rows, first, last, how, state, hits, out):
    """Keep or drop the boxes [first, last) and the boxes that they wait for.

    Box p waits for the boxes of higher rank whose IoU with p is above the threshold; the first of all boxes is decided
    at once. A box that is kept drops the boxes that it suppresses. Threads may decide one box twice, with one result.
    """
    tile, state, hits, tree = unowned(tile, state, hits, tree)
    t = how[0]
    waiting = np.empty(keys.size, np.int64)
    few_bounds, few_below = np.empty((6, NEAR), np.float64), np.empty(NEAR, np.int64)
    leaf, near = -1, tree
    for begin in range(first, last):
        if state[np.uint64(begin)] == OPEN and begin // WIDTH != leaf:
            leaf = begin // WIDTH
            near = nearby(tree, leaf, few_bounds, few_below)
        depth = 0
        waiting[0] = begin
        while depth >= 0:
            p = np.uint64(waiting[depth])
            if state[p] != OPEN:
                depth -= 1
                continue
            own = np.int64(p) // WIDTH == leaf
            found = reached(near if own else tree, tile, np.int64(p), t, state, hits)
            dropped, leader, later = False, -1, 0
            for k in range(found):
                q = np.uint64(hits[np.uint64(k)])  # unsigned: no test for an index from the end
                if (keys[q] < keys[p]) | ((keys[q] == keys[p]) & (rows[q] > rows[p])):
                    hits[np.uint64(later)] = np.int64(q)
                    later += 1
                elif state[q] == KEPT:
                    dropped = True
                elif leader < 0 or (keys[q] > keys[leader]) | ((keys[q] == keys[leader]) & (rows[q] < rows[leader])):
                    leader = np.int64(q)
            if dropped:
                state[p] = GONE
            elif leader >= 0:
                depth += 1
                waiting[depth] = leader
            else:
                state[p] = KEPT
                for k in range(later):
                    state[np.uint64(hits[np.uint64(k)])] = GONE
    for place in range(first, last):
        p = np.uint64(place)
        if state[p] == KEPT:
            out[np.uint64(rows[p])] = keys[p]


@device
def sift_down(heap, n, place, filed, rows):
    """Move a box down the heap until no box below it comes before it: by score, then by row."""
    p = heap[place]
    while 2 * place + 1 < n:
        below = 2 * place + 1
        q = heap[below]
        if below + 1 < n:
            r = heap[below + 1]
            if (filed[r] > filed[q]) | ((filed[r] == filed[q]) & (rows[r] < rows[q])):
                below, q = below + 1, r
        if (filed[p] > filed[q]) | ((filed[p] == filed[q]) & (rows[p] < rows[q])):
            break
        heap[place] = q
        place = below
    heap[place] = p


@device
def soft_nms(tree, tile, keys, rows, first, last, how, state, hits, out):
    """Take the best box, lower the scores of the boxes that it overlaps, and so on (Bodla et al., ICCV 2017).

    Scores only fall, so the heap may hold old ones: a box on top whose score has fallen since goes down again.
    """
    tile, state, hits, tree = unowned(tile, state, hits, tree)
    t, gaussian, sigma, least = how
    n = last
    heap, filed = np.arange(n), keys.copy()
    for place in range(n // 2 - 1, -1, -1):
        sift_down(heap, n, place, filed, rows)
    while n:
        p = heap[0]
        if keys[p] < filed[p]:
            filed[p] = keys[p]
        elif keys[p] >= least:
            out[rows[p]] = keys[p]
            state[p] = GONE
            n -= 1
            heap[0] = heap[n]
            for k in range(reached(tree, tile, p, t, state, hits)):
                overlap = np.float64(iou_of(box_at(tile, p), box_at(tile, hits[k]), t))
                factor = exp(-(overlap * overlap) / sigma) if gaussian else 1.0 - overlap
                keys[hits[k]] = keys[hits[k]] * factor if factor > 0.0 else 0.0  # of an infinite score too
        else:
            break
        sift_down(heap, n, 0, filed, rows)


resolve = hard_nms  # Kernel binds soft_nms in its place where scores are to be lowered


def resolve_arranged(places, tree, span, how, state, out):
    """Resolve the boxes of a span of a segment that was arranged."""
    (tile, keys, rows), (first, last) = places, span
    resolve(tree, tile, keys, rows, first, last, how, state, np.empty(keys.size, np.int64), out)


def resolve_segments(boxes, scores, segments, span, most, how, out):
    """Resolve the segments of a span that have at most `most` boxes, each in one run; skip the others.

    Segments are the rows of their members, and the bounds of each segment among them.
    """
    (members, bounds), (first, last) = segments, span
    T = boxes[1].dtype.type
    tile = np.empty((6, most + PAD), T)
    keys, rows, hits = np.empty(most, np.float64), np.empty(most, np.int64), np.empty(most, np.int64)
    state, nodes, below = np.empty(most, np.uint8), np.empty((6, 0), np.float64), np.empty(0, np.int64)
    for segment in range(first, last):
        if bounds[segment + 1] - bounds[segment] > most:
            continue
        n, screenable = 0, True
        for j in range(bounds[segment], bounds[segment + 1]):
            row = members[j]
            box = corners(boxes, row)
            if box.area != box.area and not valid(box):
                continue
            if not meets(box):
                out[row] = scores[row]
            elif scores[row] == scores[row]:
                tile[0, n], tile[1, n], tile[2, n], tile[3, n], tile[4, n] = box.x0, box.y0, box.x1, box.y1, box.area
                keys[n], rows[n], state[n] = scores[row], row, OPEN
                screenable &= is_screenable(box.area)
                n += 1
        tile[4, n : n + PAD] = T(np.nan)
        tree = n, nodes, below, -1, 0.0, screenable
        resolve(tree, tile, keys[:n], rows, 0, n, how, state, hits, out)  # tuples would cost 4% on small segments


def _how(t):
    """Return the types of the threshold; and of whether a Gaussian lowers scores, its sigma, the least score kept."""
    return group(t, types.boolean, f8, f8)


METHODS = {"hard": {"resolve": hard_nms}, "soft": {"resolve": soft_nms}}


def arranged_signature(t, tile):
    """Return the types of the arguments of `resolve_arranged`, given the type of the numbers of a tile."""
    return types.void(places_of(tile), tree_of(t), group(i8, i8), _how(t), vector(types.uint8), vector(f8))


def segments_signature(t, boxes):
    """Return the types of the arguments of `resolve_segments`, given the type of boxes."""
    return types.void(boxes, given, group(vector(i8), readonly(i8)), group(i8, i8), i8, _how(t), vector(f8))


RESOLVE_ARRANGED = Kernel(resolve_arranged, lambda t: arranged_signature(t, t), METHODS)
RESOLVE_SEGMENTS = Kernel(resolve_segments, lambda t: segments_signature(t, side(t)), METHODS)
