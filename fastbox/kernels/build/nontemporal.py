"""Non-temporal stores: stores past the caches, for an output too large to stay in them."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined

LINE = 64  # bytes of a cache line, which a non-temporal store must fill whole


def store_line(out, position, row, offset):
    """Store as many values as a cache line holds, past the caches; the output begins a line at the position."""
    copy_line(out, position, row, offset)


def copy_line(out, position, row, offset):
    """Copy as many values as a cache line holds: a loop over so few values is not always vectorised."""
    n = LINE // out.itemsize
    out[position : position + n] = row[offset : offset + n]


def fence():
    """Wait until all stores are seen by every core."""


def store_lines(out, position, row, count):
    """Store the first values of a row, a constant count of whole cache lines, past the caches; out begins a line."""
    out[position : position + count] = row[:count]


def moved(array, count):
    """Return a view that begins `count` values later; the values behind the end of the array must not be used."""
    return np.lib.stride_tricks.as_strided(array.reshape(-1)[count:], array.shape, array.strides)


def per_line(out):
    """Return the number of an array's values in a cache line: a constant, for the compiler knows the dtype."""
    return LINE // out.itemsize


@inlined
def copy_lanes(out, position, values):
    """Copy whole cache lines of values to out[position:]."""
    for j in range(0, values.size, per_line(out)):
        copy_line(out, position + j, values, j)


@device
def offset_in_line(out, position):
    """Return the number of values before a position that share its cache line."""
    return (out.ctypes.data // out.itemsize + position) % per_line(out)


@device
def until_line(out, position):
    """Return the number of values from a position to the next one that begins a cache line."""
    return -(out.ctypes.data // out.itemsize + position) % per_line(out)


@device
def append_nontemporal(out, position, ahead, behind, count, started):
    """Store `count` values from a position on past the caches, in whole lines.

    The values lie in `ahead`, after the `behind` values that filled no line before; the last `behind` values fill no
    line again, and are moved to the front. Of the first line only the values from the position on are stored.
    """
    start = position - behind
    if not started:
        for j in range(behind, per_line(out)):
            out[start + j] = ahead[j]
    for line in range(0 if started else 1, count // per_line(out)):
        store_line(out, start + line * per_line(out), ahead, line * per_line(out))
    copy_line(ahead, 0, ahead, count)
