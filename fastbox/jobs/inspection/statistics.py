"""Sizes, shapes, places and crowding of boxes: only counts, so that parts add up to the whole."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.jobs.inspection.view import View
from fastbox.result import Invalid
from fastbox.sketch import Sketch
from fastbox.values.coco import AREA_BOUNDS, SIZES

__all__ = ["Statistics"]

GRID = 16
CROWDED = 0.5
BORDER = 1.0  # pixels
SIDES = ("left", "top", "right", "bottom")
EDGES = {
    "boxes_per_image": [0.0, *(2.0**k for k in range(21))],
    "side": [0.0, *(2.0**k for k in range(-4, 15))],
    "aspect": [0.0, *(2.0**k for k in range(-7, 8))],
    "best_overlap": [float(edge) for edge in np.linspace(0, 1, 17)],
}


@dataclass
class Statistics:
    """The sizes, shapes, places and crowding of the boxes of a table.

    Attributes
    ----------
    images, images_without_boxes, boxes : int
    invalid : Invalid
        The number of invalid boxes by reason. All other figures are of valid boxes.
    sizes : array of shape (3,)
        The number of small, medium and large boxes, by COCO's bounds.
    crowded : int
        The number of boxes whose best IoU with another box of their image is above 0.50.
    placed : int
        The number of boxes in images of known size. The figures of places below are of these boxes.
    borders : array of shape (4,)
        The number of boxes within 1 pixel of the left, top, right and bottom border.
    truncated : int
        The number of boxes that reach any border.
    heat : array of shape (16, 16)
        The number of centres in each cell of a grid over the image; centres outside are in no cell.
    boxes_per_image, side, aspect, best_overlap : Sketch
        Boxes of each image; sqrt(area) in pixels; width over height of boxes with an area; best IoU with another box
        of the image.
    """

    images: int = 0
    images_without_boxes: int = 0
    boxes: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    crowded: int = 0
    placed: int = 0
    borders: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    truncated: int = 0
    heat: NDArray[np.int64] = field(default_factory=lambda: np.zeros((GRID, GRID), np.int64))
    boxes_per_image: Sketch = field(default_factory=Sketch)
    side: Sketch = field(default_factory=Sketch)
    aspect: Sketch = field(default_factory=Sketch)
    best_overlap: Sketch = field(default_factory=Sketch)

    def add(self, view: View, best: NDArray[np.float64]) -> None:
        """Add a chunk, given the best IoU of each of its boxes with another box."""
        self.images += len(view.ids)
        self.images_without_boxes += int((view.counts == 0).sum())
        self.boxes += len(view.image)
        self.boxes_per_image.add(view.counts)
        self.invalid.add(view.reasons)
        valid = view.valid
        w, h = view.w[valid], view.h[valid]
        with np.errstate(over="ignore"):
            area = w * h
        self.side.add(np.sqrt(area))
        self.sizes += np.bincount(np.searchsorted(AREA_BOUNDS, area, side="right"), minlength=3)
        sides = (w > 0) & (h > 0)
        with np.errstate(over="ignore"):
            self.aspect.add(w[sides] / h[sides])
        self.best_overlap.add(best[valid])
        self.crowded += int((best[valid] > CROWDED).sum())
        self._place(view, valid)

    def _place(self, view: View, valid: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(valid & (view.across > 0) & (view.down > 0))
        self.placed += len(rows)
        if not len(rows):
            return
        x0, y0, x1, y1, across, down = (
            column[rows] for column in (view.x0, view.y0, view.x1, view.y1, view.across, view.down)
        )
        near = np.stack([x0 <= BORDER, y0 <= BORDER, x1 >= across - BORDER, y1 >= down - BORDER])
        self.borders += near.sum(axis=1)
        self.truncated += int(near.any(axis=0).sum())
        x, y = (x0 / 2 + x1 / 2) / across, (y0 / 2 + y1 / 2) / down
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        column, row = (np.minimum(place[inside] * GRID, GRID - 1).astype(np.int64) for place in (x, y))
        self.heat += np.bincount(row * GRID + column, minlength=GRID * GRID).reshape(GRID, GRID)

    def __add__(self, other: Statistics) -> Statistics:
        """Return the statistics of both parts."""
        both = Statistics()
        for entry in fields(self):
            if entry.name != "invalid":
                setattr(both, entry.name, getattr(self, entry.name) + getattr(other, entry.name))
        for reason in fields(Invalid):
            counts = (getattr(one.invalid, reason.name) for one in (self, other))
            setattr(both.invalid, reason.name, sum(counts))
        return both

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it; None where no image's size is known."""
        valid = self.boxes - sum(self.invalid.to_dict().values())
        placed = {
            "boxes": self.placed,
            "truncated": self.truncated,
            "borders": dict(zip(SIDES, self.borders.tolist(), strict=True)),
            "heat": self.heat.tolist(),
        }
        return {
            "images": self.images,
            "images_without_boxes": self.images_without_boxes,
            "boxes": self.boxes,
            "valid": valid,
            "invalid": {"boxes": self.invalid.to_dict()},
            "sizes": dict(zip(SIZES, self.sizes.tolist(), strict=True)),
            "crowding": {"above": CROWDED, "boxes": self.crowded},
            "place": placed if self.placed else None,
            "metrics": {
                name: {"unit": "px" if name == "side" else None, **getattr(self, name).to_dict(edges)}
                for name, edges in EDGES.items()
            },
        }
