"""Calibration of scores: precision and IoU of detections by their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import Floats
from fastbox.values.record_text import record_text

__all__ = ["BINS", "Calibration", "calibrate"]

BINS = 20


@dataclass(frozen=True)
class Calibration:
    """Detections by score, in bins of equal width.

    Attributes
    ----------
    edges : array of shape (bins + 1,)
        From 0 to 1, or over the range of the scores if scores are outside of 0 to 1.
    counts : array of shape (bins,)
        Detections that are not ignored.
    scores, precision, iou : array of shape (bins,)
        The mean score of the detections of a bin, the share of them that matches at IoU ≥ 0.50, and their mean IoU with
        the truth that they take, or else with the best truth of their class; nan for an empty bin.
    ece : float
        Expected calibration error: the mean distance of score and precision over all detections; nan without any.
    """

    edges: Floats
    counts: NDArray[np.int64]
    scores: Floats
    precision: Floats
    iou: Floats
    ece: float

    def __repr__(self) -> str:
        return record_text(self)


def calibrate(scores: Floats, hits: NDArray[np.bool_], ious: Floats) -> Calibration:
    """Put detections with finite scores into bins by score."""
    known = np.isfinite(scores)
    scores, hits, ious = scores[known], hits[known], ious[known]
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    low, high = (0.0, 1.0) if 0 <= low <= high <= 1 else (low, high)
    edges = np.linspace(low, high, BINS + 1)
    place = np.clip((scores - low) * (BINS / (high - low or 1)), 0, BINS - 1).astype(np.int64)
    counts = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=column, minlength=BINS) / counts for column in (scores, hits, ious)]
    gaps = np.abs(means[0] - means[1])[counts > 0]
    ece = float((gaps * counts[counts > 0]).sum() / len(scores)) if len(scores) else float("nan")
    return Calibration(edges, counts, means[0], means[1], means[2], ece)
