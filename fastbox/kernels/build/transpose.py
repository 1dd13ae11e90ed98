"""Transposes: boxes in rows, four numbers side by side, to and from columns, some at a time in vector registers; and a
test of what registers hold.

A loop over rows seldom compiles to such shuffles, and takes four times as long.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device

WIDE = 16  # boxes shuffled at once: 16 float32 of a column fill a register, which is stored and loaded as one


@device
def row_stride(p, q, r, s):
    """Return the bytes from row to row of which four columns are four numbers side by side; 0 if they are not."""
    size, start, stride = p.itemsize, p.ctypes.data, p.strides[0]
    apart = (q.ctypes.data - start - size) | (r.ctypes.data - start - 2 * size) | (s.ctypes.data - start - 3 * size)
    for other in (q.strides[0], r.strides[0], s.strides[0]):
        apart |= other - stride
    return stride if apart == 0 else 0


@device
def are_whole(p, q, r, s):
    """Return whether each of four columns lies in one block of memory."""
    apart = p.strides[0] - p.itemsize
    for stride in (q.strides[0], r.strides[0], s.strides[0]):
        apart |= stride - p.itemsize
    return apart == 0


@device
def is_block(rows):
    """Return whether an array of rows of four numbers lies in one block of memory, row after row."""
    return (rows.strides[0] == 4 * rows.itemsize) & (rows.strides[1] == rows.itemsize)


def rows_to_columns(first, row, columns, at):
    """Copy rows [row, row + WIDE) to four columns from a place on, given the column of their first numbers."""
    four = np.lib.stride_tricks.as_strided(first[row:], (WIDE, 4), (first.strides[0], first.itemsize))
    for k in range(4):
        columns[k][at : at + WIDE] = four[:, k]


def rows_apart_to_columns(first, row, columns, at):
    """Do as :func:`rows_to_columns` with rows that do not follow one another, as those cut out of wider rows."""
    rows_to_columns(first, row, columns, at)


def copy_row(rows, row, out, to):
    """Copy a row of four numbers side by side to a row of another array of such rows."""
    out[to] = rows[row]


def columns_to_rows(columns, at, rows, position):
    """Copy the numbers [at, at + WIDE) of four columns, row after row, to a vector from a position on."""
    for k in range(4):
        rows[position + k : position + 4 * WIDE : 4] = columns[k][at : at + WIDE]


def fill_from(values, count, filler):
    """Write a number to the places of WIDE numbers from a count on, which may be negative, or beyond the last place."""
    values[max(count, 0) :] = filler


def all_within(lows, least, tops, most):
    """Return whether none of WIDE numbers is below a least one, and none of WIDE others above a greatest one."""
    return bool((lows >= least).all() and (tops <= most).all())


def rows_to_lanes(first, row, columns, at):
    """Copy rows [row, row + WIDE) to four columns from a place on, in the order that takes the fewest shuffles.

    :func:`lanes_to_vector` and :func:`lanes_to_rows` bring what is computed of them back to the order of rows.
    """
    four = np.lib.stride_tricks.as_strided(first[row:], (WIDE, 4), (first.strides[0], first.itemsize))
    for k in range(4):
        columns[k][at : at + WIDE] = four[:, k].reshape(4, WIDE // 4).T.reshape(-1)


def lanes_to_vector(values, at, out, position):
    """Copy the values [at, at + WIDE), in the order of lanes, to a vector from a position on, in the order of rows."""
    out[position : position + WIDE] = values[at : at + WIDE].reshape(WIDE // 4, 4).T.reshape(-1)


def lanes_to_rows(columns, at, rows, position):
    """Do as :func:`columns_to_rows` with columns in the order of lanes."""
    for k in range(4):
        lanes_to_vector(columns[k], at, rows[position + k : position + 4 * WIDE : 4], 0)
