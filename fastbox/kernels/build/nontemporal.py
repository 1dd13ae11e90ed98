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
def append_nontemporal(out, position, ahead, turn, count, first):
    """Store the part made before the last past the caches, and return the turn of the next one.

    A part is `count` values; the last one lies at its turn and belongs at a position. Three parts take turns in
    `ahead`, behind a line that repeats the end of the third: a processor waits for values that it loads in other
    vectors than it has just stored. They are stored in vectors that cross neither lines nor pages, and loaded as the
    lines of the output ask. Of its first line only the values from `first` on are stored.
    """
    third = 2 * count
    if position == first:
        for j in range(until_line(out, first)):
            out[first + j] = ahead[per_line(out) + j]
    else:
        store_part(out, position - count, ahead, turn - count if turn else third, count, first)
    if turn == third:
        copy_line(ahead, 0, ahead, third + count)
    return 0 if turn == third else turn + count


@device
def store_part(out, position, ahead, turn, count, first):
    """Store the lines that end in a part, whose values belong at a position, past the caches."""
    behind = offset_in_line(out, position)
    for line in range(1 if position == first and behind else 0, count // per_line(out)):
        done = line * per_line(out) - behind
        store_line(out, position + done, ahead, turn + per_line(out) + done)


@device
def finish_nontemporal(out, position, ahead, turn, count, first):
    """Store what waits still before the next turn: a part, and the values that fill no line; both end at a position."""
    if position > first:
        last = turn - count if turn else 2 * count
        store_part(out, position - count, ahead, last, count, first)
        behind = offset_in_line(out, position)
        for j in range(behind):
            out[position - behind + j] = ahead[last + per_line(out) + count - behind + j]
