"""What several commands report in the same way: invalid boxes by reason, and the figures of metrics and losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbox.boxes.container import Boxes
from fastbox.losses.names import COORDINATE_LOSSES, LOSSES, OVERLAP_LOSSES
from fastbox.ops import search as ops
from fastbox.sketch import Sketch

__all__ = ["Invalid", "Rules", "edges_of", "figures_of", "is_worse_greater", "unit_of"]

DISTANCES = (*ops.DISTANCES, *COORDINATE_LOSSES)


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


@dataclass(frozen=True)
class Rules:
    """The options that figures depend on beside the boxes, by their names, as JSON holds them; alike in all parts.

    A tuple is kept as a list, and a number that is not finite as text.
    """

    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", {name: _as_json(value) for name, value in self.given.items()})

    def __add__(self, other: Rules) -> Rules:
        """The rules of two parts of a run."""
        if self != other:
            raise ValueError(f"expected parts of one run, got {self.given} and {other.given}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return dict(self.given)


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_as_json(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def figures_of(name: str, sketch: Sketch) -> dict[str, Any]:
    """The unit and figures of a metric, a loss or the lengths of a loss's gradient (``iou_loss_grad``), for JSON."""
    return {"unit": unit_of(name), **sketch.to_dict(edges_of(name))}


def unit_of(name: str) -> str | None:
    """What a name's values are in: pixels, 1 / pixel, or plain numbers."""
    if name in DISTANCES:
        return "px"
    return "1/px" if name in {f"{loss}_grad" for loss in OVERLAP_LOSSES} else None


def is_worse_greater(name: str) -> bool:
    """Whether greater values are worse, as those of distances and losses are."""
    return name in ops.DISTANCES or name in LOSSES


def edges_of(name: str) -> list[float]:
    """The edges of a name's histogram: sixteenths of its range, doublings for distances and lengths of gradients."""
    if name in DISTANCES:
        return [0.0, *(2.0**k for k in range(-4, 15))]
    if name.endswith("_grad"):
        return [0.0, *(2.0**k for k in range(-14, 5))]
    low, high = (0.0, 2.0) if name in OVERLAP_LOSSES else ops.RANGES.get(name, (-1.0, 1.0))
    return [float(edge) for edge in np.linspace(low, high, 17)]
