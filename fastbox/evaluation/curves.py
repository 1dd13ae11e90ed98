"""Precision at each recall, and the figures that COCO makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.evaluation.params import Params

__all__ = ["NOTHING", "Curves", "figures_by_class", "figures_of", "grouped", "rank", "trace"]

NOTHING = -1.0  # COCO's figure where no truth is
PIECE = 4_000  # detections that make a thread worth waking

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Curves:
    """The curves of one run, -1 where a class has no truth in a range.

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


def rank(groups: NDArray[Any], scores: Floats, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows, group by group and by descending score, ties as they come, and where each of `count` groups begins."""
    from fastbox.kernels import order

    rows, bounds = grouped(groups, count)
    ordered = order.ORDERED[scores.dtype, ""]
    parallel.run(lambda first, last: ordered(scores, rows, bounds, first, last), _pieces(bounds))
    return rows, bounds


def grouped(groups: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows, group by group, those of one as they come, and where each of `count` groups begins."""
    small = groups.astype(np.int16) if count < 2**15 else groups  # which NumPy sorts by their bytes
    return np.argsort(small, kind="stable"), np.concatenate(([0], np.cumsum(np.bincount(groups, minlength=count))))


def trace(
    words: NDArray[np.uint32],
    scores: Floats,
    ranks: NDArray[np.int32],
    bounds: NDArray[np.int64],
    truths: NDArray[np.int64],
    params: Params,
) -> Curves:
    """Trace the curves of classes, whose detections lie between `bounds` and descend by score."""
    from fastbox.kernels import evaluation

    classes, ranges = truths.shape
    thresholds, recalls = len(params.iou_thresholds), np.array(params.recalls)
    limits = np.array(params.max_dets)
    precision, at = (np.full((classes, ranges, thresholds, len(recalls)), NOTHING) for _ in range(2))
    reached = np.full((classes, ranges, thresholds, len(limits)), NOTHING)
    traced = evaluation.TRACED[np.dtype(np.float64), ""]

    def work(first: int, last: int) -> None:
        traced(words, scores, ranks, bounds, truths, recalls, limits, thresholds, first, last, precision, reached, at)

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
    count = max(1, min(parallel.get_num_threads() * parallel.PIECES_PER_THREAD, rows // PIECE))
    marks = np.linspace(bounds[0], bounds[-1], count + 1)[1:-1]
    edges = np.unique(np.concatenate(([0], np.searchsorted(bounds, marks), [len(bounds) - 1])))
    return list(pairwise(edges.tolist()))


def figures_of(curves: Curves, params: Params) -> dict[str, float]:
    """COCO's figures: AP, AP50, AP75, AP in each range, AR of each count, AR in each range."""
    return _figures(curves, params, _mean)


def figures_by_class(curves: Curves, params: Params) -> dict[str, Floats]:
    """The same figures of each class by itself, arrays of shape (classes,)."""
    return _figures(curves, params, _mean_by_class)


def _figures(curves: Curves, params: Params, mean: Callable[[Floats], T]) -> dict[str, T]:
    precision, recall = curves.precision, curves.recall
    thresholds = np.array(params.iou_thresholds)
    _, *others = params.area_ranges
    figures = {"AP": mean(precision[..., 0])}
    for threshold in (0.5, 0.75):
        figures[f"AP{threshold * 100:.0f}"] = mean(precision[thresholds == threshold, ..., 0])
    figures |= {f"AP_{name}": mean(precision[..., place]) for place, name in enumerate(others, 1)}
    figures |= {f"AR{most}": mean(recall[..., 0, place]) for place, most in enumerate(params.max_dets)}
    figures |= {f"AR_{name}": mean(recall[..., place, -1]) for place, name in enumerate(others, 1)}
    return figures


def _mean(values: Floats) -> float:
    """The mean of what is there, summed in COCO's order: thresholds, recalls, classes."""
    there = values[values > NOTHING]
    return float(np.mean(there)) if there.size else NOTHING


def _mean_by_class(values: Floats) -> Floats:
    """The mean of each class, the last axis: all is there, or nothing."""
    rows = np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1)
    return rows.mean(axis=1) if rows.size else np.full(len(rows), NOTHING)
