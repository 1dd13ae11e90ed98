"""Matching of the detections of some images: the match type of each, and the metrics of the pairs that match."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.params import Params
from fastbox.evaluation.shapes import Shapes
from fastbox.kernels.codes import MATCHED, PLAIN, THRESHOLDS_PER_WORD, UNCOUNTED

__all__ = [
    "BACKGROUND",
    "COVERING",
    "FOREGROUND",
    "MATCH_TYPES",
    "PAIR_METRICS",
    "UNCOUNTED",
    "Found",
    "Hits",
    "Judged",
    "Wanted",
    "judge",
    "measure",
    "words_shape",
]

FOREGROUND, BACKGROUND = 0.5, 0.1  # IoUs of a hit, and below which a detection is background (Bolya et al., ECCV 2020)
MATCH_TYPES = ("matched", "localization", "classification", "duplicate", "background", "both", "ignored")
# The match types whose truth is not missed, by their places; the last is that of UNCOUNTED.
COVERING = np.array([name in ("matched", "localization", "classification") for name in MATCH_TYPES] + [False])
PAIR_METRICS = ("iou", "giou", "smooth_l1")
BETA = np.float64(1)  # where smooth_l1 turns linear, in pixels
PIECE = 65_536  # pairs below which another thread does not pay


class Found(NamedTuple):
    """Detections, image by image, in the form in which kernels match them.

    Attributes
    ----------
    boxes : Shapes
        x, y, w and h of plain boxes; a tile of rotated ones.
    codes : array of shape (n,)
        The code of the model in the upper half of the bits, the code of the class in the lower half.
    scores : array of shape (n,)
        Without nan.
    outside : array of shape (n,)
        A bit for each range of areas that the detection is not in.
    bounds : array of shape (images + 1,)
        The first detection of each image, and the end of the last image.
    order : array of shape (n,)
        The rows of each image, in the order of equal scores.
    """

    boxes: Shapes
    codes: NDArray[np.int64]
    scores: NDArray[np.float64]
    outside: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    order: NDArray[np.int64]


class Wanted(NamedTuple):
    """Truths, image by image, in the form in which kernels match them.

    Attributes
    ----------
    boxes, bounds, order
        As of :class:`Found`.
    kinds : array of shape (m,)
        Codes of classes.
    crowd, ignore : array of shape (m,)
        Flags of regions with many objects, and of truths that do not count, which all crowds are.
    hidden : array of shape (m,)
        A bit for each range of areas that the truth is ignored in.
    numbers : dict of str to array of shape (m,)
        The further columns that the benchmark reads, nan where there is no value.
    """

    boxes: Shapes
    kinds: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    hidden: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    order: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]


class Judged(NamedTuple):
    """The matches of detections, a value of each column for each detection.

    Attributes
    ----------
    rank : array of shape (n,)
        From 0, among the detections of the image, model and class.
    words : array of shape (n, ranges, words)
        A bit for each threshold that the detection reaches, and one for each at which it is ignored; 16 thresholds a
        word.
    match_type : array of shape (n,)
        The place of the match type among ``MATCH_TYPES``; ``UNCOUNTED`` beyond the greatest of ``max_dets``.
    truth : array of shape (n,)
        The row of the truth that the detection takes, or that its error is about; -1 for none.
    iou : array of shape (n,)
        The best IoU with a truth of the class of the detection.
    fixed : array of shape (n,)
        A flag: the detection would match if its error were fixed.
    """

    rank: NDArray[np.int32]
    words: NDArray[np.uint32]
    match_type: NDArray[np.int8]
    truth: NDArray[np.int64]
    iou: NDArray[np.float64]
    fixed: NDArray[np.bool_]

    def of_rows(self, rows: NDArray[np.int64]) -> Judged:
        """Return the matches with other rows of the truths, given the new row of each."""
        truth = np.append(rows, -1)[self.truth]
        truth.flags.writeable = False
        return self._replace(truth=truth)


class Hits(NamedTuple):
    """Rows of detections that match at IoU ≥ 0.50, rows of the truths they take, and the metrics of each pair."""

    rows: NDArray[np.int64]
    truths: NDArray[np.int64]
    metrics: dict[str, NDArray[np.float64]]


def words_shape(params: Params, masks: int = 0) -> tuple[int, int]:
    """Return the number of ranges of areas and of groups of truths, and of words that hold a bit for each threshold."""
    return len(params.area_ranges) + masks, -(-len(params.iou_thresholds) // THRESHOLDS_PER_WORD)


def judge(found: Found, wanted: Wanted, params: Params, masks: int = 0, geometry: str = PLAIN) -> Judged:
    """Match every detection at every threshold and in every range of areas, and find its match type.

    Groups of truths, of which `masks` is the number, are matched as further ranges. The boxes are of one geometry.
    """
    n, images = len(found.scores), len(found.bounds) - 1
    judged = Judged(
        np.empty(n, np.int32),
        np.zeros((n, *words_shape(params, masks)), np.uint32),
        np.full(n, UNCOUNTED, np.int8),
        np.full(n, -1, np.int64),
        np.zeros(n),
        np.zeros(n, np.bool_),
    )
    rows, truth_rows = found.order.copy(), wanted.order.copy()
    level = np.zeros(len(wanted.kinds))
    thresholds, f8 = params.least, np.dtype(np.float64)
    sort = parallel.kernels("common.sorting").SORT[f8, ""]
    match, classify = _kernels(params, geometry)
    most = params.max_dets[-1]
    targets, places = (wanted.boxes, wanted.kinds, wanted.crowd), (wanted.bounds, truth_rows)
    detections = found.boxes, found.codes, found.outside, found.bounds, rows
    scored = found.boxes, found.codes, found.bounds, rows, found.scores

    def work(*span: int) -> None:
        sort(found.codes, found.scores, found.bounds, rows, *span)
        sort(wanted.kinds, level, wanted.bounds, truth_rows, *span)
        outputs = judged.rank, judged.words
        match(detections, (*targets, wanted.hidden, *places), (thresholds, most), span, outputs)
        classify(scored, (*targets, wanted.ignore, *places), (FOREGROUND, BACKGROUND, most), span, tuple(judged[2:]))

    pieces = parallel.cuts(found.bounds, wanted.bounds)
    edges = sorted({0, images, *(image for image, _, _ in pieces)})
    parallel.run(work, list(pairwise(edges)))
    return judged


def _kernels(params: Params, geometry: str) -> tuple[Any, Any]:
    """Return the kernels that match boxes of a geometry by the rules, and that find errors."""
    f8 = np.dtype(np.float64)
    if geometry != PLAIN:
        kernels = parallel.kernels(f"evaluate.{geometry}")
        match = kernels.MATCH_ANY if params.record.takes == "any" else kernels.MATCH
        return match[f8, params.metric], kernels.CLASSIFY_ERRORS[f8, params.metric]
    if params.record.group_of:
        match = parallel.kernels("evaluate.match_groups").MATCH_GROUPS
    elif params.record.takes == "any":
        match = parallel.kernels("evaluate.match_any").MATCH_ANY
    elif params.record.regions:
        match = parallel.kernels("evaluate.regions").MATCH_REGIONS
    else:
        match = parallel.kernels("evaluate.match").MATCH
    return match[f8, ""], parallel.kernels("evaluate.tide").CLASSIFY_ERRORS[f8, ""]


def measure(detections: Shapes, truths: Shapes, judged: Judged, params: Params) -> Hits:
    """Measure the detections that match with the truths that they take, rotated ones by the metric of the rules."""
    rows = np.flatnonzero(judged.match_type == MATCHED)
    taken = judged.truth[rows]
    if isinstance(detections, np.ndarray) or isinstance(truths, np.ndarray):
        return Hits(rows, taken, {params.metric: judged.iou[rows]})
    outputs = np.empty((len(PAIR_METRICS), len(rows)))
    kernel = parallel.kernels("evaluate.hits").MEASURE_HITS[outputs.dtype, ""]
    given = detections, truths, (rows, taken), BETA
    parallel.run(kernel, [(*given, span, tuple(outputs)) for span in parallel.blocks(len(rows), 1024, PIECE)])
    return Hits(rows, taken, dict(zip(PAIR_METRICS, outputs, strict=True)))
