"""The images that two tables have in common, and what to do where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastbox.errors import InputWarning, warn
from fastbox.evaluation.alike import alike
from fastbox.tables.chunk import Chunk

__all__ = ["CommonImages", "ids_of_both"]

SHOWN = 3  # examples of each table


def ids_of_both(examples: Mapping[str, Sequence[Any]], files: Sequence[str]) -> str:
    """Return examples of the ids of both tables, and advice to make them alike."""
    own, its = (", ".join(map(repr, ids)) for ids in examples.values())
    fix = alike(*examples.values()) or "write the ids of both alike, or name their columns"
    return f"image ids such as {own} in {files[0]} and {its} in {files[1]}: {fix}"


class CommonImages:
    """The answer to whether two tables have boxes of one image; ids of images of which only one table has boxes."""

    def __init__(self) -> None:
        self.found = False
        self.examples: dict[str, list[Any]] = {"detections": [], "truths": []}

    def add(self, chunk: Chunk) -> None:
        """Add the images of a chunk of both tables."""
        assert chunk.images is not None and chunk.b is not None
        assert chunk.a.offsets is not None and chunk.b.offsets is not None
        if self.found:
            return
        own, its = (np.diff(offsets) > 0 for offsets in (chunk.a.offsets, chunk.b.offsets))
        self.found = bool((own & its).any())
        for ids, there in zip(self.examples.values(), (own, its), strict=True):
            ids.extend(chunk.images[np.flatnonzero(there)[: SHOWN - len(ids)]].tolist())

    def warn(self, files: Sequence[str]) -> None:
        """Warn if both tables have boxes, and of no image both."""
        if not self.found and all(self.examples.values()):
            warn(InputWarning(f"no image has boxes in both tables, {ids_of_both(self.examples, files)}"))
