"""The bits of floats as integers, and back."""

from __future__ import annotations

import numpy as np


def bits_of(x):
    """Return the bits of a float64 as an integer."""
    return np.float64(x).view(np.int64)


def float_of(bits):
    """Return the float64 that has these bits."""
    return np.int64(bits).view(np.float64)


def integers_of(values):
    """View floats as integers of their size."""
    return values.view(np.int32 if values.itemsize == 4 else np.int64)


def ordered_bits(x):
    """Return a float's bits as an integer: from 0 on integers rise with the floats; negative floats and nan lie above.

    Integers have maxima and minima that vectorise, and comparisons of integers do not have to be joined.
    """
    return x.view(np.uint32 if x.itemsize == 4 else np.uint64)


def from_ordered_bits(bits):
    """Return the float, from 0 on, that has these ordered bits."""
    return bits.view(np.float32 if bits.itemsize == 4 else np.float64)


def ordered_view(values):
    """View floats as the integers that :func:`ordered_bits` makes of them."""
    return values.view(np.uint32 if values.itemsize == 4 else np.uint64)


def ordered_bits_less_one(x):
    """Return the ordered bits of a float, less one: the bits of 0 lie above all others."""
    bits = ordered_bits(x)
    return bits - type(bits)(1) if bits else ~bits


def multiply_add(x, y, z):
    """Return x * y + z, rounded once where that is an instruction; the bits of no result may depend on it."""
    return x * y + z


def not_negative(x):
    """Return a number, and 0 for a negative one: the maximum of an integer and 0, where that is an instruction.

    Some processors take maxima of floats in the units that add, and those of integers in others. A nan without a sign
    may stay or be 0.
    """
    return x if ordered_bits(x) < 2 ** (8 * x.itemsize - 1) else type(x)(0)
