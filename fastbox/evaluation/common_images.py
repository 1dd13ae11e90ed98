"""The images that detections and truths have in common, and what to do where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.errors import InputWarning, warn
from fastbox.evaluation.alike import alike

__all__ = ["CommonImages"]

SHOWN = 3  # examples of each side


@dataclass
class CommonImages:
    """The images with boxes of both sides and those with boxes of one, added by sets of images.

    Attributes
    ----------
    counts : dict of str to int
        Images with boxes of ``both``, of only ``detections``, of only ``truths``.
    examples : dict of str to list
        Some ids of images with only ``detections`` and with only ``truths``.
    """

    counts: dict[str, int] = field(default_factory=lambda: {"both": 0, "detections": 0, "truths": 0})
    examples: dict[str, list[Any]] = field(default_factory=lambda: {"detections": [], "truths": []})

    def add(self, ids: NDArray[Any] | None, bounds: NDArray[np.int64], truth_bounds: NDArray[np.int64]) -> None:
        """Add images by their ids, if there are any, and the bounds of the boxes of both sides."""
        own, its = np.diff(bounds) > 0, np.diff(truth_bounds) > 0
        for name, there in (("both", own & its), ("detections", own & ~its), ("truths", its & ~own)):
            self.counts[name] += int(np.count_nonzero(there))
            if ids is not None and name != "both" and len(self.examples[name]) < SHOWN:
                self._keep(name, ids[np.flatnonzero(there)[:SHOWN]].tolist())

    def __add__(self, other: CommonImages) -> CommonImages:
        both = CommonImages()
        both.counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        for part in (self, other):
            for name, ids in part.examples.items():
                both._keep(name, ids)
        return both

    def are_apart(self) -> bool:
        """Tell whether both sides have boxes, but of no image both."""
        return not self.counts["both"] and bool(self.counts["detections"] and self.counts["truths"])

    def ids_of_both(self, files: Sequence[str]) -> str:
        """Return examples of the ids of both sides, which are apart, and advice to make them alike."""
        own, its = (", ".join(map(repr, ids)) for ids in self.examples.values())
        fix = alike(*self.examples.values()) or "write the ids of both alike, or name their columns"
        return f"image ids such as {own} in {files[0]} and {its} in {files[1]}: {fix}"

    def warn(self, files: Sequence[str]) -> None:
        """Warn if both sides are apart."""
        if self.are_apart():
            warn(InputWarning(f"no image has boxes in both tables, {self.ids_of_both(files)}"))

    def _keep(self, name: str, ids: Sequence[Any]) -> None:
        self.examples[name] = [*self.examples[name], *ids][:SHOWN]
