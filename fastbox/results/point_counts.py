"""The candidate points of truths, counted: by size, class and side, for several detectors and inputs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.values.coco import AREA_BOUNDS, SIZES

__all__ = ["BINS", "SIDES", "Counted", "PointCounts", "Seen"]

BINS = (0, 1, 2, 5, 10, 20)  # the least number of candidates of each bin of the histogram
SIDES = tuple(range(0, 68, 4))  # the least shorter side of each bin, in pixels of the input; the last has no end


@dataclass(frozen=True)
class Seen:
    """The candidates of some truths.

    Attributes
    ----------
    levels : array of int64, shape (n, levels)
    shared : array of bool
    unreached : array of bool, or None
        None where no reach is asked for, and for detectors whose points have no limit.
    area : array of float
        In square pixels of the original image.
    side : array of float
        The shorter side in pixels of the input.
    """

    levels: NDArray[np.int64]
    shared: NDArray[np.bool_]
    unreached: NDArray[np.bool_] | None
    area: NDArray[Any]
    side: NDArray[Any]

    @property
    def totals(self) -> NDArray[np.int64]:
        """The candidates of each truth on all levels."""
        found: NDArray[np.int64] = self.levels.sum(axis=1)
        return found


@dataclass
class Counted:
    """Some truths: their number, those that are starved, shared and out of reach, and how many candidates they have."""

    truths: int = 0
    starved: int = 0
    shared: int = 0
    unreached: int = 0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BINS), np.int64))

    def add(self, seen: Seen, some: NDArray[np.bool_]) -> None:
        """Count the truths that a mask selects."""
        totals = seen.totals[some]
        self.truths += len(totals)
        self.starved += int((totals == 0).sum())
        self.shared += int(seen.shared[some].sum())
        if seen.unreached is not None:
            self.unreached += int(seen.unreached[some].sum())
        self.bins += np.bincount(np.searchsorted(BINS, totals, side="right") - 1, minlength=len(BINS))

    def to_dict(self, *, reach: bool) -> dict[str, Any]:
        """Return everything as JSON holds it; without a `reach` no truth can be out of it."""
        return {
            **{name: getattr(self, name) for name in ("truths", "starved", "shared")},
            "unreached": self.unreached if reach else None,
            "starved_share": self.starved / self.truths if self.truths else None,
            "candidates": dict(zip(bin_names(), self.bins.tolist(), strict=True)),
        }


def bin_names() -> list[str]:
    """Return the names of the bins of candidates.

    >>> bin_names()
    ['0', '1', '2-4', '5-9', '10-19', '20+']
    """
    return [*(f"{low}-{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(BINS)), f"{BINS[-1]}+"]


@dataclass
class PointCounts:
    """The truths of one detector and one input: a row of the what-if table.

    Attributes
    ----------
    grid, rule, size : str
        The names of the preset and the rule, and the input.
    strides : tuple of int
    points : bool
        False for anchors: a truth then counts as starved if its best IoU is below 0.50.
    reach : float
        The number of strides that a point may predict; 0 for no limit.
    all : Counted
    sizes : dict of str to Counted
    classes : dict
    totals : dict of int to int
        The number of truths by their number of candidates.
    sides : array of int64, shape (2, bins)
        By shorter side as seen: truths, and those that are starved.
    level_truths : array of int64, shape (sizes, levels)
        The number of truths that have candidates on a level.
    starved_images : int
        The number of images with a starved truth.
    """

    grid: str
    rule: str
    size: str
    strides: tuple[int, ...]
    points: bool
    reach: float
    all: Counted = field(default_factory=Counted)
    sizes: dict[str, Counted] = field(default_factory=lambda: {name: Counted() for name in SIZES})
    classes: dict[Any, Counted] = field(default_factory=dict)
    totals: dict[int, int] = field(default_factory=dict)
    sides: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, len(SIDES)), np.int64))
    level_truths: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(SIZES), 0), np.int64))
    starved_images: int = 0

    def __post_init__(self) -> None:
        if not self.level_truths.size:
            self.level_truths = np.zeros((len(SIZES), len(self.strides)), np.int64)

    def add(self, seen: Seen, classes: NDArray[np.int64] | None = None, labels: Sequence[Any] = ()) -> None:
        """Count valid truths; ``classes`` are places among the ``labels``."""
        everyone = np.ones(len(seen.area), np.bool_)
        self.all.add(seen, everyone)
        kinds = np.searchsorted(AREA_BOUNDS, seen.area, side="right")
        for k, name in enumerate(SIZES):
            self.sizes[name].add(seen, kinds == k)
            self.level_truths[k] += (seen.levels[kinds == k] > 0).sum(axis=0)
        for code in np.unique(classes).tolist() if classes is not None else ():
            self.classes.setdefault(labels[code], Counted()).add(seen, classes == code)
        for total, count in zip(*(part.tolist() for part in np.unique(seen.totals, return_counts=True)), strict=True):
            self.totals[total] = self.totals.get(total, 0) + count
        bins = np.searchsorted(SIDES, seen.side, side="right") - 1
        self.sides[0] += np.bincount(bins, minlength=len(SIDES))
        self.sides[1] += np.bincount(bins[seen.totals == 0], minlength=len(SIDES))

    @property
    def median(self) -> float | None:
        """The median number of candidates; None for anchors and without truths."""
        if not self.all.truths or not self.points:
            return None
        numbers = sorted(self.totals)
        ends = np.cumsum([self.totals[number] for number in numbers])
        low, high = ((self.all.truths - 1) // 2, self.all.truths // 2)
        return sum(numbers[int(np.searchsorted(ends, place, "right"))] for place in (low, high)) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        sides = zip(SIDES, *self.sides.tolist(), strict=True)
        levels = dict(zip(SIZES, self.level_truths.tolist(), strict=True))
        return {
            **{name: getattr(self, name) for name in ("grid", "rule", "size")},
            "strides": list(self.strides),
            "reach": self.reach or None,
            **self.all.to_dict(reach=self.reach > 0),
            "median_candidates": self.median,
            "images_with_starved": self.starved_images,
            "by_size": _dicts(self.sizes, self.reach > 0),
            "by_class": _dicts(dict(sorted(self.classes.items())), self.reach > 0),
            "by_side": [dict(zip(("from", "truths", "starved"), side, strict=True)) for side in sides],
            "by_level": [
                {"stride": stride, **{name: levels[name][k] for name in SIZES}}
                for k, stride in enumerate(self.strides if self.points else ())
            ],
        }


def _dicts(parts: Mapping[Any, Counted], reach: bool) -> dict[str, Any]:
    return {str(name): part.to_dict(reach=reach) for name, part in parts.items() if part.truths}
