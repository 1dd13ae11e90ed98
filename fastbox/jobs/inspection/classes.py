"""The numbers of boxes and images by class, and the sizes of the boxes of each class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.jobs.inspection.view import View
from fastbox.values.powers import logarithm_of_two, power_of_two

__all__ = ["Classes", "Range", "outliers"]

Ints = NDArray[np.int64]
Range = tuple[float, float, float]  # the least and the largest area, and the median

# Areas are counted in bins of equal width, 16 for each doubling: the exponent and the first four bits of the fraction.
SHIFT = 48
BINS = 1 << 15
LEAST_BOXES = 30  # of which a spread means something
LEAST_SPREAD = 1 / 32  # of the binary logarithm of sides: what one bin is wide
DEVIATION = 1.4826  # of a normal distribution, in median absolute deviations


@dataclass
class Classes:
    """Counts by class; those of parts of a table add up to those of the whole.

    Attributes
    ----------
    boxes, images : dict
        The number of boxes, and of images, of each class.
    numbers : dict
        The number of each class that has boxes with an area, which ``keys`` use.
    keys, counts : arrays of shape (k,), int64
        Sizes, as the number of the class and the bin, ascending, and the number of boxes of each size.
    """

    boxes: dict[Any, int] = field(default_factory=dict)
    images: dict[Any, int] = field(default_factory=dict)
    numbers: dict[Any, int] = field(default_factory=dict)
    keys: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, view: View) -> None:
        """Count the boxes of a chunk, invalid ones too, and the sizes of boxes with an area."""
        kinds = len(view.labels) + 1
        labels = [*view.labels, None]  # code -1 is the last
        for code, count in enumerate(np.bincount(view.codes % kinds, minlength=kinds).tolist()):
            if count:
                self.boxes[labels[code]] = self.boxes.get(labels[code], 0) + count
        met, _ = _counted(view.image * kinds + view.codes % kinds)
        for code, count in enumerate(np.bincount(met % kinds, minlength=kinds).tolist()):
            if count:
                self.images[labels[code]] = self.images.get(labels[code], 0) + count
        area = _areas(view)
        sized = np.flatnonzero(area > 0)
        self._merge(labels, *_counted((view.codes % kinds)[sized] * BINS + (area[sized].view(np.int64) >> SHIFT)))

    def __add__(self, other: Classes) -> Classes:
        """Return the counts of both parts."""
        both = Classes()
        for part in (self, other):
            for name in ("boxes", "images"):
                sums = getattr(both, name)
                for label, count in getattr(part, name).items():
                    sums[label] = sums.get(label, 0) + count
            both._merge(list(part.numbers), part.keys, part.counts)
        return both

    def _merge(self, labels: list[Any], keys: Ints, counts: Ints) -> None:
        """Add counts of sizes, by the number that a class has in a list of labels and the bin."""
        used = np.unique(keys // BINS)
        numbers = np.zeros(len(labels), np.int64)
        for code in used.tolist():
            numbers[code] = self.numbers.setdefault(labels[code], len(self.numbers))
        keys = np.concatenate([self.keys, numbers[keys // BINS] * BINS + keys % BINS])
        self.keys, places = np.unique(keys, return_inverse=True)
        total = np.zeros(len(self.keys), np.int64)
        np.add.at(total, places.reshape(-1), np.concatenate([self.counts, counts]))
        self.counts = total

    def medians(self) -> dict[Any, float]:
        """Return the median side of a square as large as a box, within 2%, of each class with areas above 0."""
        return {label: power_of_two(_median(sides, counts)) for label, sides, counts in self._sizes()}

    def ranges(self, deviations: float) -> dict[Any, Range]:
        """Return the least and largest area that is not suspicious, and the median, of each class with enough boxes.

        The bounds are ``deviations`` robust deviations from the median of the logarithm of the size; a robust deviation
        is 1.4826 times the median of the absolute deviations.
        """
        found = {}
        for label, sides, counts in self._sizes():
            if counts.sum() >= LEAST_BOXES:
                middle = _median(sides, counts)
                spread = max(DEVIATION * _median(np.abs(sides - middle), counts), LEAST_SPREAD)
                off = min(deviations * spread, 256.0)
                found[label] = _area(middle - off), _area(middle + off), _area(middle)
        return found

    def to_list(self, names: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the classes as JSON holds them, the largest one first; named classes without boxes are the last."""
        medians = self.medians()
        whole = all(isinstance(label, int) for label in self.boxes if label is not None)
        met = {str(label) for label in self.boxes}
        unmet = [label for label in names if label not in met]
        order = sorted(self.boxes, key=lambda label: (-self.boxes[label], label is None, str(label)))
        return [
            {
                "class": label,
                "name": None if label is None else names.get(str(label)),
                "boxes": self.boxes[label],
                "images": self.images[label],
                "median_side": medians.get(label),
            }
            for label in order
        ] + [
            {
                "class": int(label) if whole and label.isdecimal() else label,
                "name": names[label],
                "boxes": 0,
                "images": 0,
                "median_side": None,
            }
            for label in unmet
        ]

    def _sizes(self) -> list[tuple[Any, NDArray[np.float64], Ints]]:
        """Return for each class the binary logarithms of its sides, ascending, and the number of boxes of each."""
        labels = list(self.numbers)
        starts = np.searchsorted(self.keys, np.arange(len(labels) + 1) * BINS)
        bins = (self.keys % BINS) << SHIFT
        with np.errstate(invalid="ignore"):  # values beyond the bin of infinity are not numbers
            middle = (bins.view(np.float64) + (bins + (1 << SHIFT)).view(np.float64)) / 2
        sides = np.array([logarithm_of_two(area) / 2 if area < math.inf else 512.0 for area in middle.tolist()])
        return [
            (label, sides[first:last], self.counts[first:last])
            for label, first, last in zip(labels, starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]


def outliers(view: View, ranges: Mapping[Any, Range]) -> tuple[Ints, NDArray[np.float64]]:
    """Return the boxes with areas outside the ranges of their classes, and their sides over the class's median."""
    bounds = np.array([ranges.get(label, (0.0, math.inf, 1.0)) for label in (*view.labels, None)])
    low, high, middle = bounds[view.codes].T
    area = _areas(view)
    rows = np.flatnonzero((area > 0) & ((area < low) | (area > high)))
    return rows, np.sqrt(area[rows] / middle[rows])


def _counted(keys: Ints) -> tuple[Ints, Ints]:
    """Return the different keys, ascending, and their counts: by sorting, in half the time of ``numpy.unique``."""
    ordered = np.sort(keys)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def _areas(view: View) -> NDArray[np.float64]:
    """Return the areas, 0 where a box is invalid."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(view.valid, view.w * view.h, 0.0)


def _area(side: float) -> float:
    """Return the area of a square, given the binary logarithm of its side."""
    return power_of_two(2 * side)


def _median(values: NDArray[np.float64], counts: Ints) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(below, (below[-1] + 1) // 2)])
