"""Few boxes: all values of two small arrays of corners, by one call without images and threads."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.transpose import WIDE
from fastbox.kernels.build.types import i8, readonly, vector
from fastbox.kernels.compare.measure import BOUND, VALUES, better, measure_extremes, measure_into
from fastbox.kernels.geometry.elementary import aspect
from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.inverted import any_inverted
from fastbox.kernels.geometry.safe_range import safe_area

# Kernel binds this anew for each metric; here it is iou's.
ANGLES = False


def few(beta, a, b, out):
    """Write the values of each row of a with all rows of b; return whether it did.

    If a box is inverted nothing is written: then the caller may have to warn.
    """
    if any_inverted(a) or any_inverted(b):
        return False
    n, m = a.shape[0], b.shape[0]
    whole = (m + WIDE - 1) // WIDE * WIDE
    tile = np.empty((VALUES, whole), out.dtype)
    for j in range(m):
        tile[0, j], tile[1, j], tile[2, j], tile[3, j] = b[j, 0], b[j, 1], b[j, 2], b[j, 3]
    tile[:4, m:] = out.dtype.type(0)
    safe = True
    for j in range(whole):
        x0, y0, x1, y1 = tile[0, j], tile[1, j], tile[2, j], tile[3, j]
        tile[4, j] = safe_area(x0, y0, x1, y1)
        tile[5, j] = aspect(x1 - x0, y1 - y0) if ANGLES else x0
        safe &= tile[4, j] == tile[4, j]
    for i in range(n):
        x0, y0, x1, y1 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        one = Box(x0, y0, x1, y1, safe_area(x0, y0, x1, y1), aspect(x1 - x0, y1 - y0) if ANGLES else x0)
        if i * m + whole <= out.size:  # values behind the row are written again
            measure_into(one, tile, whole, beta, out, i * m)
        else:
            measure_into(one, tile, m, beta, out, i * m)
        if not (safe and one.area == one.area):
            measure_extremes(one, tile, 0, m, beta, out, i * m)
    return True


def leaders(met, distance, values, indices):
    """Write the best of the values of each row and their columns, best first, the lower column at ties."""
    T = values.dtype.type
    n, k = values.shape
    m = met.shape[1]
    for i in range(n):
        ranked, columns = values[i], indices[i]
        count = 0
        for j in range(m):
            value = met[i, j]
            place = count
            while place > 0 and better(value, ranked[place - 1], distance):
                place -= 1
            if place == k or value != value:
                continue
            count = min(count + 1, k)
            for later in range(count - 1, place, -1):
                ranked[later], columns[later] = ranked[later - 1], columns[later - 1]
            ranked[place], columns[place] = value, j
        for place in range(count, k):
            ranked[place], columns[place] = T(np.nan), -1


FEW = Kernel(few, lambda t: types.boolean(t, readonly(t, 2), readonly(t, 2), vector(t)), BOUND)
LEADERS = Kernel(leaders, lambda t: types.void(readonly(t, 2), types.boolean, vector(t, 2), vector(i8, 2)), {"": {}})
