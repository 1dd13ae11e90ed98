"""Results of matching: labels of anchors, and one-to-one matches of detections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.values.record_text import record_text

__all__ = ["GreedyMatches", "Matches", "OptimalMatches"]

Ints = NDArray[np.int64]


class Matches(NamedTuple):
    """The label, truth and value of each anchor or point, image by image.

    Attributes
    ----------
    labels : array of int8
        1 positive, 0 negative, -1 ignored.
    truths : array of int64
        The row of the anchor's truth among all truths; -1 for none. In dense results every anchor that overlaps a truth
        has one, whatever its label.
    values : array of float
        The IoU with that truth; 0 for none.
    anchors : array of int64, or None
        In sparse results the numbers of the anchors in their image, ascending; None in dense results, which list all
        anchors.
    offsets : array of int64
        The first row of each image, and the end.
    images : array, or None
        The ids of the images, where the truths have ids.
    best : array of float
        For each truth its highest IoU with an anchor that is not ignored, nan for an invalid truth. For points, the
        highest overlap with one of its positive points, 0 without any; nan without predictions.
    ious : array of float, or None
        For points, the overlap of the point's prediction with the truth, as the rule measures it; `values` then are the
        rule's target scores (TAL), metrics (TOOD), IoUs (SimOTA, RTMDet) or 1 (FCOS). None for anchors.
    candidates : array of int64, shape (truths, levels), or None
        For points, the number of points of each level that each truth could have; None for anchors.
    positives : array of int64, or None
        For points, the number of positive points of each truth; None for anchors.
    """

    labels: NDArray[np.int8]
    truths: NDArray[np.int64]
    values: NDArray[Any]
    anchors: NDArray[np.int64] | None
    offsets: NDArray[np.int64]
    images: NDArray[Any] | None
    best: NDArray[Any]
    ious: NDArray[Any] | None = None
    candidates: NDArray[np.int64] | None = None
    positives: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        positive, ignored = np.count_nonzero(self.labels == 1), np.count_nonzero(self.labels == -1)
        among = "" if self.anchors is not None else f", {len(self.labels) - positive - ignored} negative"
        return f"Matches({positive} positive, {ignored} ignored{among}; {len(self.offsets) - 1} images)"


class GreedyMatches(NamedTuple):
    """The row of each detection's truth, and their value; -1 and nan for a detection without a truth."""

    truths: Ints
    values: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)


class OptimalMatches(NamedTuple):
    """The rows of matched detections, ascending, the rows of their truths, and the cost of each match."""

    rows: Ints
    cols: Ints
    costs: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)
