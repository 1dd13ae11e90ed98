"""The mean of a value by size and shape of boxes, as a map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.powers import doublings

__all__ = ["ASPECT_EDGES", "SIDE_EDGES", "Heat"]

SIDE_EDGES = doublings(2, 10)  # square root of the area, in pixels; the first and last bin take what is beyond
ASPECT_EDGES = doublings(-3, 3)  # width / height, likewise
_FIXED = 2.0**30  # sums are kept as integers of this unit, so that no order changes them: room for 8e9 values in a bin


def _zeros() -> NDArray[np.int64]:
    return np.zeros((len(ASPECT_EDGES) - 1, len(SIDE_EDGES) - 1), np.int64)


@dataclass
class Heat:
    """Counts and sums of values of at most 1 in bins of side and aspect; those of parts add up to that of the whole.

    Examples
    --------
    >>> heat = Heat()
    >>> heat.add(np.array([0.5, 1.0]), np.array([[0.0, 0, 40, 40], [9, 9, 50, 50]]))
    >>> heat.to_dict()["counts"][3]
    [0, 0, 0, 2, 0, 0, 0, 0]
    """

    counts: NDArray[np.int64] = field(default_factory=_zeros)
    totals: NDArray[np.int64] = field(default_factory=_zeros)

    def add(self, values: NDArray[Any], corners: NDArray[Any]) -> None:
        """Add values, each in the bin of its box of the (n, 4) corners; those that are nan are left out."""
        given = np.flatnonzero(~np.isnan(values))
        x0, y0, x1, y1 = corners[given].astype(np.float64).T
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            wide, high = x1 - x0, y1 - y0
            place = _bin(wide / high, ASPECT_EDGES), _bin(np.sqrt(wide) * np.sqrt(high), SIDE_EDGES)
        np.add.at(self.counts, place, 1)
        np.add.at(self.totals, place, np.rint(values[given].astype(np.float64) * _FIXED).astype(np.int64))

    def __add__(self, other: Heat) -> Heat:
        """Return the map of both."""
        return Heat(self.counts + other.counts, self.totals + other.totals)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it; rows of aspect, None for an empty bin."""
        with np.errstate(invalid="ignore"):
            means = (self.totals / _FIXED / self.counts).tolist()
        return {
            "sides": SIDE_EDGES.tolist(),
            "aspects": ASPECT_EDGES.tolist(),
            "counts": self.counts.tolist(),
            "means": [[mean if mean == mean else None for mean in row] for row in means],
        }


def _bin(values: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bin of each value, the nearest one beyond the ends; nan counts as 1."""
    found: NDArray[np.int64] = np.searchsorted(edges, np.nan_to_num(values, nan=1.0), side="right") - 1
    return found.clip(0, len(edges) - 2)
