"""The value of row i of one collection with row i of the other: of columns, and of arrays of corners."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.prefetch import prefetch_numbers, rows_ahead
from fastbox.kernels.build.stack import stack_array, stack_columns, stack_tile
from fastbox.kernels.build.transpose import WIDE, copy_row, is_block, lanes_to_vector, rows_to_lanes
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.compare.measure import with_loops
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.extremes import METRICS
from fastbox.kernels.geometry.extremes import iou_of as robust
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.read_rows import (
    AT_ONCE,
    ROWS,
    column_angles,
    layout_of,
    plain_box,
    read_rows,
    write_values,
)
from fastbox.kernels.geometry.safe_range import (
    are_columns_safe,
    are_ordinary,
    are_rows_safe,
    box,
    start_ordinary,
    widen_lane,
)

# Kernel binds this anew for each metric; here it is iou's.
ANGLES = False


def measure_columns(beta, a, b, angle_a, angle_b, values):
    """Write the values of ROWS boxes in columns with the boxes beside them; return whether all are valid and safe.

    If not, no value is right.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    if ANGLES:
        column_angles(a, b, angle_a, angle_b)
    lows, totals = stack_array(values, WIDE), stack_array(values, WIDE)
    start_ordinary(lows, totals)
    for s in range(0, ROWS, WIDE):
        for l in range(WIDE):
            j = np.uint64(s + l)
            one = plain_box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
            other = plain_box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j])
            values[j] = value(one, other, beta)
            widen_lane(lows, totals, l, one, other)
    return are_ordinary(lows, totals) or (are_columns_safe(a) and are_columns_safe(b))


def measure_corners(beta, a, b, first, last, ahead, out):
    """Write the values of rows of corners, whole times WIDE; return whether all boxes are valid and safe.

    If not, no value is right. From their rows to their values boxes stay in registers; those of some rows ahead are
    asked for.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = stack_columns(out, WIDE), stack_columns(out, WIDE)
    values, zero = stack_array(out, WIDE), out.dtype.type(0)
    lows, totals = stack_array(out, WIDE), stack_array(out, WIDE)
    start_ordinary(lows, totals)
    for s in range(first, last, WIDE):
        if ahead:
            prefetch_numbers(a, 4 * (s + ahead), 4 * WIDE)
            prefetch_numbers(b, 4 * (s + ahead), 4 * WIDE)
        rows_to_lanes(a, s, (ax0, ay0, ax1, ay1), 0)
        rows_to_lanes(b, s, (bx0, by0, bx1, by1), 0)
        for j in range(WIDE):
            one = plain_box(ax0[j], ay0[j], ax1[j], ay1[j], zero)
            other = plain_box(bx0[j], by0[j], bx1[j], by1[j], zero)
            values[j] = value(one, other, beta)
            widen_lane(lows, totals, j, one, other)
        lanes_to_vector(values, 0, out, s)
    return are_ordinary(lows, totals) or (are_rows_safe(a, first, last) and are_rows_safe(b, first, last))


def measure_corners_with_angles(beta, a, b, first, last, ahead, out):
    """Do the same with metrics that need angles: of more boxes at once, for each waits for divisions."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = stack_columns(out, ROWS), stack_columns(out, ROWS)
    angle_a, angle_b, values = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    side_a, side_b, zero = (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1), out.dtype.type(0)
    for j in range(ROWS):
        ax0[j], ay0[j], ax1[j], ay1[j] = zero, zero, zero, zero
        bx0[j], by0[j], bx1[j], by1[j] = zero, zero, zero, zero
    found = True
    for s in range(first, last, ROWS):
        n = min(ROWS, last - s)
        for j in range(0, n, WIDE):
            if ahead:
                prefetch_numbers(a, 4 * (s + j + ahead), 4 * WIDE)
                prefetch_numbers(b, 4 * (s + j + ahead), 4 * WIDE)
            rows_to_lanes(a, s + j, side_a, j)
            rows_to_lanes(b, s + j, side_b, j)
        found &= measure_columns(beta, side_a, side_b, angle_a, angle_b, values)
        for j in range(0, n, WIDE):
            lanes_to_vector(values, j, out, s + j)
    return found


@device
def copy_rows(corners, first, n, tile, filled):
    """Copy n rows of corners of any strides to a tile; boxes of one pixel fill it up."""
    zero, one = tile.dtype.type(0), tile.dtype.type(1)
    if corners.strides[1] == corners.itemsize:
        for j in range(n):
            copy_row(corners, first + j, tile, j)
    else:
        for j in range(n):
            for k in range(4):
                tile[j, k] = corners[first + j, k]
    for j in range(n, filled):
        tile[j, 0], tile[j, 1], tile[j, 2], tile[j, 3] = zero, zero, one, one


def box_of(corners, row):
    """Return a row of corners as a box, with its angle if the metric compares angles."""
    x0, y0, x1, y1 = corners[row, 0], corners[row, 1], corners[row, 2], corners[row, 3]
    return box(x0, y0, x1, y1, aspect(x1 - x0, y1 - y0) if ANGLES else x0)


def corners(beta, a, b, span, out):
    """Write the values of the rows of a span of two arrays of corners; return whether all boxes are valid and safe.

    Where some are not, the rows are measured again WIDE at a time, so that one such box costs little.
    """
    first, last = span
    tile_a, tile_b, values = stack_tile(out, ROWS, 4), stack_tile(out, ROWS, 4), stack_array(out, ROWS)
    in_block, ahead = is_block(a) & is_block(b), rows_ahead(a, a.shape[0])
    begin, bad = first, first  # rows before `bad` are measured again
    while begin < last:
        end = min(begin + (WIDE if begin < bad else AT_ONCE), last)
        whole = end - (end - begin) % WIDE if in_block else begin
        safe = measure_corners(beta, a, b, begin, whole, ahead, out)
        for s in range(whole, end, ROWS):
            n = min(ROWS, end - s)
            filled = (n + WIDE - 1) // WIDE * WIDE
            copy_rows(a, s, n, tile_a, filled)
            copy_rows(b, s, n, tile_b, filled)
            safe &= measure_corners(beta, tile_a, tile_b, 0, filled, 0, values)
            for j in range(n):
                out[s + j] = values[j]
        if safe:
            begin = end
        elif begin < bad:
            for i in range(begin, end):
                out[i] = robust(box_of(a, i), box_of(b, i), beta)
            begin = end
        else:
            bad = end
    return bad == first


def aligned(beta, a, b, span, out):
    """Write the values of the rows of a span of two sets of columns."""
    first, last = span
    layouts = layout_of(a), layout_of(b)
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = stack_columns(out, ROWS), stack_columns(out, ROWS)
    angle_a, angle_b, values = stack_array(out, ROWS), stack_array(out, ROWS), stack_array(out, ROWS)
    side_a, side_b = (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1)
    for s in range(first, last, ROWS):
        n = min(ROWS, last - s)
        read_rows(a, layouts[0], s, n, ax0, ay0, ax1, ay1)
        read_rows(b, layouts[1], s, n, bx0, by0, bx1, by1)
        if not measure_columns(beta, side_a, side_b, angle_a, angle_b, values):
            for j in range(n):
                one = box(ax0[j], ay0[j], ax1[j], ay1[j], angle_a[j])
                values[j] = robust(one, box(bx0[j], by0[j], bx1[j], by1[j], angle_b[j]), beta)
        write_values(values, n, out, s)


_MEASURED = {False: measure_corners, True: measure_corners_with_angles}
_BOUND = with_loops(with_loops(METRICS, box_of), measure_columns, compiled=inlined)
BOUND = {
    name: {**names, "measure_corners": inlined(rebound(_MEASURED[names["ANGLES"]], names, name))}
    for name, names in _BOUND.items()
}
ALIGNED = Kernel(aligned, lambda t: types.void(t, side(t), side(t), group(i8, i8), vector(t)), BOUND)
CORNERS = Kernel(corners, lambda t: types.boolean(t, readonly(t, 2), readonly(t, 2), group(i8, i8), vector(t)), BOUND)
