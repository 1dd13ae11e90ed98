"""Sorting the rows of each image by score, or by code and score; and rows by group."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import bits_of
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import i8, readonly, vector

FEW = 48  # rows that are sorted by insertion, more by their bytes
BYTES, VALUES = 8, 256  # of a key, and of a byte
LEAST, MOST = np.int64(-(2**63)), np.int64(2**63 - 1)  # the bits of -0.0, and a key


@device
def descending(bits):
    """Return the bits of a float64 as a number whose bytes fall as the float rises; -0.0 is 0.0."""
    return bits if bits < 0 and bits != LEAST else ~bits & MOST


@device
def by_bytes(keys, rows, spare_keys, spare_rows, counts, n):
    """Sort n rows by their keys, byte by byte, stable; return the sorted keys and rows, then the spares."""
    counts[:] = 0
    for j in range(n):
        for digit in range(BYTES):
            counts[VALUES * digit + ((keys[j] >> (8 * digit)) & (VALUES - 1))] += 1
    for digit in range(BYTES):
        shift, first = 8 * digit, VALUES * digit
        if counts[first + ((keys[0] >> shift) & (VALUES - 1))] == n:
            continue
        place = 0
        for value in range(VALUES):
            counts[first + value], place = place, place + counts[first + value]
        for j in range(n):
            value = first + ((keys[j] >> shift) & (VALUES - 1))
            place = counts[value]
            spare_keys[place], spare_rows[place] = keys[j], rows[j]
            counts[value] = place + 1
        keys, spare_keys, rows, spare_rows = spare_keys, keys, spare_rows, rows
    return keys, rows, spare_keys, spare_rows


@device
def longest_of(bounds, first, last):
    """Return the greatest number of rows of the images [first, last)."""
    longest = 0
    for image in range(first, last):
        longest = max(longest, bounds[image + 1] - bounds[image])
    return longest


def sort(codes, scores, bounds, rows, first, last):
    """Sort the rows of each of the images [first, last) by code, rows of one code by descending score; stable.

    Without codes, all rows are of one code.
    """
    coded = len(codes) > 0
    longest = longest_of(bounds, first, last)
    keys, other_keys = np.empty(longest, np.int64), np.empty(longest, np.int64)
    own, other = np.empty(longest, np.int64), np.empty(longest, np.int64)
    counts = np.empty(BYTES * VALUES, np.int64)
    for image in range(first, last):
        start = bounds[image]
        n = bounds[image + 1] - start
        if n <= FEW:
            for j in range(start + 1, start + n):
                row, place = rows[j], j
                code, score = codes[row] if coded else 0, scores[row]
                while place > start:
                    before = rows[place - 1]
                    other_code = codes[before] if coded else 0
                    if other_code < code or (other_code == code and not scores[before] < score):
                        break
                    rows[place] = before
                    place -= 1
                rows[place] = row
            continue
        for j in range(n):
            own[j] = rows[start + j]
            keys[j] = descending(bits_of(scores[own[j]]))
        keys, own, other_keys, other = by_bytes(keys, own, other_keys, other, counts, n)
        if coded:
            for j in range(n):
                keys[j] = codes[own[j]]
            keys, own, other_keys, other = by_bytes(keys, own, other_keys, other, counts, n)
        for j in range(n):
            rows[start + j] = own[j]


def grouped(groups, ends, rows):
    """Write the rows by group, those of a group in their order, and where each group ends; groups count from 0."""
    ends[:] = 0
    for row in range(groups.size):
        ends[np.uint64(groups[row])] += 1
    place = 0
    for one in range(ends.size):
        ends[one], place = place, place + ends[one]
    for row in range(groups.size):
        one = np.uint64(groups[row])
        rows[np.uint64(ends[one])] = row
        ends[one] += 1


SORT = Kernel(sort, lambda t: types.void(readonly(i8), vector(t), readonly(i8), vector(i8), i8, i8), {"": {}})
GROUPED = Kernel(grouped, lambda t: types.void(readonly(types.int32), vector(i8), vector(i8)), {"": {}})
