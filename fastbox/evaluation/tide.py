"""What is wrong with detections, and what it costs: the errors of TIDE (Bolya et al., ECCV 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import Floats, rank
from fastbox.evaluation.figures import Traced
from fastbox.evaluation.matching import FOREGROUND, VERDICTS
from fastbox.evaluation.params import Params
from fastbox.kernels.codes import CLASSIFICATION, IGNORED, LOCALIZATION, MATCHED, THRESHOLDS_PER_WORD

__all__ = ["ERRORS", "Errors", "blame"]

ERRORS = (*VERDICTS[LOCALIZATION:IGNORED], "missed")
RULES = Params(iou_thresholds=[FOREGROUND], area_ranges={"all": (0, np.inf)}, max_dets=[2**31 - 1])


@dataclass(frozen=True)
class Errors:
    """The errors of one run at an IoU of 0.5, each false detection and each truth not found having one at most.

    Attributes
    ----------
    counts : array of shape (classes, 8)
        Detections matched, with an error of location (the right class, an IoU of 0.1 to 0.5), of classification (0.5
        and more with a truth of another class), duplicate, background (below 0.1 with any truth), both location and
        class, ignored; and truths missed, which no detection has and no error of location or class is about.
    ap : float
        AP at an IoU of 0.5.
    costs : dict of str to float
        By how much AP would rise without errors of one kind: those of location and class put right, a truth each,
        other false detections taken away, truths missed not asked for.
    """

    counts: NDArray[np.int64]
    ap: float
    costs: dict[str, float]


def blame(
    bounds: NDArray[np.int64],
    scores: Floats,
    verdicts: NDArray[np.int8],
    mended: NDArray[np.int64],
    truths: NDArray[np.int64],
    missed: NDArray[np.int64],
) -> Errors:
    """Count errors and say what each kind costs.

    Detections lie class by class between `bounds` and descend by score; `mended` is the class of the truth that one
    would take, -1 for none. `truths` and `missed` are counts by class.
    """
    size = len(truths), len(VERDICTS)
    kinds = np.repeat(np.arange(size[0]), np.diff(bounds))
    counts = np.bincount(kinds * size[1] + verdicts, minlength=size[0] * size[1]).reshape(size)
    hits, hidden = verdicts == MATCHED, verdicts == IGNORED

    def ap(
        hits: NDArray[np.bool_],
        hidden: NDArray[np.bool_],
        truths: NDArray[np.int64] = truths,
        scores: Floats = scores,
        bounds: NDArray[np.int64] = bounds,
    ) -> float:
        words = (hits | hidden.astype(np.uint32) << np.uint32(THRESHOLDS_PER_WORD)).reshape(-1, 1, 1)
        return Traced(words, scores, np.zeros(len(scores), np.int32), bounds, truths[:, None], RULES).ap()

    now = ap(hits, hidden)
    costs = {}
    for verdict, name in enumerate(ERRORS[:-1], LOCALIZATION):
        wrong = verdicts == verdict
        right = wrong & (mended >= 0)
        put = hits | right, hidden | (wrong & ~right)
        if verdict == CLASSIFICATION:
            order, there, begins = rank(np.where(right, mended, kinds), scores)
            moved = begins[np.searchsorted(there, np.arange(len(truths) + 1))]
            costs[name] = ap(put[0][order], put[1][order], truths, scores[order], moved) - now
        else:
            costs[name] = ap(*put) - now
    left = truths - missed
    # Where every truth is missed, all that is still asked for is found.
    costs["missed"] = (ap(hits, hidden, left) if left.any() or not truths.any() else 1.0) - now
    return Errors(np.column_stack((counts, missed)), now, costs)
