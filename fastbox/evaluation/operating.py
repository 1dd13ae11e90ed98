"""Precision, recall and F of the detections from a score on, and the scores at which F is highest."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation.curves import Floats, Ranked
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

if TYPE_CHECKING:
    from fastbox.evaluation.operating_intervals import OperatingIntervals

__all__ = ["Operating", "Point", "operating"]

POINTS = 201  # of the curves that JSON holds
SMALL = 1 << 31  # rows whose numbers fit in 32 bits
BLOCK = 1 << 16  # places whose F is computed at once

Counts: TypeAlias = "NDArray[np.int32] | NDArray[np.int64]"


class Point(NamedTuple):
    """The detections from a score on: nan where there is none."""

    score: float
    precision: float
    recall: float
    f: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the figures as JSON holds them."""
        return {name: value if np.isfinite(value) else None for name, value in self._asdict().items()}


NOWHERE = Point(np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Operating:
    """Precision, recall and F at every score, and the best scores.

    F is the harmonic mean of precision and recall, the latter ``beta`` times as important: (1 + beta²) P R / (beta² P +
    R), from van Rijsbergen, Information Retrieval, 1979. A best score is that of the last detection that is kept where
    F is highest, the highest of several.

    Attributes
    ----------
    beta : float
    truths : int
    scores : array of shape (n,)
        The distinct scores, descending.
    true, kept : arrays of shape (n,)
        Detections of each score and above: those that take a truth, and all that are not ignored.
    macro : array of shape (n,)
        The mean of F over the classes with truths, of the detections of each score and above.
    best, best_macro : Point
        Where ``f`` and where ``macro`` is highest; precision and recall over all detections.
    by_class : dict of str to array of shape (classes,)
        ``score``, ``precision``, ``recall`` and ``f`` at the best score of each class; nan for a class without truths
        or detections.
    intervals : OperatingIntervals or None
        The intervals of the best scores, if samples were drawn.

    Examples
    --------
    >>> import fastbox
    >>> found = fastbox.evaluate([[0, 0, 4, 4], [9, 9, 12, 12]], [0.9, 0.2], [[0, 0, 4, 4]])
    >>> found.operating_points().best
    Point(score=0.9, precision=1.0, recall=1.0, f=1.0)
    """

    beta: float
    truths: int
    scores: Floats
    true: Counts
    kept: Counts
    macro: Floats
    best: Point
    best_macro: Point
    by_class: dict[str, Floats]
    intervals: OperatingIntervals | None = None

    @property
    def precision(self) -> Floats:
        """The precision of the detections of each score and above."""
        return self.true / self.kept

    @property
    def recall(self) -> Floats:
        """The recall of the detections of each score and above."""
        return self.true / max(self.truths, 1)

    @property
    def f(self) -> Floats:
        """F of the detections of each score and above."""
        return _f(self.true, self.kept, self.truths, self.beta)

    def __repr__(self) -> str:
        return f"Operating(best={self.best}, best_macro={self.best_macro})"

    def to_dict(self) -> dict[str, Any]:
        """Return the best scores, and some points of the curves, as JSON holds them."""
        finite = np.isfinite(self.scores)  # infinite scores come first and last
        count = int(np.count_nonzero(finite))
        places = np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(np.int64))
        some = places + (np.argmax(finite) if count else 0)
        points = replace(self, scores=self.scores[some], true=self.true[some], kept=self.kept[some])
        curves = {name: getattr(points, name).tolist() for name in ("scores", "precision", "recall", "f")}
        return {
            "beta": self.beta,
            "best": self.best.to_dict(),
            "best_macro": self.best_macro.to_dict(),
            **({} if self.intervals is None else {"intervals": self.intervals.to_dict()}),
            "curves": {**curves, "macro": self.macro[some].tolist()},
        }


def operating(detections: Ranked, truths: NDArray[np.int64], beta: float) -> Operating:
    """Compute the figures of the detections of all classes, whose marks are in the first bit, and counts of truths."""
    words = detections.words[:, 0, 0]
    counted = words >> np.uint32(THRESHOLDS_PER_WORD) & np.uint32(1) == 0
    spans = pairwise(detections.bounds.tolist())
    bounds = np.cumsum([0, *(np.count_nonzero(counted[first:stop]) for first, stop in spans)])
    true, scores = (words & np.uint32(1) != 0)[counted], detections.scores[counted]
    by_class, rises = _classes(true, scores, bounds, truths, beta)
    order = _compact(np.argsort(-scores, kind="stable"), len(scores))
    scores = scores[order]
    last = _last_of_equal(scores)
    macro = rises[order]
    del rises
    np.cumsum(macro, out=macro)
    macro = macro[last] / max(int(np.count_nonzero(truths)), 1)
    hits = _compact(np.cumsum(true[order], dtype=np.int64), len(order))[last]
    found = Operating(beta, int(truths.sum()), scores[last], hits, last + 1, macro, NOWHERE, NOWHERE, by_class)
    if not len(last) or not found.truths:
        return found
    return replace(
        found, best=_point(found, _best_f(found), None), best_macro=_point(found, int(np.argmax(macro)), macro)
    )


def _best_f(found: Operating) -> int:
    """Return the first place where F is highest, without F of all places in memory."""
    best, at = -1.0, 0
    for first in range(0, len(found.true), BLOCK):
        part = slice(first, first + BLOCK)
        f = _f(found.true[part], found.kept[part], found.truths, found.beta)
        place = int(np.argmax(f))
        if f[place] > best:
            best, at = float(f[place]), first + place
    return at


def _point(found: Operating, at: int, values: Floats | None) -> Point:
    """Return the figures at a place, with a value instead of F if values are given."""
    one = replace(found, true=found.true[at : at + 1], kept=found.kept[at : at + 1])
    value = one.f[0] if values is None else values[at]
    return Point(float(found.scores[at]), float(one.precision[0]), float(one.recall[0]), float(value))


def _f(true: Counts, kept: Counts, truths: int, beta: float) -> Floats:
    """Compute F of counts: the same as of precision and recall, rounded once, so that equal values are equal."""
    weight = beta * beta
    found: Floats = (1 + weight) * true / (weight * truths + kept)
    return found


def _last_of_equal(scores: Floats) -> Counts:
    """Return the last row of each score."""
    ends = np.concatenate((scores[1:] != scores[:-1], np.ones(min(1, len(scores)), np.bool_)))
    return _compact(np.flatnonzero(ends), len(scores))


def _compact(rows: NDArray[np.int64], count: int) -> Counts:
    """Return numbers of rows, of which there are `count`, in half the memory if they fit."""
    return rows.astype(np.int32) if count < SMALL else rows


def _classes(
    true: NDArray[np.bool_], scores: Floats, bounds: NDArray[np.int64], truths: NDArray[np.int64], beta: float
) -> tuple[dict[str, Floats], Floats]:
    """Return the figures at the best score of each class, and the rise of the F of its class at each row.

    The rows of one score of a class rise at the last of them; rows of classes without truths do not rise.
    """
    found = {name: np.full(len(truths), np.nan) for name in ("score", "precision", "recall", "f")}
    rises = np.zeros(len(scores))
    for k in np.flatnonzero((truths > 0) & (bounds[1:] > bounds[:-1])).tolist():
        own = scores[bounds[k] : bounds[k + 1]]
        last = _last_of_equal(own)
        hits = np.cumsum(true[bounds[k] : bounds[k + 1]], dtype=np.int64)[last]
        kept, wanted = last + 1, int(truths[k])
        f = _f(hits, kept, wanted, beta)
        rises[bounds[k] + last] = f
        rises[bounds[k] + last[1:]] -= f[:-1]
        at = int(np.argmax(f))
        for name, value in zip(found, (own[last[at]], hits[at] / kept[at], hits[at] / wanted, f[at]), strict=True):
            found[name][k] = value
    return found, rises
