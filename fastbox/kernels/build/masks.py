"""Masks of 64 bytes: which of them lie in a range, a bit for each, by comparing vectors; and eight bytes as a word."""

from __future__ import annotations

import numpy as np

WIDTH = 64  # bytes that a mask tells of


def between(data, at, low, high):
    """Return which of the 64 bytes from a place on lie in a range, the first byte in the lowest bit."""
    found = 0
    for bit in range(WIDTH):
        found |= (low <= data[at + bit] <= high) << bit
    return np.uint64(found)


def lowest(mask):
    """Return the place of the lowest bit of a mask that is not 0."""
    whole = int(mask)
    return (whole & -whole).bit_length() - 1


def eight(data, at):
    """Return the eight bytes from a place on as a number, the first byte lowest."""
    return np.uint64(int.from_bytes(data[at : at + 8].tobytes(), "little"))
