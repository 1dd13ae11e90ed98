"""Non-temporal stores: stores past the caches, for an output too large to stay in them."""

from __future__ import annotations

from fastbox.kernels.build.device import device

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


@device
def copy_nontemporal(out, position, values, n):
    """Copy the first n values to out[position:], whole cache lines past the caches."""
    per_line = LINE // out.itemsize
    head = min(n, (-(out.ctypes.data + position * out.itemsize)) % LINE // out.itemsize)
    for j in range(head):
        out[position + j] = values[j]
    lines = (n - head) // per_line
    for line in range(lines):
        store_line(out, position + head + line * per_line, values, head + line * per_line)
    for j in range(head + lines * per_line, n):
        out[position + j] = values[j]


@device
def offset_in_line(out, position):
    """Return the number of values before a position that share its cache line."""
    return (out.ctypes.data // out.itemsize + position) % (LINE // out.itemsize)


@device
def append_nontemporal(out, position, ahead, behind, count, started):
    """Store `count` values from a position on past the caches, in whole lines.

    The values lie in `ahead`, after the `behind` values that filled no line before; the last `behind` values fill no
    line again, and are moved to the front. Of the first line only the values from the position on are stored.
    """
    per_line = LINE // out.itemsize
    start = position - behind
    if not started:
        for j in range(behind, per_line):
            out[start + j] = ahead[j]
    for line in range(0 if started else 1, count // per_line):
        store_line(out, start + line * per_line, ahead, line * per_line)
    copy_line(ahead, 0, ahead, count)
