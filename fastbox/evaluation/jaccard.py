"""Counts of optimal matchings by score: the matches, truths and detections of images, for the Jaccard index."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.matching import Found, Wanted
from fastbox.evaluation.params import Params

__all__ = ["LEVELS", "Jaccard", "count_matches", "jaccard"]

LEVELS = 1e-1 * np.arange(10)  # scores above which detections count
EPS = 1e-6  # added to the number of boxes that divides


class Jaccard(NamedTuple):
    """The Jaccard index at each of ``LEVELS``: its mean over images with boxes, and sums of matches and boxes."""

    means: NDArray[np.float64]
    images: NDArray[np.int64]
    matches: NDArray[np.int64]
    truths: NDArray[np.int64]
    detections: NDArray[np.int64]

    @property
    def best(self) -> int:
        """The first place of the highest index."""
        return int(np.argmax(self.means))


def count_matches(found: Found, wanted: Wanted, params: Params) -> dict[str, NDArray[Any]]:
    """Match detections of each image and model above each score one to one, at the greatest sum of IoUs.

    Returns ``image``, ``model``, ``shared`` and ``counts``, an array of shape (rows, levels, 3) with the numbers of
    matches, truths and detections. A row that is shared counts for the models without detections in the image.
    """
    images, f8 = len(found.bounds) - 1, np.dtype(np.float64)
    models = found.codes >> 32
    most = int(models.max(initial=0)) + 1
    groups = np.unique(np.repeat(np.arange(images), np.diff(found.bounds)) * most + models)
    image, model = np.divmod(groups, most)
    firsts = np.searchsorted(image, np.arange(images + 1))
    counts, alone = np.zeros((len(groups), len(LEVELS), 3), np.int32), np.zeros(images, np.int32)
    rows = found.order.copy()
    sort = parallel.kernels("common.sorting").SORT[f8, ""]
    kernel = parallel.kernels("evaluate.jaccard").JACCARD[f8, ""]
    detections = found.boxes, found.codes, found.scores, found.outside, found.bounds, rows
    truths = wanted.boxes, wanted.hidden, wanted.bounds, wanted.order
    rule = params.least[0], LEVELS

    def work(*span: int) -> None:
        sort(found.codes, found.scores, found.bounds, rows, *span)
        kernel(detections, truths, rule, span, (firsts, counts, alone))

    edges = sorted({0, images, *(first for first, _, _ in parallel.cuts(found.bounds, wanted.bounds))})
    parallel.run(work, list(pairwise(edges)))
    missed = np.flatnonzero(alone)
    only = np.zeros((len(missed), len(LEVELS), 3), np.int32)
    only[:, :, 1] = alone[missed, None]
    return {
        "image": np.concatenate((image, missed)),
        "model": np.concatenate((model, np.zeros(len(missed), np.int64))),
        "shared": np.arange(len(image) + len(missed)) >= len(image),
        "counts": np.concatenate((counts, only)),
    }


def jaccard(facts: Mapping[str, NDArray[Any]]) -> Jaccard:
    """Return the index of a model at each score, given the rows of :func:`count_matches` of the model or shared.

    >>> counts = np.zeros((1, 10, 3), np.int64) + [1, 1, 2]
    >>> facts = {"image": np.array([0]), "shared": np.array([False]), "counts": counts}
    >>> round(float(jaccard(facts).means[0]), 3)
    0.5
    """
    image, shared = facts["image"], facts["shared"]
    own = ~shared
    rows = np.flatnonzero(own | ~np.isin(image, image[own]))
    rows = rows[np.argsort(image[rows], kind="stable")]
    counts = facts["counts"][rows].astype(np.int64)
    met, truths, detections = (np.ascontiguousarray(counts[:, :, place].T) for place in range(3))
    ratios = met / (truths + detections - met + EPS)
    images = np.count_nonzero((truths != 0) | (detections != 0), axis=1)
    means = ratios.sum(axis=1) / np.maximum(images, 1)
    return Jaccard(means, images, met.sum(axis=1), truths.sum(axis=1), detections.sum(axis=1))
