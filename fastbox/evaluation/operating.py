"""Precision, recall and F of the detections from a score on, and the scores at which F is highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import Floats, Ranked
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

__all__ = ["Operating", "Point", "operating"]

POINTS = 201  # of the curves that JSON holds


class Point(NamedTuple):
    """The detections from a score on: nan where there is none."""

    score: float
    precision: float
    recall: float
    f: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the figures as JSON holds them."""
        return {name: value if np.isfinite(value) else None for name, value in self._asdict().items()}


@dataclass(frozen=True)
class Operating:
    """Precision, recall and F at every score, and the best scores.

    F is the harmonic mean of precision and recall, the latter ``beta`` times as important: (1 + beta²) P R / (beta² P +
    R), from van Rijsbergen, Information Retrieval, 1979. A best score is that of the last detection that is kept where
    F is highest, the highest of several.

    Attributes
    ----------
    beta : float
    scores, precision, recall, f : arrays of shape (n,)
        At each distinct score, descending: the figures over all detections of that score and above.
    macro : array of shape (n,)
        The mean of F over the classes with truths.
    best, best_macro : Point
        Where ``f`` and where ``macro`` is highest; precision and recall over all detections.
    by_class : dict of str to array of shape (classes,)
        ``score``, ``precision``, ``recall`` and ``f`` at the best score of each class; nan for a class without truths
        or detections.

    Examples
    --------
    >>> import fastbox
    >>> found = fastbox.evaluate([[0, 0, 4, 4], [9, 9, 12, 12]], [0.9, 0.2], [[0, 0, 4, 4]])
    >>> found.operating_points().best
    Point(score=0.9, precision=1.0, recall=1.0, f=1.0)
    """

    beta: float
    scores: Floats
    precision: Floats
    recall: Floats
    f: Floats
    macro: Floats
    best: Point
    best_macro: Point
    by_class: dict[str, Floats]

    def __repr__(self) -> str:
        return f"Operating(best={self.best}, best_macro={self.best_macro})"

    def to_dict(self) -> dict[str, Any]:
        """Return the best scores, and some points of the curves, as JSON holds them."""
        finite = np.flatnonzero(np.isfinite(self.scores))
        some = finite[np.unique(np.linspace(0, max(len(finite) - 1, 0), POINTS).astype(np.int64))[: len(finite)]]
        curves = {name: getattr(self, name)[some].tolist() for name in ("scores", "precision", "recall", "f", "macro")}
        return {
            "beta": self.beta,
            "best": self.best.to_dict(),
            "best_macro": self.best_macro.to_dict(),
            "curves": curves,
        }


def operating(detections: Ranked, truths: NDArray[np.int64], beta: float) -> Operating:
    """Compute the figures of the detections of all classes, whose marks are in the first bit, and counts of truths."""
    words = detections.words[:, 0, 0]
    counted = words >> np.uint32(THRESHOLDS_PER_WORD) & np.uint32(1) == 0
    kind = np.repeat(np.arange(len(truths)), np.diff(detections.bounds))[counted]
    true, scores = (words & np.uint32(1) != 0)[counted], detections.scores[counted]
    there = truths > 0
    f = _f_by_class(true, kind, truths, beta)
    order = np.argsort(-scores, kind="stable")
    last = _last_of_equal(scores[order])
    hits, kept = np.cumsum(true[order])[last], last + 1
    precision, recall = hits / kept, hits / max(int(truths.sum()), 1)
    whole = _f(precision, recall, beta)
    macro = np.cumsum(_rises(f, scores, kind)[order])[last] / max(int(there.sum()), 1)
    distinct = scores[order][last]

    def point(values: Floats) -> Point:
        if not len(values) or not there.any():
            return Point(np.nan, np.nan, np.nan, np.nan)
        at = int(np.argmax(values))
        return Point(float(distinct[at]), float(precision[at]), float(recall[at]), float(values[at]))

    return Operating(
        beta,
        distinct,
        precision,
        recall,
        whole,
        macro,
        point(whole),
        point(macro),
        _best_by_class(f, true, scores, kind, truths),
    )


def _f(precision: Floats, recall: Floats, beta: float) -> Floats:
    """Compute F; 0 where nothing is found."""
    below = beta * beta * precision + recall
    found: Floats = (1 + beta * beta) * precision * recall / np.where(below > 0, below, 1)
    return found


def _counts_by_class(true: NDArray[np.bool_], kind: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row the true rows and all rows of its class up to it; rows come class by class."""
    begins = np.searchsorted(kind, kind)
    before = np.concatenate(([0], np.cumsum(true)))
    return before[1:] - before[begins], np.arange(1, len(kind) + 1) - begins


def _f_by_class(true: NDArray[np.bool_], kind: NDArray[np.int64], truths: NDArray[np.int64], beta: float) -> Floats:
    """Return F of the class of each row, of the rows up to it; 0 without truths."""
    hits, kept = _counts_by_class(true, kind)
    return _f(hits / kept, hits / np.maximum(truths[kind], 1), beta)


def _last_of_equal(scores: Floats) -> NDArray[np.int64]:
    """Return the last row of each score."""
    return np.flatnonzero(np.concatenate((scores[1:] != scores[:-1], np.ones(min(1, len(scores)), np.bool_))))


def _rises(f: Floats, scores: Floats, kind: NDArray[np.int64]) -> Floats:
    """Return the rise of the F of a class at each row; the rows of one score of a class rise at the last of them."""
    ends = np.concatenate(((kind[1:] != kind[:-1]) | (scores[1:] != scores[:-1]), np.ones(min(1, len(f)), np.bool_)))
    rises, last = np.zeros(len(f)), np.flatnonzero(ends)
    begins = np.concatenate((np.ones(min(1, len(last)), np.bool_), kind[last][1:] != kind[last][:-1]))
    before = np.where(begins, 0.0, np.concatenate(([0.0], f[last][:-1]))[: len(last)])
    rises[last] = f[last] - before
    return rises


def _best_by_class(
    f: Floats, true: NDArray[np.bool_], scores: Floats, kind: NDArray[np.int64], truths: NDArray[np.int64]
) -> dict[str, Floats]:
    hits, kept = _counts_by_class(true, kind)
    found = {name: np.full(len(truths), np.nan) for name in ("score", "precision", "recall", "f")}
    edges = np.searchsorted(kind, np.arange(len(truths) + 1))
    for k in np.flatnonzero((truths > 0) & (edges[1:] > edges[:-1])).tolist():
        first, stop = edges[k], edges[k + 1]
        last = first + _last_of_equal(scores[first:stop])
        at = last[np.argmax(f[last])]
        figures = scores[at], hits[at] / kept[at], hits[at] / truths[k], f[at]
        for name, value in zip(found, figures, strict=True):
            found[name][k] = value
    return found
