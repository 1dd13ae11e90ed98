"""The kernels that assign quadrilaterals, and rectangles and plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.assign.geometry import kernels_of
from fastbox.kernels.build.device import inlined
from fastbox.kernels.codes import XYXY
from fastbox.kernels.compare.quads import BOUND
from fastbox.kernels.geometry.quads import pack
from fastbox.kernels.geometry.rotated_metrics import OF_QUADS


@inlined
def as_side(corners, row):
    x0, y0, x1, y1 = corners[row], corners[row + 1], corners[row + 2], corners[row + 3]
    return XYXY, x0, y0, x1, y1, x0, x0, x0, x0


BOXES, GREEDY, GRID = kernels_of(BOUND, pack, OF_QUADS["iof"], as_side, {}, 8, __name__)
