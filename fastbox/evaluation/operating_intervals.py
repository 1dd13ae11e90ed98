"""Intervals of the best scores and of the figures there, from samples of the images drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation.bootstrap import HELD, LENT, Weights
from fastbox.evaluation.curves import Floats, Ranked
from fastbox.evaluation.streamed import number
from fastbox.kernels.codes import LAST_OF_ALL, LAST_OF_CLASS, TAKES_TRUTH, THRESHOLDS_PER_WORD

__all__ = ["FIGURES", "OperatingIntervals", "operating_intervals"]

FIGURES = ("score", "precision", "recall", "f")
KEPT_CLASS = 64 * 52  # bytes of a class while samples are walked through


@dataclass(frozen=True)
class OperatingIntervals:
    """The intervals of the best score and of precision, recall and F there, over samples of the images.

    In each sample the best score is chosen anew. A sample without truths or detections, of all classes or of one, has
    no best score and is left out; the limits are nan where no sample has one.

    Attributes
    ----------
    level : float
        The share of the samples between the limits.
    samples, seed : int
    best, best_macro : dict of str to (float, float)
        The limits of ``score``, ``precision``, ``recall`` and ``f``, over all classes together and for the mean of F.
    by_class : dict of str to array of shape (classes, 2)
        The limits of each class.
    """

    level: float
    samples: int
    seed: int
    best: dict[str, tuple[float, float]]
    best_macro: dict[str, tuple[float, float]]
    by_class: dict[str, Floats]

    def __repr__(self) -> str:
        low, high = self.best["score"]
        return f"OperatingIntervals({self.level:.0%} of {self.samples:,} samples, score {low:.3g} to {high:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the classes as JSON holds it."""
        kinds = {"best": self.best, "best_macro": self.best_macro}
        limits = {kind: {name: [*map(number, own)] for name, own in found.items()} for kind, found in kinds.items()}
        return {"level": self.level, "samples": self.samples, "seed": self.seed, **limits}


class _Rows(NamedTuple):
    """Detections by descending score: image, class, and marks; and classes and images of truths."""

    image: NDArray[np.int32]
    kind: NDArray[np.int32]
    marks: NDArray[np.uint8]
    truth_kind: NDArray[np.int64]
    truth_image: NDArray[np.int32]

    def between(self, first: int, last: int) -> tuple[_Rows, NDArray[np.int64]]:
        """Return the rows of neighbouring classes, which count from 0, and the places of its detections."""
        own = np.flatnonzero((self.kind >= first) & (self.kind < last))
        its = (self.truth_kind >= first) & (self.truth_kind < last)
        kind, truth_kind = self.kind[own] - np.int32(first), self.truth_kind[its] - first
        return _Rows(self.image[own], kind, self.marks[own], truth_kind, self.truth_image[its]), own


def operating_intervals(
    detections: Ranked,
    image: NDArray[np.int32],
    truths: tuple[NDArray[np.int64], NDArray[np.int32]],
    weights: Callable[[], Iterable[Weights]],
    drawn: tuple[int, int, float],
    beta: float,
) -> OperatingIntervals:
    """Compute the intervals, given the image of each detection, whose marks are in the first bit.

    Truths are classes and images; `weights` returns all samples; `drawn` are their number, their seed and the level.
    """
    samples, seed, level = drawn
    rows, scores = _ranked(detections, image, truths)
    classes = len(detections.bounds) - 1
    step = max(1, HELD // (len(FIGURES) * samples))
    blocks = list(pairwise([*range(0, classes, step), classes]))

    def limits(rows: _Rows, scores: Floats, many: int, points: int) -> Floats:
        return _limits(np.concatenate([_sampled(rows, own, beta, many, points) for own in weights()], 1), scores, level)

    if len(blocks) <= 1:
        *own, every, mean = limits(rows, scores, classes, classes + 2)
    else:
        own = []
        every, mean = limits(rows, scores, classes, 2)
        for first, last in blocks:
            some, places = rows.between(first, last)
            own += [*limits(some, scores[places], last - first, last - first + 2)][:-2]
    by_class = np.array(own).reshape(classes, len(FIGURES), 2)
    best, macro = (dict(zip(FIGURES, map(tuple, found.tolist()), strict=True)) for found in (every, mean))
    return OperatingIntervals(
        level, samples, seed, best, macro, {name: by_class[:, place] for place, name in enumerate(FIGURES)}
    )


def _ranked(
    detections: Ranked, image: NDArray[np.int32], truths: tuple[NDArray[np.int64], NDArray[np.int32]]
) -> tuple[_Rows, Floats]:
    """Return the detections that are not ignored, by descending score, and their scores."""
    words, bounds = detections.words[:, 0, 0], detections.bounds
    counted = words >> np.uint32(THRESHOLDS_PER_WORD) & np.uint32(1) == 0
    kinds = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))[counted]
    scores = detections.scores[counted]
    marks = np.where(words[counted] & np.uint32(1) != 0, TAKES_TRUTH, 0).astype(np.uint8)
    marks[_ends(scores) | _ends(kinds)] |= LAST_OF_CLASS
    order = np.argsort(-scores, kind="stable")
    scores, marks = scores[order], marks[order]
    marks[_ends(scores)] |= LAST_OF_ALL
    return _Rows(image[counted][order], kinds[order], marks, *truths), scores


def _ends(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a flag for each value that differs from the next one."""
    return np.concatenate((values[1:] != values[:-1], np.ones(min(1, len(values)), np.bool_)))


def _sampled(rows: _Rows, some: Weights, beta: float, classes: int, points: int) -> Floats:
    """Return row, precision, recall and F of the best score in some samples: (points, samples, 4)."""
    kernel = parallel.kernels("evaluate.best_scores").BEST_SCORES[np.dtype(np.float64), ""]
    found = np.empty((points, some.samples, len(FIGURES)))
    given = rows[:3], rows[3:], some.lanes, (beta * beta, classes)
    threads = min(max(1, LENT // (KEPT_CLASS * (classes + 1))), parallel.get_num_threads())
    with parallel.threads_here(threads):
        parallel.run(kernel, [(*given, span, found) for span in parallel.blocks(len(some.lanes), 1, 1)])
    return found


def _limits(points: Floats, scores: Floats, level: float) -> Floats:
    """Return the limits of each figure of each point: (points, 4, 2); nan without values."""
    place = points[:, :, 0]
    known = ~np.isnan(place)
    place[known] = scores[place[known].astype(np.int64)]
    values = np.sort(points, axis=1)  # nan come last
    last = np.maximum(known.sum(axis=1) - 1, 0)
    found = np.empty((len(points), len(FIGURES), 2))
    rows = np.arange(len(points))
    for side, share in enumerate(((1 - level) / 2, (1 + level) / 2)):
        low = np.floor(share * last).astype(np.int64)
        first, second = values[rows, low], values[rows, np.minimum(low + 1, last)]
        with np.errstate(invalid="ignore"):  # of infinite scores
            found[:, :, side] = first + (second - first) * (share * last - low)[:, None]
    return found
