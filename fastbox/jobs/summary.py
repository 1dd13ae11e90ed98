"""What several commands report in the same way: invalid boxes by reason, and the bins of each metric's histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastbox import ops
from fastbox.boxes import Boxes

__all__ = ["Invalid", "edges_of"]


@dataclass
class Invalid:
    """Invalid boxes, by reason."""

    not_finite: int = 0
    inverted: int = 0

    def add(self, boxes: Boxes) -> None:
        """Count the invalid ones among some boxes."""
        reasons = np.bincount(boxes.invalid(), minlength=3)
        self.not_finite += int(reasons[1])
        self.inverted += int(reasons[2])

    def to_dict(self) -> dict[str, int]:
        """The counts by reason."""
        return {"not_finite": self.not_finite, "inverted": self.inverted}


def edges_of(metric: str) -> list[float]:
    """The edges of a metric's histogram: sixteenths of its range, doublings for a distance in pixels."""
    if metric in ops.DISTANCES:
        return [0.0, *(2.0**k for k in range(-4, 15))]
    low, high = ops.RANGES.get(metric, (-1.0, 1.0))
    return [float(edge) for edge in np.linspace(low, high, 17)]
