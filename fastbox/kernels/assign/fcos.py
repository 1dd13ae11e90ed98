"""FCOS: each point learns the smallest of the truths that it may learn (Tian et al., ICCV 2019).

Truths alone decide. Peers prefer the least area, the area of whole pixels (legacy), or the greatest 1e8 - area, whose
rounding makes areas equal that are less than about 8 apart.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.assign.point_codes import LEGACY_AREA, TORCHVISION_AREA
from fastbox.kernels.assign.positives import fill, longer, outputs_type, owned, space_type
from fastbox.kernels.assign.windows import (
    corners_at,
    grid_type,
    in_range,
    level_at,
    points_of,
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


@device
def offer(grid, image, truth, g, shape, ranges, style, state):
    """Give a truth the points that it may have and that have no smaller truth yet."""
    key, owner = state
    xs, ys = grid[0], grid[1]
    x0, y0, x1, y1 = truth
    mine = rank(x0, y0, x1, y1, style)
    for k in range(grid[3].size):
        x, columns, y, _, begin = level_at(grid, image, k)
        top, bottom, left, right = in_range(grid, image, k, truth, shape, ranges)
        for row in range(top, bottom):
            low = too_near(ys[y + row], y0, y1, ranges[k, 0], shape[5])
            for column in range(left, right):
                p = begin + row * columns + column
                if mine < key[p] and not (low and too_near(xs[x + column], x0, x1, ranges[k, 0], shape[5])):
                    key[p], owner[p] = mine, g


@inlined
def write_owned(first, n, owner, positives, points, rows, found):
    """Write an image's positives behind the rows found."""
    for p in range(n):
        if owner[p] >= 0:
            points[found], rows[found] = p, first + owner[p]
            positives[first + owner[p]] += 1
            found += 1


def fcos(grid, truths, rule, span, outputs, space):
    """Assign points to the truths of the images of a span; return the positive points and their truths."""
    (boxes, starts), (shape, ranges, style), (first, last) = truths, rule, span
    counts, positives, _ = outputs
    T = ranges.dtype.type
    # torchvision's keys are 1e8 - area and begin at 0; what is below 1e-5 is no positive.
    most = np.nextafter(T(-1e-5), T(0)) if style == TORCHVISION_AREA else T(1e8)
    key, owner = space[0][0], space[1][0]
    points, rows = np.empty(256, np.int64), np.empty(256, np.int64)
    found = 0
    for image in range(first, last):
        s, e = starts[image], starts[image + 1]
        n = points_of(grid, image) if s < e else 0
        fill(key, n, most)
        fill(owner, n, np.int32(-1))
        for g in range(s, e):
            offer(grid, image, corners_at(boxes, g), g - s, shape, ranges, style, (key, owner))
        m = owned(owner, n)
        points, rows = longer(points, found + m), longer(rows, found + m)
        write_owned(s, n, owner, positives, points, rows, found)
        counts[image] = m
        found += m
    return points[:found], rows[:found]


def _signature(t):
    rule = group(shape_type(t), vector(t, 2), i8)
    found = group(vector(i8), vector(i8))
    return found(grid_type(t), truths_type(t), rule, group(i8, i8), outputs_type(t), space_type(t))


FCOS = Kernel(fcos, _signature, {"": {}})
