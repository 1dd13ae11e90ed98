"""Errors of detections, and the rise of AP without each kind: TIDE (Bolya et al., ECCV 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import Floats, Ranked, Traced, rank
from fastbox.evaluation.matching import FOREGROUND, MATCH_TYPES
from fastbox.evaluation.params import Params
from fastbox.kernels.codes import CLASSIFICATION, IGNORED, LOCALIZATION, MATCHED, THRESHOLDS_PER_WORD
from fastbox.values.record_text import record_text

__all__ = ["ERRORS", "Errors", "blame"]

ERRORS = (*MATCH_TYPES[LOCALIZATION:IGNORED], "missed")
RULES = Params(iou_thresholds=[FOREGROUND], area_ranges={"all": (0, np.inf)}, max_dets=[2**31 - 1])


@dataclass(frozen=True)
class Errors:
    """The errors of one model at IoU ≥ 0.50; each false detection and each missed truth has at most one error.

    Attributes
    ----------
    counts : array of shape (classes, 8)
        Detections by match type: matched; errors of localization (the right class, IoU from 0.10 to 0.50), of
        classification (IoU ≥ 0.50 with a truth of another class), duplicate, background (IoU below 0.10 with every
        truth), both localization and classification; ignored. And truths missed: no detection takes the truth or has
        an error of localization or classification about it.
    ap : float
        AP at IoU ≥ 0.50.
    delta_ap : dict of str to float
        The rise of AP without the errors of one kind: detections with an error of localization or classification take
        their truth, other false detections are removed, missed truths are left out.
    """

    counts: NDArray[np.int64]
    ap: float
    delta_ap: dict[str, float]

    def __repr__(self) -> str:
        return record_text(self)


def blame(
    bounds: NDArray[np.int64],
    scores: Floats,
    match_types: NDArray[np.int8],
    fixed: NDArray[np.int64],
    truths: NDArray[np.int64],
    missed: NDArray[np.int64],
) -> Errors:
    """Count errors, and compute the rise of AP without those of each kind.

    Detections lie class by class between `bounds` and descend by score; `fixed` is the class of the truth that a fixed
    detection would take, -1 for none. `truths` and `missed` are counts by class.
    """
    size = len(truths), len(MATCH_TYPES)
    kinds = np.repeat(np.arange(size[0]), np.diff(bounds))
    counts = np.bincount(kinds * size[1] + match_types, minlength=size[0] * size[1]).reshape(size)
    hits, hidden = match_types == MATCHED, match_types == IGNORED

    def ap(
        hits: NDArray[np.bool_],
        hidden: NDArray[np.bool_],
        truths: NDArray[np.int64] = truths,
        scores: Floats = scores,
        bounds: NDArray[np.int64] = bounds,
    ) -> float:
        words = (hits | hidden.astype(np.uint32) << np.uint32(THRESHOLDS_PER_WORD)).reshape(-1, 1, 1)
        ranked = Ranked(words, scores, np.zeros(len(scores), np.int32), bounds)
        return Traced(ranked, truths[:, None], RULES).ap()

    now = ap(hits, hidden)
    delta_ap = {}
    for match_type, name in enumerate(ERRORS[:-1], LOCALIZATION):
        wrong = match_types == match_type
        right = wrong & (fixed >= 0)
        put = hits | right, hidden | (wrong & ~right)
        if match_type == CLASSIFICATION:
            order, there, begins = rank(np.where(right, fixed, kinds), scores)
            moved = begins[np.searchsorted(there, np.arange(len(truths) + 1))]
            delta_ap[name] = ap(put[0][order], put[1][order], truths, scores[order], moved) - now
        else:
            delta_ap[name] = ap(*put) - now
    left = truths - missed
    # If every truth is missed, no truth is left after leaving them out, and AP is 1.
    delta_ap["missed"] = (ap(hits, hidden, left) if left.any() or not truths.any() else 1.0) - now
    return Errors(np.column_stack((counts, missed)), now, delta_ap)
