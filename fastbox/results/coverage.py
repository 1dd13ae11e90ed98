"""The coverage of truths by anchors: the best IoU of each truth, by size, aspect ratio and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.sketch import Sketch
from fastbox.values.coco import AREA_BOUNDS, SIZES
from fastbox.values.powers import doublings

__all__ = ["ASPECT_EDGES", "SIDE_EDGES", "THRESHOLDS", "Coverage", "Covered"]

THRESHOLDS = tuple(k / 20 for k in range(6, 19))  # .3 to .9 in steps of .05
SIDE_EDGES = doublings(0, 11, 2)  # of the map: square root of the area, in pixels as the detector sees them
ASPECT_EDGES = doublings(-3, 3, 2)  # height / width
_FIXED = 2.0**40  # sums of IoU are kept as integers in this unit, so that they do not depend on the order


@dataclass
class Covered:
    """Some truths: their number, the IoU of their best anchors, and the number of truths without a positive anchor."""

    truths: int = 0
    left_out: int = 0
    reached: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(THRESHOLDS), np.int64))
    total: int = 0

    def add(self, values: NDArray[Any], positive: NDArray[np.bool_]) -> None:
        """Count truths, given the best IoU of each and a mask of those with a positive anchor."""
        self.truths += len(values)
        self.left_out += int((~positive).sum())
        self.reached += (values[:, None] >= np.array(THRESHOLDS, values.dtype)).sum(axis=0)
        self.total += int(np.rint(values.astype(np.float64) * _FIXED).astype(np.int64).sum())

    @property
    def mean(self) -> float | None:
        """The mean best IoU; None without truths."""
        return self.total / _FIXED / self.truths if self.truths else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        recall = [reached / self.truths if self.truths else None for reached in self.reached.tolist()]
        return {
            "truths": self.truths,
            "without_positive": self.left_out,
            "mean_best_iou": self.mean,
            "recall": {f"{t:g}": r for t, r in zip(THRESHOLDS, recall, strict=True)},
        }


@dataclass
class Coverage:
    """Truths and their best IoU, altogether, by size, by class, and on a map of side and aspect ratio."""

    all: Covered = field(default_factory=Covered)
    sizes: dict[str, Covered] = field(default_factory=lambda: {name: Covered() for name in SIZES})
    classes: dict[Any, Covered] = field(default_factory=dict)
    best: Sketch = field(default_factory=Sketch)
    map_counts: NDArray[np.int64] = field(default_factory=lambda: _map())
    map_totals: NDArray[np.int64] = field(default_factory=lambda: _map())

    def add(
        self,
        values: NDArray[Any],
        positive: NDArray[np.bool_],
        area: NDArray[Any],
        seen: NDArray[Any],
        classes: NDArray[np.int64] | None = None,
        labels: Sequence[Any] = (),
    ) -> None:
        """Count truths.

        ``area`` is in the pixels of the original image, ``seen`` the (n, 2) width and height in the resized image,
        ``classes`` are places among the ``labels``.
        """
        self.all.add(values, positive)
        self.best.add(values)
        kinds = np.searchsorted(AREA_BOUNDS, area, side="right")
        for k, name in enumerate(SIZES):
            self.sizes[name].add(values[kinds == k], positive[kinds == k])
        for code in np.unique(classes).tolist() if classes is not None else ():
            mine = classes == code
            self.classes.setdefault(labels[code], Covered()).add(values[mine], positive[mine])
        with np.errstate(divide="ignore", invalid="ignore"):
            side, aspect = np.sqrt(seen[:, 0] * seen[:, 1]), seen[:, 1] / seen[:, 0]
        column, row = _bin(side, SIDE_EDGES), _bin(aspect, ASPECT_EDGES)
        np.add.at(self.map_counts, (row, column), 1)
        np.add.at(self.map_totals, (row, column), np.rint(values.astype(np.float64) * _FIXED).astype(np.int64))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it; the map as rows of aspect ratio, None for a cell without truths."""
        with np.errstate(invalid="ignore"):
            means = (self.map_totals / _FIXED / self.map_counts).tolist()
        return {
            **self.all.to_dict(),
            "by_size": _dicts(self.sizes),
            "by_class": _dicts(dict(sorted(self.classes.items()))),
            "map": {
                "sides": SIDE_EDGES.tolist(),
                "aspect_ratios": ASPECT_EDGES.tolist(),
                "truths": self.map_counts.tolist(),
                "mean_best_iou": [[mean if mean == mean else None for mean in row] for row in means],
            },
        }


def _dicts(parts: Mapping[Any, Covered]) -> dict[str, Any]:
    return {str(name): part.to_dict() for name, part in parts.items() if part.truths}


def _map() -> NDArray[np.int64]:
    return np.zeros((len(ASPECT_EDGES) - 1, len(SIDE_EDGES) - 1), np.int64)


def _bin(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value; the nearest one beyond the ends, and the first for nan."""
    found: NDArray[np.int64] = np.searchsorted(edges, np.nan_to_num(values), side="right") - 1
    return found.clip(0, len(edges) - 2)
