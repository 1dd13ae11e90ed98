"""The problems that only rotated boxes can have: crossing edges, odd angles, and quadrilaterals of other shapes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import QUADS
from fastbox.ops.aligned import aligned

__all__ = ["RECTANGULAR", "problems_of", "sides_in"]

Floats = NDArray[np.float64]
RECTANGULAR = 0.99  # the least IoU of a quadrilateral with its rectangle


def sides_in(boxes: RotatedBoxes) -> tuple[Floats, Floats]:
    """Return widths and heights in float64; of quadrilaterals those of their rectangles of smallest area.

    >>> sides_in(RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy"))
    (array([4.]), array([2.]))
    """
    with np.errstate(invalid="ignore", over="ignore"):
        _, _, w, h, _ = boxes.rectangles().columns
    return w.astype(np.float64), h.astype(np.float64)


def problems_of(boxes: RotatedBoxes) -> dict[str, tuple[NDArray[np.bool_], Floats | None]]:
    """Return for each code the boxes that have the problem, as a mask, and the measured values.

    >>> found = problems_of(RotatedBoxes([[0, 0, 4, 2, 90], [0, 0, 4, 2, 1]], "cxcywhr"))
    >>> [code for code, (mask, _) in found.items() if mask.any()]
    ['degrees_as_radians']
    """
    reasons = boxes.invalid()
    found: dict[str, tuple[NDArray[np.bool_], Floats | None]] = {}
    if boxes.geometry != QUADS:
        angle = boxes.columns[4].astype(np.float64)
        degrees = boxes.format.endswith("d")
        turn = 360.0 if degrees else 2 * math.pi
        usable = reasons == 0
        found["angle_too_large"] = reasons == 3, angle
        with np.errstate(invalid="ignore"):
            beyond = usable & (np.abs(angle) > turn)
        found["angle_beyond_turn" if degrees else "degrees_as_radians"] = beyond, angle
        return found
    found["edges_cross"] = reasons == 4, None
    corners = boxes.corners()
    repeated = np.zeros(len(boxes), np.bool_)
    for first in range(4):
        for second in range(first + 1, 4):
            repeated |= (corners[:, first] == corners[:, second]).all(axis=1)
    found["repeated_corner"] = repeated & (reasons == 0), None
    values = np.full(len(boxes), np.nan)
    rows = np.flatnonzero(reasons == 0)
    some = boxes[rows]
    values[rows] = aligned(some, some.rectangles()).astype(np.float64)
    w, h = sides_in(boxes)
    with np.errstate(invalid="ignore"):
        found["not_a_rectangle"] = (values < RECTANGULAR) & (w > 0) & (h > 0), values
    return found
