"""Masks: which of some bytes or floats lie in a range, a bit for each, by comparing vectors; and eight bytes as a word.

A mask of flags that a loop has written takes longer: a processor waits for what it loads in longer vectors than it has
just stored.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device

WIDTH = 64  # bytes that a mask tells of


@device
def first_bits(count):
    """Return the mask of the first bits, at least one, and all of them where the count is higher."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(WIDTH - min(count, WIDTH))


def between(data, at, low, high):
    """Return which of the 64 bytes from a place on lie in a range, the first byte in the lowest bit."""
    found = 0
    for bit in range(WIDTH):
        found |= (low <= data[at + bit] <= high) << bit
    return np.uint64(found)


def above(values, at, count, limit):
    """Return which of a constant count of floats from a place on, 64 at most, are above a limit; nan is not."""
    found = 0
    for bit in range(count):
        found |= int(values[at + bit] > limit) << bit
    return np.uint64(found)


def below(values, at, count, limit):
    """Return which of a constant count of floats from a place on, 64 at most, are below a limit; nan is not."""
    found = 0
    for bit in range(count):
        found |= int(values[at + bit] < limit) << bit
    return np.uint64(found)


def at_most(values, at, count, limit):
    """Return which of a constant count of floats from a place on, 64 at most, are not above a limit; nan is above."""
    found = 0
    for bit in range(count):
        found |= int(values[at + bit] <= limit) << bit
    return np.uint64(found)


def lowest(mask):
    """Return the place of the lowest bit of a mask that is not 0."""
    whole = int(mask)
    return (whole & -whole).bit_length() - 1


def eight(data, at):
    """Return the eight bytes from a place on as a number, the first byte lowest."""
    return np.uint64(int.from_bytes(data[at : at + 8].tobytes(), "little"))
