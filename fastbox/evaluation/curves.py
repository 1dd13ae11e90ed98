"""Precision at each recall."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.evaluation.params import Params

__all__ = ["NOTHING", "Curves", "Floats", "grouped", "rank", "trace"]

NOTHING = -1.0  # COCO's figure where no truth is
PIECE = 4_000  # detections that make a thread worth waking

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The curves of one model, -1 where a class has no truth in a range.

    Attributes
    ----------
    precision : array of shape (thresholds, recalls, classes, ranges)
        The best precision at this recall or a higher one.
    recall : array of shape (thresholds, classes, ranges, max_dets)
        The highest recall that is reached.
    scores : array like precision
        Of the detection that reaches the recall.
    truths : array of shape (classes, ranges)
        How many are to be found.
    """

    precision: Floats
    recall: Floats
    scores: Floats
    truths: NDArray[np.int64]


def rank(groups: NDArray[np.int64], scores: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows, group by group and by descending score, ties as they come; the groups that are there, ascending, and
    where each begins, and the last ends.
    """
    rows = _stable(groups, int(groups.max(initial=0)) + 1)
    ordered_groups = groups[rows]
    starts = np.flatnonzero(ordered_groups[1:] != ordered_groups[:-1]) + 1
    bounds = np.concatenate((np.zeros(min(1, len(rows)), np.int64), starts, [len(rows)]))
    sort = parallel.kernels("common.sorting").SORT_BY_SCORE[scores.dtype, ""]
    parallel.run(lambda first, last: sort(scores, rows, bounds, first, last), _pieces(bounds))
    return rows, ordered_groups[bounds[:-1]], bounds


def grouped(groups: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows, group by group, those of one as they come, and where each of `count` groups begins."""
    return _stable(groups, count), np.concatenate(([0], np.cumsum(np.bincount(groups, minlength=count))))


def _stable(groups: NDArray[Any], count: int) -> NDArray[np.int64]:
    small = groups.astype(np.int16) if count < 2**15 else groups  # which NumPy sorts by their bytes
    return np.argsort(small, kind="stable")


def trace(
    words: NDArray[np.uint32],
    scores: Floats,
    ranks: NDArray[np.int32],
    bounds: NDArray[np.int64],
    truths: NDArray[np.int64],
    params: Params,
) -> Curves:
    """Trace the curves of classes, whose detections lie between `bounds` and descend by score."""
    classes, ranges = truths.shape
    thresholds, recalls = len(params.iou_thresholds), np.array(params.recalls)
    limits = np.array(params.max_dets)
    precision, at = (np.full((classes, ranges, thresholds, len(recalls)), NOTHING) for _ in range(2))
    reached = np.full((classes, ranges, thresholds, len(limits)), NOTHING)
    kernel = parallel.kernels("evaluate.curves").TRACE[np.dtype(np.float64), ""]
    detections, axes = (words, scores, ranks, bounds), (recalls, limits, thresholds)

    def work(first: int, last: int) -> None:
        kernel(detections, truths, axes, (first, last), (precision, reached, at))

    parallel.run(work, _pieces(bounds))
    return Curves(
        precision.transpose(2, 3, 0, 1),
        reached.transpose(2, 0, 1, 3),
        at.transpose(2, 3, 0, 1),
        truths,
    )


def _pieces(bounds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut groups into pieces of about as many rows."""
    rows = int(bounds[-1] - bounds[0])
    count = max(1, min(parallel.get_num_threads() * parallel.SPANS_PER_THREAD, rows // PIECE))
    marks = np.linspace(bounds[0], bounds[-1], count + 1)[1:-1]
    edges = np.unique(np.concatenate(([0], np.searchsorted(bounds, marks), [len(bounds) - 1])))
    return list(pairwise(edges.tolist()))
