"""The positive points of truths, counted: by level, size and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.sketch import Sketch
from fastbox.values.coco import AREA_BOUNDS, SIZES

__all__ = ["Learnt", "PointPositives"]

BINS = (0, 1, 2, 5, 10)  # the least number of positive points of each bin


@dataclass
class Learnt:
    """Some truths, those without a positive point, and among these those that had candidates."""

    truths: int = 0
    unlearnt: int = 0
    lost: int = 0
    positives: int = 0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BINS), np.int64))

    def add(self, positives: NDArray[np.int64], candidates: NDArray[np.int64]) -> None:
        """Count truths, given the positive points and the candidates of each."""
        self.truths += len(positives)
        self.unlearnt += int((positives == 0).sum())
        self.lost += int(((positives == 0) & (candidates > 0)).sum())
        self.positives += int(positives.sum())
        self.bins += np.bincount(np.searchsorted(BINS, positives, side="right") - 1, minlength=len(BINS))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        names = [*(f"{low}-{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(BINS)), f"{BINS[-1]}+"]
        return {
            **{name: getattr(self, name) for name in ("truths", "unlearnt", "lost", "positives")},
            "unlearnt_share": self.unlearnt / self.truths if self.truths else None,
            "positives_of_truths": dict(zip(names, self.bins.tolist(), strict=True)),
        }


@dataclass
class PointPositives:
    """Truths and their positive points, altogether, by size, class and level, and the values of the points."""

    strides: tuple[int, ...]
    all: Learnt = field(default_factory=Learnt)
    sizes: dict[str, Learnt] = field(default_factory=lambda: {name: Learnt() for name in SIZES})
    classes: dict[Any, Learnt] = field(default_factory=dict)
    points: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(SIZES), 0), np.int64))
    values: Sketch = field(default_factory=Sketch)
    ious: Sketch = field(default_factory=Sketch)

    def __post_init__(self) -> None:
        if not self.levels.size:
            self.points = np.zeros(len(self.strides), np.int64)
            self.levels = np.zeros((len(SIZES), len(self.strides)), np.int64)

    def add(
        self,
        positives: NDArray[np.int64],
        candidates: NDArray[np.int64],
        area: NDArray[Any],
        classes: NDArray[np.int64] | None = None,
        labels: Sequence[Any] = (),
    ) -> None:
        """Count truths, given the (n, levels) positive points of each and its candidates.

        ``area`` is in pixels of the original image; ``classes`` are places among the ``labels``.
        """
        totals = positives.sum(axis=1)
        self.all.add(totals, candidates)
        kinds = np.searchsorted(AREA_BOUNDS, area, side="right")
        for k, name in enumerate(SIZES):
            self.sizes[name].add(totals[kinds == k], candidates[kinds == k])
            self.levels[k] += positives[kinds == k].sum(axis=0)
        for code in np.unique(classes).tolist() if classes is not None else ():
            mine = classes == code
            self.classes.setdefault(labels[code], Learnt()).add(totals[mine], candidates[mine])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        levels = dict(zip(SIZES, self.levels.tolist(), strict=True))
        return {
            **self.all.to_dict(),
            "mean_value": _mean(self.values),
            "mean_iou": _mean(self.ious),
            "by_level": [
                {"stride": stride, "points": points, **{name: levels[name][k] for name in SIZES}}
                for k, (stride, points) in enumerate(zip(self.strides, self.points.tolist(), strict=True))
            ],
            "by_size": _dicts(self.sizes),
            "by_class": _dicts(dict(sorted(self.classes.items()))),
        }


def _dicts(parts: Mapping[Any, Learnt]) -> dict[str, Any]:
    return {str(name): part.to_dict() for name, part in parts.items() if part.truths}


def _mean(values: Sketch) -> float | None:
    return values.mean if values.count else None
