"""The arrays of ``COCOeval`` in the shapes of pycocotools."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.evaluation.curves import Floats, Ranked, trace
from fastbox.evaluation.params import Params

__all__ = ["CocoArrays", "coco_arrays"]


@dataclass(frozen=True)
class CocoArrays:
    """The entries of ``COCOeval.eval``, -1 where a class has no truth in a range of areas.

    Attributes
    ----------
    precision : array of shape (thresholds, recalls, classes, ranges, max_dets)
        The best precision at a recall or a higher one.
    recall : array of shape (thresholds, classes, ranges, max_dets)
        The highest recall.
    scores : array like precision
        The score of the detection that reaches the recall.
    """

    precision: Floats
    recall: Floats
    scores: Floats

    def __repr__(self) -> str:
        return f"CocoArrays(precision of shape {self.precision.shape})"


def coco_arrays(detections: Ranked, truths: NDArray[np.int64], params: Params) -> CocoArrays:
    """Trace the curves of the detections within each limit on their number."""
    curves = [trace(_within(detections, limit), truths, params) for limit in params.max_dets]
    precision, scores = (np.stack([getattr(own, name) for own in curves], axis=-1) for name in ("precision", "scores"))
    return CocoArrays(precision, curves[-1].recall, scores)


def _within(detections: Ranked, limit: int) -> Ranked:
    """Return the detections of an image and class with the highest scores, at most `limit`."""
    kept = detections.ranks < limit
    if kept.all():
        return detections
    bounds = np.concatenate(([0], np.cumsum(kept)))[detections.bounds]
    return Ranked(detections.words[kept], detections.scores[kept], detections.ranks[kept], bounds)
