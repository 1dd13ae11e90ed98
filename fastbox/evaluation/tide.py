"""Errors of detections, and the rise of AP without each kind: TIDE (Bolya et al., ECCV 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import dataclass
from fastbox.evaluation.curves import NOTHING, Floats, pieces
from fastbox.evaluation.matching import MATCH_TYPES
from fastbox.evaluation.protocols.coco import COCO
from fastbox.kernels.codes import CLASSIFICATION, IGNORED, LOCALIZATION, UNCOUNTED
from fastbox.values.record_text import record_text

__all__ = ["COUNTS", "ERRORS", "Errors", "blame"]

COUNTS = (*MATCH_TYPES, "missed")
ERRORS = (*MATCH_TYPES[LOCALIZATION:IGNORED], "missed")
RECALLS = np.array(COCO.recalls)
AT_ONCE = 1 << 20  # rows that are counted at once


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
    truths : int
        Matched and missed truths, and those that a detection nearly takes: without crowds and truths to be ignored.
    """

    counts: NDArray[np.int64]
    ap: float
    delta_ap: dict[str, float]
    truths: int

    def __repr__(self) -> str:
        return record_text(self)


def blame(
    bounds: NDArray[np.int64],
    scores: Floats,
    match_types: NDArray[np.int8],
    fixed: NDArray[np.int32],
    places: NDArray[np.int64],
    truths: NDArray[np.int64],
    missed: NDArray[np.int64],
) -> Errors:
    """Count errors, and compute the rise of AP without those of each kind.

    Detections lie class by class between `bounds` and descend by score; `fixed` is the code of the class of the truth
    that a fixed detection would take, -1 for none, and `places` has the place of each code among the classes. `truths`
    and `missed` are counts by class.
    """
    classes = len(truths)
    detections = match_types, fixed, scores, bounds
    moved = np.flatnonzero((match_types == CLASSIFICATION) & (fixed >= 0))
    target = places[fixed[moved]]
    order = np.lexsort((moved, -scores[moved], target))
    movers = moved[order], np.searchsorted(target[order], np.arange(classes + 1))
    nobody = np.empty(0, np.int64), np.zeros(classes + 1, np.int64)
    spans = pieces(bounds)

    def ap(match_type: int, truths: NDArray[np.int64] = truths) -> float:
        """Return AP without the errors of a match type."""
        there = np.flatnonzero(truths)
        if not len(there):
            return NOTHING
        precision = np.empty((classes, len(RECALLS)))
        kernel = parallel.kernels("evaluate.tide").TRACE_FIXED[precision.dtype, ""]
        rest = truths, (match_type, RECALLS)
        some = movers if match_type == CLASSIFICATION else nobody
        parallel.run(kernel, [(detections, some, *rest, span, precision) for span in spans])
        return float(np.add.reduce(precision[there].T.reshape(-1))) / (len(there) * len(RECALLS))

    now = ap(UNCOUNTED)
    delta_ap = {name: ap(kind) - now for kind, name in enumerate(ERRORS[:-1], LOCALIZATION)}
    left = truths - missed
    # If every truth is missed, no truth is left after leaving them out, and AP is 1.
    delta_ap["missed"] = (ap(UNCOUNTED, left) if left.any() or not truths.any() else 1.0) - now
    return Errors(np.column_stack((_counts(bounds, match_types), missed)), now, delta_ap, int(truths.sum()))


def _counts(bounds: NDArray[np.int64], match_types: NDArray[np.int8]) -> NDArray[np.int64]:
    """Count the detections of each class and match type, some rows at a time."""
    size = len(bounds) - 1, len(MATCH_TYPES)
    counts = np.zeros(size[0] * size[1], np.int64)
    for first in range(0, len(match_types), AT_ONCE):
        some = match_types[first : first + AT_ONCE]
        kinds = np.repeat(np.arange(size[0]), np.diff(bounds.clip(first, first + len(some))))
        counts += np.bincount(kinds * size[1] + some, minlength=len(counts))
    return counts.reshape(size)
