"""Calibration of scores: precision and IoU of detections by their scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.evaluation.curves import Floats
from fastbox.kernels.codes import IGNORED, MATCHED
from fastbox.values.record_text import record_text

__all__ = ["BINS", "Calibration", "calibrate"]

BINS = 20
AT_ONCE = 1 << 18  # detections that are put into bins at once


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
        The mean score of the detections of a bin, the share of them that matches at IoU ≥ 0.50, and their mean IoU (or
        ProbIoU, if the rules match by it) with the truth that they take, or else with the best truth of their class;
        nan for an empty bin.
    ece : float
        Expected calibration error: the mean distance of score and precision over all detections; nan without any, and
        where scores are outside of 0 to 1, for they are no probabilities then.
    """

    edges: Floats
    counts: NDArray[np.int64]
    scores: Floats
    precision: Floats
    iou: Floats
    ece: float

    def __repr__(self) -> str:
        return record_text(self)


def calibrate(scores: Floats, match_types: NDArray[np.int8], ious: NDArray[np.float32]) -> Calibration:
    """Put detections with finite scores that are not ignored into bins by score, some rows at a time."""
    blocks = [slice(first, first + AT_ONCE) for first in range(0, len(scores), AT_ONCE)]
    known = [np.isfinite(scores[rows]) & (match_types[rows] != IGNORED) for rows in blocks]
    ends = [(own.min(), own.max()) for rows, some in zip(blocks, known, strict=True) if len(own := scores[rows][some])]
    low, high = (float(min(own for own, _ in ends)), float(max(own for _, own in ends))) if ends else (0.0, 1.0)
    probable = 0 <= low <= high <= 1
    low, high = (0.0, 1.0) if probable else (low, high)
    counts, sums = np.zeros(BINS, np.int64), np.zeros((3, BINS))
    for rows, some in zip(blocks, known, strict=True):
        own = scores[rows][some]
        place = np.clip((own - low) * (BINS / (high - low or 1)), 0, BINS - 1).astype(np.int64)
        counts += np.bincount(place, minlength=BINS)
        for added, column in zip(sums, (own, match_types[rows][some] == MATCHED, ious[rows][some]), strict=True):
            np.add.at(added, place, column.astype(np.float64))  # one after another: the same bits for any blocks
    with np.errstate(invalid="ignore"):
        means = sums / counts
    gaps = np.abs(means[0] - means[1])[counts > 0]
    ece = float((gaps * counts[counts > 0]).sum() / counts.sum()) if ends and probable else float("nan")
    return Calibration(np.linspace(low, high, BINS + 1), counts, means[0], means[1], means[2], ece)
