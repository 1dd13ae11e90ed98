"""The candidates of truths on grids of points, from the truths alone: no point is visited to count them."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.windows import (
    candidate_box,
    coordinate,
    corners_at,
    grid_type,
    in_range,
    level_at,
    points_of,
    range_of,
    shape_type,
    too_near,
    truths_type,
    within_reach,
)
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, vector


@device
def near_columns(axis, i, j, low, high, least, strict):
    """Count the columns that are too near to both ends of a side."""
    n = 0
    for column in range(i, j):
        n += too_near(coordinate(axis, column, low), low, high, least, strict)
    return n


def count(grid, truths, shape, ranges, reach, span, outputs):
    """Count the candidates of each truth of the images of a span: by level, and those that reach all its sides.

    An invalid truth has none, and is marked. `reach` is in strides, 0 to count none.
    """
    (boxes, starts), (first, last), (counts, reaching, valid) = truths, span, outputs
    levels, steps, strides, images, offset = grid
    radius, strict = shape[1], shape[5]
    zero = radius - radius
    for image in range(first, last):
        for g in range(starts[image], starts[image + 1]):
            x0, y0, x1, y1 = corners_at(boxes, g)
            box = candidate_box((x0, y0, x1, y1), shape)
            reaching[g], valid[g] = 0, x0 == x0
            for k in range(strides.size):
                across, down, _ = level_at(levels, steps, offset, images[image] + k)
                limits = range_of(ranges, k)
                top, bottom, left, right = in_range(across, down, box, radius * strides[k], limits, shape)
                n = (bottom - top) * (right - left)
                if n and limits[0] > zero:
                    wide = near_columns(across, left, right, box[0], box[2], limits[0], strict)
                    n -= wide * near_columns(down, top, bottom, box[1], box[3], limits[0], strict)
                if n and reach > zero:
                    left, right = within_reach(across, left, right, x0, x1, reach * strides[k], False)
                    top, bottom = within_reach(down, top, bottom, y0, y1, reach * strides[k], False)
                    reaching[g] += (right - left) * (bottom - top)
                counts[g, k] = n


@device
def visit(grid, image, box, shape, ranges, claims, turn):
    """Count a truth for each of its candidates, or tell whether it has any, and whether one is its alone."""
    levels, steps, strides, images, offset = grid
    found = alone = False
    for k in range(strides.size):
        across, down, begin = level_at(levels, steps, offset, images[image] + k)
        limits = range_of(ranges, k)
        top, bottom, left, right = in_range(across, down, box, shape[1] * strides[k], limits, shape)
        for row in range(top, bottom):
            low = too_near(coordinate(down, row, box[0]), box[1], box[3], limits[0], shape[5])
            for column in range(left, right):
                if low and too_near(coordinate(across, column, box[0]), box[0], box[2], limits[0], shape[5]):
                    continue
                p = begin + row * across[0] + column
                if turn == 0:
                    claims[p] += 1
                else:
                    found = True
                    alone |= claims[p] == 1
    return found, alone


def share(grid, truths, shape, ranges, span, shared):
    """Tell of each truth of the images of a span whether it has candidates, and all are other truths' as well."""
    (boxes, starts), (first, last) = truths, span
    levels, strides, images = grid[0], grid[2], grid[3]
    most = 0
    for image in range(first, last):
        most = max(most, points_of(levels, images[image] + strides.size - 1))
    claims = np.empty(most, np.int32)
    for image in range(first, last):
        claims[: points_of(levels, images[image] + strides.size - 1)] = 0
        for turn in range(2):  # counts every truth of a point, then looks for points of one truth
            for g in range(starts[image], starts[image + 1]):
                box = candidate_box(corners_at(boxes, g), shape)
                found, alone = visit(grid, image, box, shape, ranges, claims, turn)
                if turn == 1:
                    shared[g] = found and not alone


def _count_type(t):
    numbers = grid_type(t), truths_type(t), shape_type(t), vector(t, 2), t
    return types.void(*numbers, group(i8, i8), group(vector(i8, 2), vector(i8), vector(types.boolean)))


def _share_type(t):
    numbers = grid_type(t), truths_type(t), shape_type(t), vector(t, 2)
    return types.void(*numbers, group(i8, i8), vector(types.boolean))


COUNT = Kernel(count, _count_type, {"": {}})
SHARE = Kernel(share, _share_type, {"": {}})
