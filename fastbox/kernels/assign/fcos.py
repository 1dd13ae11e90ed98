"""FCOS: each point learns the smallest of the truths that it may learn (Tian et al., ICCV 2019).

Truths alone decide. Peers prefer the least area, the area of whole pixels (legacy), or the greatest 1e8 - area, whose
rounding makes areas equal that are less than about 8 apart.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.point_codes import LEGACY_AREA, TORCHVISION_AREA
from fastbox.kernels.assign.positives import fill, listed, longer, outputs_type, space_type
from fastbox.kernels.assign.windows import (
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
)
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, vector


@device
def rank(x0, y0, x1, y1, style):
    """Return the number by which truths are ordered, the least first."""
    T = type(x0)
    one = T(1) if style == LEGACY_AREA else T(0)
    area = (x1 - x0 + one) * (y1 - y0 + one)
    return area - T(1e8) if style == TORCHVISION_AREA else area


@inlined
def offer(level, place, truth, g, mine, limits, strict, key, owner):
    """Give a truth the points of a window that it may have and that have no smaller truth yet."""
    across, down, begin = level
    top, bottom, left, right = place
    x0, y0, x1, y1 = truth
    for row in range(top, bottom):
        low = limits[0] > type(mine)(0) and too_near(coordinate(down, row, mine), y0, y1, limits[0], strict)
        start = begin + row * across[0]
        for column in range(left, right):
            p = np.uint64(start + column)
            if mine < key[p] and not (low and too_near(coordinate(across, column, mine), x0, x1, limits[0], strict)):
                key[p], owner[p] = mine, g


@inlined
def write_owned(first, members, m, most, key, owner, positives, points, rows, found):
    """Write an image's positives behind the rows found, and take all truths from their points."""
    for j in range(m):
        p = members[j]
        points[found], rows[found] = p, first + owner[p]
        positives[first + owner[p]] += 1
        key[p], owner[p] = most, -1
        found += 1


def fcos(grid, truths, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positive points and their truths."""
    (boxes, starts), (shape, ranges, style), (first, last) = truths, rule, span
    levels, steps, strides, images, offset = grid
    counts, positives, _ = outputs
    T = ranges.dtype.type
    # torchvision's keys are 1e8 - area and begin at 0; what is below 1e-5 is no positive.
    most = np.nextafter(T(-1e-5), T(0)) if style == TORCHVISION_AREA else T(1e8)
    key, owner, members = space[0][0], space[1][0], space[1][1]
    fill(key, key.size, most)
    fill(owner, owner.size, np.int32(-1))
    points, rows = np.empty(256, np.int64), np.empty(256, np.int64)
    found = 0
    for image in range(first, last):
        s, e = starts[image], starts[image + 1]
        for g in range(s, e):
            truth = corners_at(boxes, g)
            mine = rank(*truth, style)
            for k in range(strides.size):
                level = level_at(levels, steps, offset, images[image] + k)
                limits = range_of(ranges, k)
                place = in_range(level[0], level[1], truth, shape[1] * strides[k], limits, shape)
                offer(level, place, truth, np.int32(g - s), mine, limits, shape[5], key, owner)
        n = points_of(levels, images[image] + strides.size - 1) if s < e else 0
        m = listed(owner, n, members)
        points, rows = longer(points, found + m), longer(rows, found + m)
        write_owned(s, members, m, most, key, owner, positives, points, rows, found)
        counts[image] = m
        found += m
    return points[:found], rows[:found]


def _signature(t):
    rule = group(shape_type(t), vector(t, 2), i8)
    found = group(vector(i8), vector(i8))
    return found(grid_type(t), truths_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


FCOS = Kernel(fcos, _signature, {"": {}})
