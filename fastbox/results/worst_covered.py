"""The truths that anchors cover least, as examples for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes
from fastbox.boxes.found import frames, outline, sides_of
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.tables.chunk import Chunk
from fastbox.values.groups import groups_of

if TYPE_CHECKING:
    from fastbox.report.page.example import Example

__all__ = ["Least"]

SHOWN = 12


class Least:
    """The truths of the lowest best IoU, collected chunk by chunk; of equal values the first truths."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, Example]] = []

    def add(
        self,
        chunk: Chunk,
        rows: NDArray[np.int64],
        truths: Boxes | RotatedBoxes,
        sizes: NDArray[np.int64],
        best: NDArray[np.floating],
    ) -> None:
        """Add the resized truths of a chunk, with their rows in the chunk."""
        from fastbox.report.page.example import Box, Example

        assert chunk.images is not None and truths.offsets is not None
        known = np.flatnonzero(truths.invalid() == 0)
        for place in known[np.argsort(best[known], kind="stable")[:SHOWN]].tolist():
            image = int(groups_of(place, truths.offsets))
            width, height = map(float, sizes[image])
            truth = truths[place : place + 1]
            x0, y0, x1, y1 = map(float, frames(truth)[0])
            around = outline(truth)
            own = () if around is None else tuple(around[0].tolist())
            wide, high = map(float, sides_of(truth)[0])
            row = int(chunk.a_rows(rows[place]))
            boxes = [
                Box((0.0, 0.0, width, height), f"image of {width:g} × {height:g}", "frame"),
                Box((x0, y0, x1, y1), f"truth of {wide:.4g} × {high:.4g}", "truth", own),
            ]
            name = str(chunk.images[image])
            caption = f"image {name}, row {row}: best IoU {best[place]:.3f}"
            self._kept.append((float(best[place]), row, Example(caption, boxes, name, (width, height))))
        self._kept.sort(key=lambda one: one[:2])
        del self._kept[SHOWN:]

    @property
    def examples(self) -> list[Example]:
        """The kept truths as examples, drawn in their images."""
        return [example for _, _, example in self._kept]
