"""Boxes of an image, drawn to scale: a module of its own, because every evaluation makes some, and few make a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Example"]


@dataclass(frozen=True)
class Box:
    """A box in an example: corners in pixels, its label, and its role in :mod:`fastbox.report.palette`."""

    corners: tuple[float, float, float, float]
    label: str
    role: str


@dataclass(frozen=True)
class Example:
    """Some boxes of an image, drawn to scale."""

    caption: str
    boxes: Sequence[Box]

    @property
    def view(self) -> tuple[float, float, float, float]:
        """The view of the drawing: x, y, width and height around all boxes, with a margin."""
        x0, y0 = (min(box.corners[k] for box in self.boxes) for k in (0, 1))
        x1, y1 = (max(box.corners[k] for box in self.boxes) for k in (2, 3))
        side = max(x1 - x0, y1 - y0, 1e-6)
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        return middle[0] - 0.6 * side, middle[1] - 0.6 * side, 1.2 * side, 1.2 * side

    def placed(self) -> list[tuple[Box, float, float, float, float]]:
        """The boxes as x, y, width and height in a view 100 wide and high."""
        x, y, side, _ = self.view
        scale = 100 / side
        return [
            (
                box,
                round((box.corners[0] - x) * scale, 2),
                round((box.corners[1] - y) * scale, 2),
                round(max(box.corners[2] - box.corners[0], 0) * scale, 2),
                round(max(box.corners[3] - box.corners[1], 0) * scale, 2),
            )
            for box in self.boxes
        ]
