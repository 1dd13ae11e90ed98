"""A chunk of truths as networks of several inputs see them."""

from __future__ import annotations

import numpy as np

from fastbox.anchors.letterbox import Letterbox, Placed
from fastbox.arrow import columns
from fastbox.boxes.container import Boxes
from fastbox.jobs.resized import given_sizes
from fastbox.tables.chunk import Chunk
from fastbox.values.groups import groups_of_rows

__all__ = ["Letterboxed"]


class Letterboxed:
    """The truths of a chunk without regions to ignore, placed in inputs.

    Parameters
    ----------
    chunk : Chunk
        With columns ``width`` and ``height`` where `sized`.
    ignore : str or None
        The column of flags of regions to ignore, which are left out.
    sized : bool
        False if all boxes are in pixels of the input already.

    Attributes
    ----------
    rows : array of int64
        The rows of the truths in the chunk.
    truths : Boxes
        As given, grouped by image.
    image : array of int64
        The number of each truth's image in the chunk.
    regions : int
        The number of regions to ignore.
    """

    def __init__(self, chunk: Chunk, ignore: str | None, *, sized: bool) -> None:
        offsets = chunk.a.offsets
        assert offsets is not None
        self.given = given_sizes(chunk, offsets) if sized else np.ones((len(offsets) - 1, 2), np.int64)
        self.rows = np.arange(len(chunk.a))
        if ignore is not None:
            self.rows = np.flatnonzero(~columns.flag_column(chunk.a_columns, ignore, chunk.a_rows))
        self.regions = len(chunk.a) - len(self.rows)
        some = chunk.a[self.rows] if self.regions else chunk.a
        own = np.searchsorted(self.rows, offsets)
        self.truths = Boxes.of(some.columns, some.format, own, chunk.images)
        self.image = groups_of_rows(own)
        self._seen: dict[Letterbox, tuple[Boxes, Placed]] = {}

    def seen(self, letterbox: Letterbox) -> tuple[Boxes, Placed]:
        """Return the truths as the network sees them, and the images in their inputs."""
        if letterbox not in self._seen:
            placed = letterbox.place(self.given)
            self._seen[letterbox] = placed.boxes(self.truths, self.image), placed
        return self._seen[letterbox]
