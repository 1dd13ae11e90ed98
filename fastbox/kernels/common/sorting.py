"""Sorting the rows of each image by score, or by code and score."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import i8, readonly, vector

FEW = 48  # rows that are sorted by insertion, more by their bytes
SIGN = np.uint64(1 << 63)


@device
def descending(bits):
    """Return the bits of a float64 as a number that falls as the float rises; -0.0 is 0.0."""
    negative = bits > SIGN
    return bits if negative else ~bits & ~SIGN if bits != SIGN else ~SIGN


@device
def by_bytes(keys, rows, spare_keys, spare_rows, counts, n):
    """Sort n rows by their keys, byte by byte, stable; return the sorted keys and rows, then the spares."""
    counts[:] = 0
    for j in range(n):
        for digit in range(8):
            counts[digit, (keys[j] >> np.uint64(8 * digit)) & np.uint64(255)] += 1
    for digit in range(8):
        shift = np.uint64(8 * digit)
        if counts[digit, (keys[0] >> shift) & np.uint64(255)] == n:
            continue
        place = 0
        for value in range(256):
            counts[digit, value], place = place, place + counts[digit, value]
        for j in range(n):
            value = (keys[j] >> shift) & np.uint64(255)
            place = counts[digit, value]
            spare_keys[place], spare_rows[place] = keys[j], rows[j]
            counts[digit, value] = place + 1
        keys, spare_keys, rows, spare_rows = spare_keys, keys, spare_rows, rows
    return keys, rows, spare_keys, spare_rows


@device
def longest_of(bounds, first, last):
    """Return the greatest number of rows of the images [first, last)."""
    longest = 0
    for image in range(first, last):
        longest = max(longest, bounds[image + 1] - bounds[image])
    return longest


def sort_by_score(scores, rows, bounds, first, last):
    """Sort the rows of each of the images [first, last), which come ascending, by descending score; stable."""
    bits = scores.view(np.uint64)
    longest = longest_of(bounds, first, last)
    keys, other_keys = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    own, other = np.empty(longest, np.int64), np.empty(longest, np.int64)
    counts = np.empty((8, 256), np.int64)
    for image in range(first, last):
        start = bounds[image]
        n = bounds[image + 1] - start
        if n <= FEW:
            for j in range(1, n):
                row = rows[start + j]
                place = j
                while place and scores[rows[start + place - 1]] < scores[row]:
                    rows[start + place] = rows[start + place - 1]
                    place -= 1
                rows[start + place] = row
            continue
        for j in range(n):
            own[j] = rows[start + j]
            keys[j] = descending(bits[own[j]])
        keys, own, other_keys, other = by_bytes(keys, own, other_keys, other, counts, n)
        for j in range(n):
            rows[start + j] = own[j]


SORT_BY_SCORE = Kernel(sort_by_score, lambda t: types.void(vector(t), vector(i8), readonly(i8), i8, i8), {"": {}})


def sort_by_code(codes, scores, bounds, rows, first, last):
    """Sort the rows of each of the images [first, last) by code, rows of one code by descending score; stable."""
    bits = scores.view(np.uint64)
    longest = longest_of(bounds, first, last)
    keys, other_keys = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    own, other = np.empty(longest, np.int64), np.empty(longest, np.int64)
    counts = np.empty((8, 256), np.int64)
    for image in range(first, last):
        start = bounds[image]
        n = bounds[image + 1] - start
        if n <= FEW:
            for j in range(start + 1, start + n):
                row, place = rows[j], j
                code, score = codes[row], scores[row]
                while place > start:
                    before = rows[place - 1]
                    if codes[before] < code or (codes[before] == code and scores[before] >= score):
                        break
                    rows[place] = before
                    place -= 1
                rows[place] = row
            continue
        for j in range(n):
            own[j] = rows[start + j]
            keys[j] = descending(bits[own[j]])
        keys, own, other_keys, other = by_bytes(keys, own, other_keys, other, counts, n)
        for j in range(n):
            keys[j] = np.uint64(codes[own[j]])
        keys, own, other_keys, other = by_bytes(keys, own, other_keys, other, counts, n)
        for j in range(n):
            rows[start + j] = own[j]


SORT_BY_CODE = Kernel(
    sort_by_code, lambda t: types.void(readonly(i8), vector(t), readonly(i8), vector(i8), i8, i8), {"": {}}
)
