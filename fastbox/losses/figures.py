"""The figures that every command reports of a metric or a loss: the unit, the histogram, and the worse end."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.metrics import FACTS
from fastbox.losses.names import COORDINATE_LOSSES, LOSSES, OVERLAP_LOSSES

__all__ = ["edges_of", "is_worse_greater", "unit_of"]


def unit_of(name: str) -> str | None:
    """Return the unit of the values of a metric or loss: pixels, 1 / pixel, or None for plain numbers."""
    if _is_distance(name):
        return "px"
    return "1/px" if name in {f"{loss}_grad" for loss in OVERLAP_LOSSES} else None


def is_worse_greater(name: str) -> bool:
    """Tell whether greater values are worse, as for distances and losses."""
    return name in LOSSES or _is_distance(name)


def edges_of(name: str) -> list[float]:
    """Return the edges of a histogram: sixteenths of the range, or doublings for distances and lengths of gradients."""
    if _is_distance(name):
        return [0.0, *(2.0**k for k in range(-4, 15))]
    if name.endswith("_grad"):
        return [0.0, *(2.0**k for k in range(-14, 5))]
    low, high = (0.0, 2.0) if name in OVERLAP_LOSSES else FACTS[name].range if name in FACTS else (-1.0, 1.0)
    return [float(edge) for edge in np.linspace(low if np.isfinite(low) else -1.0, high, 17)]


def _is_distance(name: str) -> bool:
    """Tell whether values are distances between coordinates, in pixels."""
    return name in COORDINATE_LOSSES or (name in FACTS and FACTS[name].distance)
