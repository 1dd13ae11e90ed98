"""What matching finds: labels of anchors, and one-to-one matches of detections."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GreedyMatches", "Matches", "OptimalMatches"]

Ints = NDArray[np.int64]


class Matches(NamedTuple):
    """What each anchor learns, image by image.

    Attributes
    ----------
    labels : array of int8
        1 positive, 0 negative, -1 ignored.
    truths : array of int64
        The row of the truth, so that ``boxes_of_truths[truths]`` works; -1 for none. Dense results have it for every
        anchor that overlaps a truth, whatever its label.
    values : array of float
        The IoU with that truth; 0 for none.
    anchors : array of int64, or None
        The anchors' numbers within their image, ascending, where only those that are not negative are listed; None
        where all are.
    offsets : array of int64
        Where each image's rows begin, and the end.
    images : array, or None
        The images' ids, where the truths have them.
    best : array of float
        One for each truth: its highest IoU with an anchor that is not ignored, nan if it is invalid.
    """

    labels: NDArray[np.int8]
    truths: NDArray[np.int64]
    values: NDArray[Any]
    anchors: NDArray[np.int64] | None
    offsets: NDArray[np.int64]
    images: NDArray[Any] | None
    best: NDArray[Any]

    def __repr__(self) -> str:
        positive, ignored = np.count_nonzero(self.labels == 1), np.count_nonzero(self.labels == -1)
        among = "" if self.anchors is not None else f", {len(self.labels) - positive - ignored} negative"
        return f"Matches({positive} positive, {ignored} ignored{among}; {len(self.offsets) - 1} images)"


class GreedyMatches(NamedTuple):
    """For each detection: the row of its truth, and their value; -1 and nan where it has none."""

    truths: Ints
    values: NDArray[Any]


class OptimalMatches(NamedTuple):
    """The matched rows of the detections, ascending, their rows of the truths, and what each match costs."""

    rows: Ints
    cols: Ints
    costs: NDArray[Any]
