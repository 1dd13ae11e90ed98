"""The kernels that assign rotated rectangles, and plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.assign.geometry import kernels_of
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.codes import XYXY
from fastbox.kernels.compare.rotated import BOUND
from fastbox.kernels.geometry.formulas import smaller
from fastbox.kernels.geometry.rotated import pack
from fastbox.kernels.geometry.rotated_metrics import FORMULAS


@inlined
def as_side(corners, row):
    x0, y0, x1, y1 = corners[row], corners[row + 1], corners[row + 2], corners[row + 3]
    return XYXY, x0, y0, x1, y1, x0


@device
def centre_of(box):
    return box.cx, box.cy


@device
def depth_in(box, x, y):
    """Return the least distance of a point inside a rectangle to an edge; below 0 for a point outside."""
    dx, dy = x - box.cx, y - box.cy
    return smaller(box.w - abs(box.cos * dx + box.sin * dy), box.h - abs(box.cos * dy - box.sin * dx))


BOXES, GREEDY, GRID = kernels_of(
    BOUND, pack, FORMULAS["iof"], as_side, {"centre_of": centre_of, "depth_in": depth_in}, 5, __name__
)
