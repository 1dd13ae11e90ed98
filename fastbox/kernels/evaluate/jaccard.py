"""CrowdHuman's Jaccard index: matchings of greatest weight between the detections above a score and the truths."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.common.sorting import longest_of
from fastbox.kernels.evaluate.overlap import Sides, four
from fastbox.kernels.evaluate.regions import share

u4 = types.uint32
i4 = types.int32

CLOSE = 1e-12  # sums of IoUs that differ less are equal
UNREACHED = -1e30


@device
def augment(row, starts, near, weights, mates, owners, worth, gain, steps):
    """Change a matching of greatest weight to one that may have another row: along the path that gains most.

    `near` and `weights` are the edges of each row, `mates` the column of each row, `owners` the row of each column and
    `worth` the weight of this edge; -1 is none. `gain` and the three rows of `steps` are room for each column.
    """
    gain[:] = UNREACHED
    came, queue, waits = steps[0], steps[1], steps[2]
    waits[:] = 0
    head, count, base, source, columns = 0, 0, 0.0, row, len(owners)
    while True:
        for edge in range(starts[source], starts[source + 1]):
            column, total = near[edge], base + weights[edge]
            if total > gain[column] + CLOSE:
                gain[column], came[column] = total, source
                if not waits[column]:
                    queue[(head + count) % columns] = column
                    waits[column] = 1
                    count += 1
        while count and owners[queue[head]] < 0:
            waits[queue[head]] = 0
            head, count = (head + 1) % columns, count - 1
        if not count:
            break
        column = queue[head]
        waits[column] = 0
        head, count = (head + 1) % columns, count - 1
        source, base = owners[column], gain[column] - worth[column]
    best, column = CLOSE, -1
    for place in range(columns):
        total = gain[place] if owners[place] < 0 else gain[place] - worth[place]
        if total > best:
            best, column = total, place
    if column < 0:
        return
    if owners[column] >= 0:
        mates[owners[column]] = -1
    while True:
        source = came[column]
        before = mates[source]
        mates[source], owners[column] = column, source
        for edge in range(starts[source], starts[source + 1]):
            if near[edge] == column:
                worth[column] = weights[edge]
        if source == row:
            break
        column = before


@device
def unmatched(partners, aside, count):
    """Count the matched of the first boxes, and those that are neither matched nor aside."""
    met, alone = 0, 0
    for place in range(count):
        if partners[place] >= 0:
            met += 1
        elif not aside[place]:
            alone += 1
    return met, alone


@device
def tally(threshold, levels, scores, aside, ious, flags, counts):
    """Count matches, truths and detections of an image among the detections above each level of scores.

    `scores` descend; `aside` are flags of detections and `flags` of truths that lie in regions, `ious` of both.
    """
    rows, columns = ious.shape
    starts = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        starts[row + 1] = starts[row]
        for column in range(columns):
            starts[row + 1] += ious[row, column] >= threshold
    near, weights = np.empty(starts[rows], np.int64), np.empty(starts[rows], np.float64)
    for row in range(rows):
        edge = starts[row]
        for column in range(columns):
            if ious[row, column] >= threshold:
                near[edge], weights[edge] = column, ious[row, column]
                edge += 1
    mates, owners = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    worth, gain, steps = np.zeros(columns), np.empty(columns), np.empty((3, columns), np.int64)
    row = 0
    for level in range(len(levels) - 1, -1, -1):
        while row < rows and scores[row] > levels[level]:
            if starts[row] < starts[row + 1]:
                augment(row, starts, near, weights, mates, owners, worth, gain, steps)
            row += 1
        met, missed = unmatched(owners, flags, columns)
        _, false = unmatched(mates, aside, row)
        counts[level, 0], counts[level, 1], counts[level, 2] = met, met + missed, met + false


def jaccard(detections, truths, rule, span, outputs):
    """Count matches, truths and detections of each image and model among the detections above each level of scores.

    Detections and truths are matched one to one at the greatest sum of IoUs that reach the threshold. Detections and
    truths that stay alone and lie in an ignored truth are not counted. `firsts` has the first row of `counts` of each
    image, whose models come ascending; `alone` gets the truths of each image for models without detections there.
    """
    (x, y, w, h), codes, scores, outside, bounds, order = detections
    (left, top, width, height), hidden, truth_bounds, truth_order = truths
    (threshold, levels), (first, last), (firsts, counts, alone) = rule, span, outputs
    many = longest_of(truth_bounds, first, last)
    regular, regions = np.empty(many, np.int64), np.empty(many, np.int64)
    flags = np.empty(many, np.bool_)
    for image in range(first, last):
        known, ignored = 0, 0
        for j in range(truth_bounds[image], truth_bounds[image + 1]):
            t = truth_order[j]
            if hidden[t] & np.uint32(1):
                regions[ignored] = t
                ignored += 1
            else:
                regular[known] = t
                known += 1
        alone[image] = 0
        for j in range(known):
            t, inside = regular[j], 0.0
            box = Sides(left[t], top[t], width[t], height[t])
            for c in range(ignored):
                r = regions[c]
                inside = max(inside, share(box, Sides(left[r], top[r], width[r], height[r]), True))
            flags[j] = inside >= threshold
            alone[image] += not flags[j]
        lo, own = bounds[image], firsts[image]
        while lo < bounds[image + 1]:
            hi = lo
            while hi < bounds[image + 1] and codes[order[hi]] == codes[order[lo]]:
                hi += 1
            ranked, aside = np.empty(hi - lo, np.float64), np.empty(hi - lo, np.bool_)
            ious = np.empty((hi - lo, known), np.float64)
            for place in range(lo, hi):
                row, inside = order[place], 0.0
                box = Sides(x[row], y[row], w[row], h[row])
                for j in range(known):
                    t = regular[j]
                    ious[place - lo, j] = share(box, Sides(left[t], top[t], width[t], height[t]), False)
                for c in range(ignored):
                    r = regions[c]
                    inside = max(inside, share(box, Sides(left[r], top[r], width[r], height[r]), True))
                ranked[place - lo] = scores[row]
                aside[place - lo] = inside >= threshold or outside[row] & np.uint32(1) != 0
            tally(threshold, levels, ranked, aside, ious, flags, counts[own])
            lo, own = hi, own + 1


def _signature(t):
    detections = group(four(t), readonly(i8), readonly(t), readonly(u4), readonly(i8), readonly(i8))
    truths = group(four(t), readonly(u4), readonly(i8), readonly(i8))
    outputs = group(readonly(i8), vector(i4, 3), vector(i4))
    return types.void(detections, truths, group(t, readonly(t)), group(i8, i8), outputs)


JACCARD = Kernel(jaccard, _signature, {"": {}})
