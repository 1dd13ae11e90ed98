"""Reading rows: a few boxes at a time become columns of corners, for kernels that read each box once.

The next boxes are read while the last ones are measured; with tiles as long as those of
:mod:`~fastbox.kernels.geometry.pack` memory and arithmetic would wait for each other.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.transpose import WIDE, rows_to_columns
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.pack import columns_to_corners
from fastbox.kernels.geometry.safe_range import all_safe, empty_range, safe_area, widen_range

ROWS = 64  # boxes read at a time


@inlined
def read_rows(boxes, rowwise, first, n, x0, y0, x1, y1):
    """Read n boxes from a row on as columns of corners; points at the origin fill the columns up."""
    arrangement, p, q, r, s = boxes
    zero = x0.dtype.type(0)
    if rowwise and n == ROWS:
        for j in range(0, ROWS, WIDE):
            rows_to_columns(p, first + j, (x0, y0, x1, y1), j)
    else:
        for j in range(n):
            k = np.uint64(first + j)
            x0[j], y0[j], x1[j], y1[j] = p[k], q[k], r[k], s[k]
        for j in range(n, ROWS):
            x0[j], y0[j], x1[j], y1[j] = zero, zero, zero, zero
    columns_to_corners(arrangement, ROWS, x0, y0, x1, y1)


@inlined
def are_safe(ax0, ay0, ax1, ay1, bx0, by0, bx1, by1):
    """Return whether all boxes of two sides are valid and safe, so that plain formulas do."""
    zero = ax0.dtype.type(0)
    top, low = empty_range(zero)
    for j in range(ROWS):
        top, low = widen_range(top, low, ax0[j], ay0[j], ax1[j], ay1[j])
        top, low = widen_range(top, low, bx0[j], by0[j], bx1[j], by1[j])
    return all_safe(top, low, zero)


@inlined
def plain_box(x0, y0, x1, y1, angle):
    """Return a box with its area."""
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), angle)


@inlined
def box(x0, y0, x1, y1, angle):
    """Return a box with its area, nan if the box is invalid or not safe."""
    return Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), angle)


@device
def column_angles(x0, y0, x1, y1, angle):
    """Write the angle of each box's diagonal, which CIoU compares."""
    for j in range(ROWS):
        angle[j] = aspect(x1[j] - x0[j], y1[j] - y0[j])
