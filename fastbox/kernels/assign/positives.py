"""The points that a rule makes positive: lists of the best, claims, and the rows of a result."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import f8, group, i8, int32, readonly, side, vector
from fastbox.kernels.compare.measure import doubled
from fastbox.kernels.geometry.formulas import larger

BLOCK = 64  # points that are tested together, and of which work space has a multiple


@inlined
def place(values, rows, n, k, value, row):
    """Put a value among the k greatest, in descending order, the lowest row first among equals; return their number."""
    if n == k:
        if not (value > values[n - 1] or (value == values[n - 1] and row < rows[n - 1])):
            return n
        n -= 1
    j = n
    while j > 0 and (value > values[j - 1] or (value == values[j - 1] and row < rows[j - 1])):
        values[j], rows[j] = values[j - 1], rows[j - 1]
        j -= 1
    values[j], rows[j] = value, row
    return n + 1


@inlined
def place_next(values, rows, n, k, value, row):
    """Do what place does where rows come in ascending order: of equal values the one that is there comes first."""
    if n == k:
        if not value > values[n - 1]:
            return n
        n -= 1
    j = n
    while j > 0 and value > values[j - 1]:
        values[j], rows[j] = values[j - 1], rows[j - 1]
        j -= 1
    values[j], rows[j] = value, row
    return n + 1


@inlined
def claim(p, g, claims, owner):
    """Let a truth claim a point, which keeps the first truth that claims it."""
    claims[p] += 1
    if claims[p] == 1:
        owner[p] = g


@inlined
def fill(values, n, value):
    """Write the first n values."""
    for j in range(n):
        values[np.uint64(j)] = value


@device
def listed(numbers, n, members):
    """List which of the first n numbers are at least 0, ascending; return their count.

    Whole blocks are passed over by the sign of all their numbers together.
    """
    close_blocks(numbers, n)
    m = 0
    for start in range(0, n, BLOCK):
        together = np.int32(-1)
        for j in range(BLOCK):
            together = np.int32(together & numbers[np.uint64(start + j)])
        if together < 0:
            continue
        for p in range(start, start + BLOCK):
            members[np.uint64(m)] = p
            m += numbers[np.uint64(p)] >= 0
    return m


@inlined
def close_blocks(values, n):
    """Write -1 behind the first n values up to the end of the last block."""
    for j in range(n, (n + BLOCK - 1) // BLOCK * BLOCK):
        values[j] = -1


@device
def any_above(values, start, least):
    """Tell whether any value of a block is greater than another number."""
    above = np.int32(0)
    for j in range(BLOCK):
        above = np.int32(above | np.int32(values[np.uint64(start + j)] > least))
    return above != 0


@device
def greatest(values, n, k, best):
    """List the k greatest of n values above 0; return their number and their sum in the values' own dtype."""
    found, places = best
    close_blocks(values, n)
    above = stack_array(places, BLOCK)
    least = total = values.dtype.type(0)
    m = 0
    for start in range(0, n, BLOCK):
        if not any_above(values, start, least):
            continue
        hits = 0
        for j in range(start, start + BLOCK):  # without a branch, for it would be mispredicted
            above[np.uint64(hits)] = j
            hits += values[np.uint64(j)] > least
        for i in range(hits):
            j = above[np.uint64(i)]
            if values[j] > least:
                m = place_next(found, places, m, k, values[j], j)
                least = found[m - 1] if m == k else least
    for j in range(m):
        total += found[j]
    return m, total


@device
def new_rows(like):
    """Return space for points, truths, values and overlaps of positives."""
    return np.empty(256, np.int64), np.empty(256, np.int64), np.empty(256, like.dtype), np.empty(256, like.dtype)


@device
def longer(values, needed):
    """Return the values in an array at least so long, by doubling; the same array if it is long enough."""
    while values.size < needed:
        values = doubled(values)
    return values


@inlined
def write_rows(first, members, m, state, outputs, points, truths, values, ious, found):
    """Write an image's positives behind the rows found."""
    owner, held, overlaps = state
    _, positives, best = outputs
    for j in range(m):
        p = members[j]
        g = first + owner[p]
        points[found], truths[found], values[found], ious[found] = p, g, held[p], overlaps[p]
        positives[g] += 1
        best[g] = larger(overlaps[p], best[g])
        found += 1


@device
def collect(image, first, members, m, state, outputs, rows, found):
    """Append an image's m positive points to the rows found; return the rows and their number.

    The state is, for each point, the place of its truth in the image, its value and its overlap. Outputs are the
    positives of each image, the positives of each truth and the highest overlap of each truth with one. Rows grow
    before the loop over points: in it their references would be counted for each point.
    """
    points, truths, values, ious = rows
    points, truths = longer(points, found + m), longer(truths, found + m)
    values, ious = longer(values, found + m), longer(ious, found + m)
    write_rows(first, members, m, state, outputs, points, truths, values, ious, found)
    outputs[0][image] = m
    return (points, truths, values, ious), found + m


def predictions_type(t):
    return group(side(t), readonly(i8), readonly(t, 2))


def space_type(t):
    """Return the type of work space, which callers make: arrays made here have references, counted at each call.

    Floats and integers of points, float64 of points, corners of truths, and lists of the best: values and places. The
    number of points is a multiple of BLOCK.
    """
    return group(vector(t, 2), vector(int32, 2), vector(f8), vector(t, 2), vector(t, 2), vector(i8, 2))


def outputs_type(t):
    return group(vector(i8), vector(i8), vector(t))


def rows_type(t):
    return group(vector(i8), vector(i8), vector(t), vector(t))
