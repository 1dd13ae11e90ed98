"""Truths that a detector can't learn, with the points around them, as examples for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox.anchors import PointGrid
from fastbox.anchors.letterbox import Placed
from fastbox.results.point_counts import Seen
from fastbox.tables.chunk import Chunk

if TYPE_CHECKING:
    from fastbox.report.page.example import Example

__all__ = ["PointExamples"]

SHOWN = 8
AROUND = 1.5  # sides of a view in sides of its box, at least
STRIDES = 3.0  # sides of a view in finest strides, at least


class PointExamples:
    """The largest starved truths and the largest that no candidate reaches, by setting, collected chunk by chunk."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], list[tuple[float, int, Example]]] = {}

    def add(
        self,
        chunk: Chunk,
        name: str,
        grid: PointGrid,
        seen: Seen,
        places: tuple[NDArray[np.int64], NDArray[np.int64]],
        corners: NDArray[Any],
        placed: Placed,
    ) -> None:
        """Add truths of a chunk, given their rows and images in the chunk, and where the images are in their inputs."""
        rows, image = places
        area = np.prod(corners[:, 2:] - corners[:, :2], axis=1, dtype=np.float64)
        for kind, mask in (("starved", seen.totals == 0), ("unreached", seen.unreached)):
            some = np.zeros(0, np.int64) if mask is None else np.flatnonzero(mask)
            kept = self._kept.setdefault((kind, name), [])
            for place in some[np.argsort(-area[some], kind="stable")[:SHOWN]].tolist():
                row, own = int(chunk.a_rows(rows[place])), placed.one(int(image[place]))
                assert chunk.images is not None
                label = str(chunk.images[image[place]])
                kept.append((-float(area[place]), row, _example(label, row, corners[place], grid, own, kind)))
            kept.sort(key=lambda one: one[:2])
            del kept[SHOWN:]

    def of(self, kind: str) -> dict[str, list[Example]]:
        """The examples of a kind, by the name of their setting."""
        return {name: [one for *_, one in kept] for (own, name), kept in self._kept.items() if own == kind and kept}


def _example(image: str, row: int, corners: NDArray[Any], grid: PointGrid, placed: Placed, kind: str) -> Example:
    """Return a truth and the points around it, drawn in pixels of the image."""
    from fastbox.report.page.example import Box, Example

    x0, y0, x1, y1 = map(float, corners)
    starved = kind == "starved"
    strides = grid.strides if starved else grid.strides[-1:]
    side = max(AROUND * max(x1 - x0, y1 - y0), STRIDES * strides[0])
    low, high = ((x0 + x1 - side) / 2, (y0 + y1 - side) / 2), ((x0 + x1 + side) / 2, (y0 + y1 + side) / 2)
    width, height = placed.sizes[0].tolist()
    dots = [
        (x, y)
        for level in grid.levels_of((width, height))[-len(strides) :]
        for x in level.xs[(level.xs >= low[0]) & (level.xs <= high[0])].tolist()
        for y in level.ys[(level.ys >= low[1]) & (level.ys <= high[1])].tolist()
    ]
    (left, top), (right, bottom) = placed.back(x0, y0), placed.back(x1, y1)
    label = f"truth of {x1 - x0:.4g} × {y1 - y0:.4g} in the input"
    return Example(
        f"image {image}, row {row}",
        [Box((left, top, right, bottom), label, "truth")],
        image if placed.given is not None else None,
        placed.given,
        side=side / float(placed.factors.max()),
        dots=[placed.back(x, y) for x, y in dots],
        dots_label=f"points of stride {', '.join(map(str, strides))}",
    )
