"""The candidates of truths on grids of points, from the truths alone: no point is visited to count them."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.point_codes import WIDENED
from fastbox.kernels.assign.windows import (
    corners_at,
    grid_type,
    in_range,
    level_at,
    points_of,
    shape_type,
    too_near,
    truths_type,
    widened,
    within_reach,
)
from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, vector


@device
def candidate_box(truth, shape):
    """Return the box that a truth's candidates lie in: the truth, or its widened box."""
    if shape[0] == WIDENED:
        x0, y0, x1, y1 = truth
        return widened(x0, y0, x1, y1, shape[2], shape[3])
    return truth


@device
def near_points(grid, image, k, truth, place, least, strict):
    """Count the points of a window that are too near to all sides of a truth for their level."""
    xs, ys = grid[0], grid[1]
    x, _, y, _, _ = level_at(grid, image, k)
    x0, y0, x1, y1 = truth
    top, bottom, left, right = place
    wide = high = 0
    for i in range(left, right):
        wide += too_near(xs[x + i], x0, x1, least, strict)
    for j in range(top, bottom):
        high += too_near(ys[y + j], y0, y1, least, strict)
    return wide * high


@device
def reaching_points(grid, image, k, truth, place, most):
    """Count the points of a window that reach all sides of a truth."""
    x, _, y, _, _ = level_at(grid, image, k)
    x0, y0, x1, y1 = truth
    top, bottom, left, right = place
    left, right = within_reach(grid[0], x, left, right, x0, x1, most, False)
    top, bottom = within_reach(grid[1], y, top, bottom, y0, y1, most, False)
    return (right - left) * (bottom - top)


def count(grid, truths, shape, ranges, reach, span, outputs):
    """Count the candidates of each truth of the images of a span: by level, and those that reach all its sides.

    An invalid truth has none, and is marked. `reach` is in strides, 0 to count none.
    """
    (boxes, starts), (first, last), (counts, reaching, valid) = truths, span, outputs
    strides = grid[3]
    for image in range(first, last):
        for g in range(starts[image], starts[image + 1]):
            truth = corners_at(boxes, g)
            one = candidate_box(truth, shape)
            reaching[g], valid[g] = 0, truth[0] == truth[0]
            for k in range(strides.size):
                top, bottom, left, right = in_range(grid, image, k, one, shape, ranges)
                n = (bottom - top) * (right - left)
                place = (top, bottom, left, right)
                if n and ranges.shape[0]:
                    n -= near_points(grid, image, k, one, place, ranges[k, 0], shape[5])
                if n and reach > 0:
                    reaching[g] += reaching_points(grid, image, k, truth, place, reach * strides[k])
                counts[g, k] = n


def share(grid, truths, shape, ranges, span, shared):
    """Tell of each truth of the images of a span whether it has candidates, and all are other truths' as well."""
    (boxes, starts), (first, last) = truths, span
    xs, ys, strides = grid[0], grid[1], grid[3]
    most = 0
    for image in range(first, last):
        most = max(most, points_of(grid, image))
    claims = np.empty(most, np.int32)
    for image in range(first, last):
        claims[: points_of(grid, image)] = 0
        for turn in range(2):  # counts every truth of a point, then looks for points of one truth
            for g in range(starts[image], starts[image + 1]):
                one = candidate_box(corners_at(boxes, g), shape)
                alone = found = False
                for k in range(strides.size):
                    x, columns, y, _, begin = level_at(grid, image, k)
                    top, bottom, left, right = in_range(grid, image, k, one, shape, ranges)
                    for row in range(top, bottom):
                        low = ranges.shape[0] and too_near(ys[y + row], one[1], one[3], ranges[k, 0], shape[5])
                        for column in range(left, right):
                            if low and too_near(xs[x + column], one[0], one[2], ranges[k, 0], shape[5]):
                                continue
                            p = begin + row * columns + column
                            if turn == 0:
                                claims[p] += 1
                            else:
                                found = True
                                alone |= claims[p] == 1
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
