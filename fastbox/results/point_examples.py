"""Truths that a detector can't learn, with the points around them, as examples for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.anchors import PointGrid
from fastbox.anchors.letterbox import Placed

if TYPE_CHECKING:
    from fastbox.report.page.example import Example

__all__ = ["Drawn", "PointExamples"]

SHOWN = 8
AROUND = 1.5  # sides of a view in sides of its box, at least
ACROSS = 16  # points side by side in a view, at most: levels of finer strides are left out
STRIDES = 3.0  # sides of a view in finest strides, at least


class Drawn(NamedTuple):
    """Truths that may be drawn.

    Attributes
    ----------
    ids, rows, image : array
        The id of each truth's image, its row in the table, and the number of its image in `placed`.
    corners : array of shape (n, 4)
        In pixels of the input.
    placed : Placed
    """

    ids: NDArray[Any]
    rows: NDArray[np.int64]
    image: NDArray[np.int64]
    corners: NDArray[Any]
    placed: Placed


class PointExamples:
    """The largest starved truths and the largest that no candidate reaches, by setting, collected chunk by chunk."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], list[tuple[float, int, Example]]] = {}

    def add(self, name: str, grid: PointGrid, kinds: Mapping[str, NDArray[np.bool_] | None], drawn: Drawn) -> None:
        """Add truths of a chunk to the examples of a setting, given a mask of each kind."""
        area = np.prod(drawn.corners[:, 2:] - drawn.corners[:, :2], axis=1, dtype=np.float64)
        for kind, mask in kinds.items():
            some = np.zeros(0, np.int64) if mask is None else np.flatnonzero(mask)
            kept = self._kept.setdefault((kind, name), [])
            for place in some[np.argsort(-area[some], kind="stable")[:SHOWN]].tolist():
                kept.append((-float(area[place]), int(drawn.rows[place]), _example(drawn, place, grid, kind)))
            kept.sort(key=lambda one: one[:2])
            del kept[SHOWN:]

    def of(self, kind: str) -> dict[str, list[Example]]:
        """The examples of a kind, by the name of their setting."""
        return {name: [one for *_, one in kept] for (own, name), kept in self._kept.items() if own == kind and kept}


def _example(drawn: Drawn, truth: int, grid: PointGrid, kind: str) -> Example:
    """Return a truth and the points around it, drawn in pixels of the image."""
    from fastbox.report.page.example import Box, Example

    image, placed = str(drawn.ids[truth]), drawn.placed.one(int(drawn.image[truth]))
    x0, y0, x1, y1 = map(float, drawn.corners[truth])
    longest = AROUND * max(x1 - x0, y1 - y0)
    least = grid.strides[-1] if kind == "unreached" else longest / ACROSS
    strides = tuple(stride for stride in grid.strides if stride >= least) or grid.strides[-1:]
    side = max(longest, STRIDES * strides[0])
    low, high = ((x0 + x1 - side) / 2, (y0 + y1 - side) / 2), ((x0 + x1 + side) / 2, (y0 + y1 + side) / 2)
    width, height = placed.sizes[0].tolist()
    dots = [
        (x, y)
        for stride, level in zip(grid.strides, grid.levels_of((width, height)), strict=True)
        if stride in strides
        for x in level.xs[(level.xs >= low[0]) & (level.xs <= high[0])].tolist()
        for y in level.ys[(level.ys >= low[1]) & (level.ys <= high[1])].tolist()
    ]
    (left, top), (right, bottom) = placed.back(x0, y0), placed.back(x1, y1)
    label = f"truth of {x1 - x0:.4g} × {y1 - y0:.4g} in the input"
    return Example(
        f"image {image}, row {drawn.rows[truth]}",
        [Box((left, top, right, bottom), label, "truth")],
        image if placed.given is not None else None,
        placed.given,
        side=side / float(placed.factors.max()),
        dots=[placed.back(x, y) for x, y in dots],
        dots_label=f"points of stride {', '.join(map(str, strides))}",
    )
