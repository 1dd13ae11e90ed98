"""The order of boxes in a tree: by kind of size and shape, then along a Hilbert curve.

A code has the kind of a box, the place of its centre along the curve, and its place among the members of a segment.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.bits import bits_of
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.geometry.formulas import larger, smaller

# Sizes are sorted into kinds by every fifth power of two of the longer side, and by which side is much longer, where
# that is so of many boxes: every kind is searched by itself, and among boxes of one kind the greatest do not make the
# bounds of all leaves too wide.
KINDS, OCTAVES, LEAST_OCTAVE = 16, 5, -27
SLENDER = 64.0  # the least longer side of a beam, in units of the shorter one
MANY = 16  # beams have their own kinds where they are more than one box in 16
CURVE = 13  # bits of a coordinate along the curve
PLACE = 31  # bits of a code for the place of the box, behind those of the curve
PLACES = (1 << PLACE) - 1
DIGIT = 11  # bits of a code that are sorted by at once
SAMPLED = 512  # boxes in a sample
SPREAD = 4.0  # mean deviations from the mean within which the curve tells boxes apart


@device
def shape_of(x0, y0, x1, y1):
    """Return 1 for a box that is much wider than high, 2 for one much higher than wide, 0 for others."""
    w, h = np.float64(x1) - np.float64(x0), np.float64(y1) - np.float64(y0)
    return np.int64(w > SLENDER * h) + 2 * np.int64(h > SLENDER * w)


@device
def has_beams(tile, first, last):
    """Return whether many of the boxes [first, last) are beams, as a sample shows."""
    count, step = 0, (last - first) // SAMPLED + 1
    for j in range(first, last, step):
        k = np.uint64(j)  # unsigned, here and below: no test for an index from the end
        count += np.int64(shape_of(tile[0, k], tile[1, k], tile[2, k], tile[3, k]) > 0)
    return count * step * MANY > last - first


@device
def size_of(w, h):
    """Return the kind of a size, given the sides."""
    octave = (bits_of(larger(w, h)) >> 52) - 1022  # the exponent of the first power of two above the longer side
    return min(max((octave - LEAST_OCTAVE) // OCTAVES, 0), KINDS - 1)


@inlined
def along_curve(x, y):
    """Return the place of a cell along Hilbert's curve, given its column and line.

    Each quarter has the curve of the whole, some with both axes swapped or reversed.
    """
    place, swapped, reversed_ = np.int64(0), np.int64(0), np.int64(0)
    for half in range(CURVE):
        shift = CURVE - 1 - half
        apart, down = (x ^ y) >> shift & 1, y >> shift & 1
        down ^= (swapped & apart) ^ reversed_
        place = place << 2 | (apart ^ down) << 1 | apart
        swapped, reversed_ = swapped ^ down ^ 1, reversed_ ^ (apart & (down ^ 1))
    return place


@device
def centre_of(low, high):
    """Return the centre of a side in units so large that no sum of a few of them overflows."""
    return np.float64(low) / 32.0 + np.float64(high) / 32.0


@device
def range_of(low, high, n):
    """Return the least and the greatest centre of n sides, but for those far from most, as a sample shows them."""
    least, most, step = -np.inf, np.inf, n // SAMPLED + 1
    for _ in range(2):
        mean, away, count = 0.0, 0.0, 0
        for k in range(0, n, step):
            centre = centre_of(low[k], high[k])
            if (centre >= least) & (centre <= most):
                mean += centre / SAMPLED
                count += 1
        count = max(count, 1)
        mean *= SAMPLED / count
        for k in range(0, n, step):
            centre = centre_of(low[k], high[k])
            if (centre >= least) & (centre <= most):
                away += abs(centre - mean) / count
        least, most = larger(least, mean - SPREAD * away), smaller(most, mean + SPREAD * away)
    return least, most


@device
def cell_of(low, high, least, per):
    """Return the cell of the centre of a side along its axis."""
    place = (centre_of(low, high) - least) * per
    place = place if place > 0.0 else 0.0
    return np.int64(smaller(place, np.float64((1 << CURVE) - 1)))


@device
def write_codes(tile, codes, first, last):
    """Put the place of the boxes [first, last) along the curve, by kind, before their places in `codes`."""
    n = last - first
    left, right = range_of(tile[0, first:last], tile[2, first:last], n)
    top, bottom = range_of(tile[1, first:last], tile[3, first:last], n)
    wide = larger(right - left, bottom - top)
    per = np.float64(1 << CURVE) / (wide if wide > 2.0**-900 else 1.0)
    beams = has_beams(tile, first, last)
    for j in range(first, last):
        k = np.uint64(j)
        x0, y0, x1, y1 = tile[0, k], tile[1, k], tile[2, k], tile[3, k]
        kind = size_of(np.float64(x1) - np.float64(x0), np.float64(y1) - np.float64(y0))
        if beams:
            kind += KINDS * shape_of(x0, y0, x1, y1)
        place = along_curve(cell_of(x0, x1, left, per), cell_of(y0, y1, top, per))
        codes[k] = codes[k] & PLACES | (kind << (2 * CURVE) | place) << PLACE


@device
def sort_codes(codes, spare):
    """Sort codes, by digits from the last to the first."""
    given, n = codes, codes.size
    starts = np.empty((1 << DIGIT) + 1, np.int64)
    for shift in range(PLACE, 63, DIGIT):
        starts[:] = 0
        for k in range(n):
            starts[np.uint64((codes[k] >> shift & ((1 << DIGIT) - 1)) + 1)] += 1
        for digit in range(1 << DIGIT):
            starts[digit + 1] += starts[digit]
        for k in range(n):
            digit = np.uint64(codes[k] >> shift & ((1 << DIGIT) - 1))
            spare[np.uint64(starts[digit])] = codes[k]
            starts[digit] += 1
        codes, spare = spare, codes
    for k in range(n):
        given[k] = codes[k]


@device
def is_spread(tile, first, last):
    """Return whether the centres of the boxes [first, last) are further apart than a few sides of the first of them."""
    w, h = (
        np.float64(tile[2, first]) - np.float64(tile[0, first]),
        np.float64(tile[3, first]) - np.float64(tile[1, first]),
    )
    left, top = centre_of(tile[0, first], tile[2, first]), centre_of(tile[1, first], tile[3, first])
    for j in range(first, last):
        k = np.uint64(j)
        x, y = centre_of(tile[0, k], tile[2, k]), centre_of(tile[1, k], tile[3, k])
        if (abs(x - left) > 0.125 * w) | (abs(y - top) > 0.125 * h):  # of sides in units of `centre_of`, two
            return True
    return False


@device
def end_of_run(codes, first):
    """Return the end of the run of boxes with the code of the first one."""
    last, code = first + 1, codes[np.uint64(first)] >> PLACE
    while last < codes.size and codes[np.uint64(last)] >> PLACE == code:
        last += 1
    return last
