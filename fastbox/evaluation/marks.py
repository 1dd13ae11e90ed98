"""Figures of benchmarks that do not compute COCO's: of the true and false detections of each class and threshold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.evaluation.curves import NOTHING, Floats, Ranked, Traced
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

__all__ = ["Marks", "Means", "marks", "outcomes", "same_outcomes"]


class Marks(NamedTuple):
    """The detections of a class that are not ignored, by descending score: a flag for each that takes a truth."""

    scores: Floats
    true: NDArray[np.bool_]


def marks(detections: Ranked, area: int, threshold: int) -> Iterator[Marks]:
    """Yield the marks of each class, in the range of areas and at the threshold of these places."""
    words = detections.of_threshold(area, threshold).words[:, 0, 0]
    true, counted = words & np.uint32(1) != 0, words >> np.uint32(THRESHOLDS_PER_WORD) & np.uint32(1) == 0
    for first, last in zip(detections.bounds[:-1], detections.bounds[1:], strict=True):
        kept = counted[first:last]
        yield Marks(detections.scores[first:last][kept], true[first:last][kept])


def outcomes(detections: Ranked, threshold: int) -> dict[str, int]:
    """Count the detections that are true, false and ignored in the first range of areas, at a threshold's place."""
    words = detections.of_threshold(0, threshold).words[:, 0, 0]
    ignored = words >> np.uint32(THRESHOLDS_PER_WORD) & np.uint32(1) != 0
    true = int(np.count_nonzero((words & np.uint32(1) != 0) & ~ignored))
    aside = int(np.count_nonzero(ignored))
    return {"true": true, "false": len(words) - true - aside, "ignored": aside}


def same_outcomes(rules: Sequence[tuple[Ranked, int]]) -> bool:
    """Tell whether the same detections are true, false and ignored by several rules, given a threshold's place of each.

    Rules that sort detections of the same score differently count as different.
    """
    both = np.uint32(1 | 1 << THRESHOLDS_PER_WORD)  # true, ignored
    first, *others = ((found, found.of_threshold(0, place).words[:, 0, 0] & both) for found, place in rules)
    return all(
        np.array_equal(found.bounds, first[0].bounds)
        and np.array_equal(found.scores, first[0].scores)
        and np.array_equal(words, first[1])
        for found, words in others
    )


class Means(Traced):
    """Statistics of one model that are means, over thresholds and classes with truths, of a figure of each."""

    @abstractmethod
    def figure(self, found: Marks, truths: int) -> float:
        """Return the figure of a class at a threshold, given the number of its truths."""

    def stats(self) -> dict[str, float]:
        """Return the statistics, -1 without truths."""
        return {name: _mean(values) for name, values in self.stats_by_class().items()}

    def ap_by_iou(self) -> dict[str, Floats]:
        """Return the mean figure at each threshold by range of areas, -1 without truths."""
        places = range(len(self.params.iou_thresholds))
        return {
            name: np.array([_mean(self._figures(area, place)) for place in places])
            for area, name in enumerate(self.params.area_ranges)
        }

    def stats_by_class(self) -> dict[str, Floats]:
        """Return the same statistics for each class separately, arrays of shape (classes,)."""
        thresholds = self.params.iou_thresholds
        figures: dict[tuple[int, int], Floats] = {}
        found = {}
        for statistic in self.params.statistics:
            alone = statistic.threshold
            places = [t for t, threshold in enumerate(thresholds) if alone is None or threshold == alone]
            for t in places:
                if (statistic.area, t) not in figures:
                    figures[statistic.area, t] = self._figures(statistic.area, t)
            parts = [figures[statistic.area, t] for t in places]
            there = self.truths[:, statistic.area] > 0
            values = np.mean(parts, axis=0) if parts else np.full(len(there), NOTHING)
            found[statistic.name] = np.where(there, values, NOTHING)
        return found

    def _figures(self, area: int, threshold: int) -> Floats:
        truths = self.truths[:, area].tolist()
        found = zip(marks(self.detections, area, threshold), truths, strict=True)
        return np.array([self.figure(own, count) if count else NOTHING for own, count in found])


def _mean(values: Floats) -> float:
    """Return the mean over the classes with truths; -1 without any."""
    known = values[values != NOTHING]
    return float(np.mean(known)) if len(known) else NOTHING
