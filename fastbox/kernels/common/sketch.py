"""Exact sums and fine counts of floats, kept as integers: no order of the values changes them."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import i8, vector
from fastbox.kernels.codes import BINS, FRACTION, KEPT, LOWEST, NAN, NEGATIVE_INFINITE, POSITIVE_INFINITE


def tally(bits, counts, high, low, special):
    """Add float64 values, given as their bits: counts by fine bin, fractions by exponent in two halves."""
    shift = np.int64(FRACTION - KEPT)
    fraction_mask = (np.int64(1) << np.int64(FRACTION)) - np.int64(1)
    magnitude_mask = np.int64(0x7FFFFFFFFFFFFFFF)
    half = np.int64(26)
    half_mask = (np.int64(1) << half) - np.int64(1)
    for j in range(bits.size):
        magnitude = bits[j] & magnitude_mask
        exponent = magnitude >> np.int64(FRACTION)
        fraction = magnitude & fraction_mask
        if exponent == 0x7FF:
            special[NAN if fraction else (POSITIVE_INFINITE if bits[j] > 0 else NEGATIVE_INFINITE)] += 1
            continue
        if exponent > 0:
            fraction |= fraction_mask + np.int64(1)
        if bits[j] >= 0:
            high[exponent] += fraction >> half
            low[exponent] += fraction & half_mask
            place = (magnitude >> shift) - np.int64(LOWEST << KEPT)
            counts[BINS + min(max(place, 0), BINS - 1)] += 1
        else:
            high[exponent] -= fraction >> half
            low[exponent] -= fraction & half_mask
            # Rounded up: a bin is closed below and open above on this side of 0 as well.
            place = ((magnitude + (np.int64(1) << shift) - np.int64(1)) >> shift) - np.int64(LOWEST << KEPT)
            counts[BINS - min(max(place, np.int64(magnitude > 0)), BINS)] += 1


TALLY = Kernel(tally, lambda t: types.void(vector(i8), vector(i8), vector(i8), vector(i8), vector(i8)), {"": {}})
