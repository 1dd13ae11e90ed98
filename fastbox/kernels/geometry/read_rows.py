"""Reading rows: a few boxes at a time become columns of corners, for kernels that read each box once; and their values.

The next boxes are read while the last ones are measured; with tiles as long as those of
:mod:`~fastbox.kernels.geometry.pack` memory and arithmetic would wait for each other.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.nontemporal import copy_line, per_line
from fastbox.kernels.build.prefetch import prefetch_numbers, rows_ahead
from fastbox.kernels.build.stack import stack_doubles
from fastbox.kernels.build.transpose import WIDE, are_whole, row_stride, rows_apart_to_columns, rows_to_columns
from fastbox.kernels.geometry.elementary import aspect, is_single, rest_of_turn, turned
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.pack import columns_to_corners

ROWS = 64  # boxes read at a time
APART, IN_ROWS, IN_COLUMNS, IN_ROWS_APART = range(4)  # how the four columns of boxes lie in memory
AT_ONCE = 512  # rows of corners that are measured before it is known whether all of their boxes are safe


@device
def layout_of(boxes):
    """Return how the columns of boxes lie in memory, as :func:`read_rows` takes it."""
    _, p, q, r, s = boxes
    stride = row_stride(p, q, r, s)
    if stride != 0:
        return IN_ROWS if stride == 4 * p.itemsize else IN_ROWS_APART
    return IN_COLUMNS if are_whole(p, q, r, s) else APART


@device
def read_rows(boxes, layout, first, n, x0, y0, x1, y1):
    """Read n boxes from a row on as columns of corners; boxes of one pixel fill the columns up."""
    arrangement, p, q, r, s = boxes
    zero, one, ahead = x0.dtype.type(0), x0.dtype.type(1), rows_ahead(p, p.size)
    if n == ROWS and layout == IN_ROWS:
        if ahead:
            prefetch_numbers(p, 4 * (first + ahead), 4 * ROWS)
        for j in range(0, ROWS, WIDE):
            rows_to_columns(p, first + j, (x0, y0, x1, y1), j)
    elif n == ROWS and layout == IN_ROWS_APART:
        for j in range(0, ROWS, WIDE):
            rows_apart_to_columns(p, first + j, (x0, y0, x1, y1), j)
    elif n == ROWS and layout == IN_COLUMNS:
        if ahead:
            prefetch_numbers(p, first + ahead, ROWS)
            prefetch_numbers(q, first + ahead, ROWS)
            prefetch_numbers(r, first + ahead, ROWS)
            prefetch_numbers(s, first + ahead, ROWS)
        for j in range(0, ROWS, per_line(x0)):
            copy_line(x0, j, p, first + j)
            copy_line(y0, j, q, first + j)
            copy_line(x1, j, r, first + j)
            copy_line(y1, j, s, first + j)
    else:
        for j in range(n):
            k = np.uint64(first + j)
            x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
        for j in range(n, ROWS):
            x0[j], y0[j], x1[j], y1[j] = zero, zero, one, one
    columns_to_corners(arrangement, ROWS, x0, y0, x1, y1)


@inlined
def write_values(values, n, out, first):
    """Write the values of n boxes, at most ROWS, to a vector from a place on."""
    if n == ROWS:
        for line in range(0, ROWS, per_line(out)):
            copy_line(out, first + line, values, line)
    else:
        for j in range(n):
            out[np.uint64(first + j)] = values[j]


@inlined
def plain_box(x0, y0, x1, y1, angle):
    """Return a box with its area."""
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), angle)


@inlined
def divide(sides, first, tangents, backs):
    """Turn the diagonals of WIDE boxes of both sides back, as :func:`column_angles` takes them up."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = sides
    (tangent_a, tangent_b), (back_a, back_b) = tangents, backs
    for j in range(WIDE):
        k = np.uint64(first + j)
        tangent_a[k], back_a[k] = rest_of_turn(np.float64(ax1[k] - ax0[k]), np.float64(ay1[k] - ay0[k]))
        tangent_b[k], back_b[k] = rest_of_turn(np.float64(bx1[k] - bx0[k]), np.float64(by1[k] - by0[k]))


@inlined
def turn(tangents, backs, first, angle_a, angle_b):
    """Write the angles of WIDE boxes of both sides."""
    (tangent_a, tangent_b), (back_a, back_b) = tangents, backs
    for j in range(WIDE):
        k = np.uint64(first + j)  # unsigned: an index from the end would have to be gathered
        angle_a[k], angle_b[k] = turned(tangent_a[k], back_a[k]), turned(tangent_b[k], back_b[k])


@device
def column_angles(a, b, angle_a, angle_b):
    """Write the angles of the diagonals of two sides, which CIoU compares; a side is its columns x0, y0, x1 and y1.

    The diagonals of some boxes are divided while the angles of the boxes before them are computed: two units of the
    processor then work at the same time, and neither waits for the other.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    if is_single(ax0[0]):
        tangents = stack_doubles(ROWS), stack_doubles(ROWS)
        backs = stack_doubles(ROWS), stack_doubles(ROWS)
        divide((a, b), 0, tangents, backs)
        for s in range(WIDE, ROWS, WIDE):
            divide((a, b), s, tangents, backs)
            turn(tangents, backs, s - WIDE, angle_a, angle_b)
        turn(tangents, backs, ROWS - WIDE, angle_a, angle_b)
    else:
        for j in range(ROWS):
            angle_a[j] = aspect(ax1[j] - ax0[j], ay1[j] - ay0[j])
            angle_b[j] = aspect(bx1[j] - bx0[j], by1[j] - by0[j])
