"""The confusion matrix: classes of truths against classes of detections, matched whatever their classes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.boxes.base import Collection
from fastbox.boxes.container import Boxes
from fastbox.evaluation.columns import Rows
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.ops.search import pairs

__all__ = ["BACKGROUND", "ConfusionMatrix", "Near"]

BACKGROUND = "background"
i4, i8, f8 = np.int32, np.int64, np.float64


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of truths by their class, and by the class of the detection that matches them.

    A detection and a truth match one to one if their IoU is at least a threshold, whatever their classes are: pairs of
    highest IoU first, of equal IoU by descending score, then in the order of rows. Detections of lower scores than
    `score` take no part, nor do crowds and truths that are ignored, nor detections that match no truth and lie on one
    of these.

    Attributes
    ----------
    iou, score : float
        The least IoU of a match, and the least score of a detection.
    labels : list
        The labels of the classes.
    counts : array of shape (classes + 1, classes + 1)
        A row for the class of the truth and a column for the class of the detection. The last row counts detections
        where nothing is, the last column truths that no detection matches.

    Examples
    --------
    >>> import fastbox
    >>> boxes = [[0, 0, 4, 4], [9, 9, 12, 12]]
    >>> found = fastbox.evaluate(
    ...     boxes, [0.9, 0.8], boxes, classes=["cat", "dog"], truth_classes=["cat", "cat"], confusion_iou=0.5
    ... )
    >>> found.confusion(score=0.5).counts
    array([[1, 1, 0],
           [0, 0, 0],
           [0, 0, 0]])
    """

    iou: float
    score: float
    labels: list[Any]
    counts: NDArray[np.int64]

    def __repr__(self) -> str:
        classes = len(self.labels)
        return f"ConfusionMatrix({classes} classes, IoU ≥ {self.iou:g}, score ≥ {self.score:g})"

    @property
    def entries(self) -> list[tuple[Any, Any, int]]:
        """The entries above 0, row by row: labels of truth and detection, or ``"background"``, and the count."""
        labels = [*self.labels, BACKGROUND]
        rows, columns = np.nonzero(self.counts)
        counts = self.counts[rows, columns].tolist()
        return [(labels[i], labels[j], n) for i, j, n in zip(rows.tolist(), columns.tolist(), counts, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it: the entries above 0."""
        entries = [{"truth": truth, "detection": own, "count": count} for truth, own, count in self.entries]
        return {"iou": self.iou, "score": self.score if np.isfinite(self.score) else None, "counts": entries}


class Near:
    """Pairs of detections and truths of any class that are near each other, of all images that were added.

    Parameters
    ----------
    iou : float
        The least IoU of a pair.
    """

    def __init__(self, iou: float) -> None:
        self.iou = iou
        self._found = Rows(model=i4, kind=i4, score=f8, aside=np.bool_)
        self._wanted = Rows(kind=i4)
        self._pairs = Rows(detection=i8, truth=i8, iou=f8)

    def add(self, images: Images, detections: Detections, truths: GroundTruths, metric: str = "iou") -> None:
        """Add whole images that were prepared for matching by a metric."""
        ignored = (truths.hidden & np.uint32(1) != 0) | truths.crowd
        own, its = detections, truths
        shown = ~(detections.left_out | detections.lost)
        crowd = truths.crowd & ~truths.left_out
        boxes = _some(own, images.bounds, shown)
        found = pairs(boxes, _some(its, images.truth_bounds, ~ignored), threshold=self.iou, metric=metric)
        aside = np.zeros(len(boxes), np.bool_)
        for flags, share in ((crowd, "iof"), (ignored & ~crowd & ~truths.left_out, metric)):
            if flags.any():
                others = _some(its, images.truth_bounds, flags)
                aside[pairs(boxes, others, threshold=self.iou, metric=share).rows] = True
        first, first_truth = len(self._found), len(self._wanted)
        self._pairs.add(detection=found.rows + first, truth=found.cols + first_truth, iou=found.values)
        kinds = detections.classes[shown], truths.classes[~ignored]
        self._found.add(model=detections.models[shown], kind=kinds[0], score=detections.ranking[shown], aside=aside)
        self._wanted.add(kind=kinds[1])

    def joined(self, other: Near, **recoded: Callable[[NDArray[Any]], NDArray[Any]]) -> Near:
        """Return the pairs of both, given the functions that change the codes of the other's models and classes."""
        both = Near(self.iou)
        first, first_truth = len(self._found), len(self._wanted)
        both._found = self._found.joined(other._found, **recoded)
        both._wanted = self._wanted.joined(other._wanted, **recoded)
        both._pairs = self._pairs.joined(
            other._pairs, detection=lambda row: row + first, truth=lambda row: row + first_truth
        )
        return both

    def matrix(
        self, model: int, score: float, labels: list[Any], places: Callable[[NDArray[Any]], NDArray[np.int64]]
    ) -> ConfusionMatrix:
        """Return the matrix of a model, given its code, the labels of classes, and their places by code."""
        shown = (self._found["score"] >= score) & (self._found["model"] == model)
        some = np.flatnonzero(shown[self._pairs["detection"]])
        detection, truth, iou = (self._pairs[name][some] for name in ("detection", "truth", "iou"))
        order = np.lexsort((truth, detection, -self._found["score"][detection], -iou))
        detection, truth = one_to_one(detection[order], truth[order], len(shown), len(self._wanted))
        kinds, wanted = places(self._found["kind"]), places(self._wanted["kind"])
        alone = shown & ~self._found["aside"]
        alone[detection] = False
        missed = np.ones(len(wanted), np.bool_)
        missed[truth] = False
        size = len(labels) + 1
        cells = [
            wanted[truth] * size + kinds[detection],
            (size - 1) * size + kinds[alone],
            wanted[missed] * size + size - 1,
        ]
        counts = np.bincount(np.concatenate(cells), minlength=size * size).reshape(size, size)
        return ConfusionMatrix(self.iou, score, labels, counts)


def one_to_one(
    a: NDArray[np.int64], b: NDArray[np.int64], size_a: int, size_b: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take pairs in their order, each of which has neither side in common with one that was taken before.

    Rounds take all pairs that come first on both of their sides.

    >>> one_to_one(np.array([0, 0, 1]), np.array([5, 6, 5]), 2, 7)
    (array([0]), array([5]))
    """
    taken: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    first_a, first_b = np.empty(size_a, np.int64), np.empty(size_b, np.int64)
    gone_a, gone_b = np.zeros(size_a, np.bool_), np.zeros(size_b, np.bool_)
    while len(a):
        place = np.arange(len(a))
        first_a[a[::-1]], first_b[b[::-1]] = place[::-1], place[::-1]  # of equal rows the first stays
        chosen = (first_a[a] == place) & (first_b[b] == place)
        taken.append((a[chosen], b[chosen]))
        gone_a[a[chosen]], gone_b[b[chosen]] = True, True
        left = ~(gone_a[a] | gone_b[b])
        a, b = a[left], b[left]
    if not taken:
        return a, b
    own, its = zip(*taken, strict=True)
    return np.concatenate(own), np.concatenate(its)


def _some(side: Detections | GroundTruths, bounds: NDArray[np.int64], rows: NDArray[np.bool_]) -> Collection:
    """Return some boxes that were prepared for matching, grouped by image."""
    ends = np.concatenate(([0], np.cumsum(rows)))[bounds]
    if isinstance(side.columns, np.ndarray):
        boxes = side.boxes[rows].astype(np.float64)
        return boxes.of(boxes.columns, boxes.format, ends)
    x, y, w, h = (column[rows] for column in side.columns)
    return Boxes.of((x, y, w, h), "xywh", ends)
