"""The matches of each image, as the records of ``COCOeval.evalImgs`` of pycocotools have them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.kept_boxes import KeptBoxes
from fastbox.evaluation.matching import Found, Wanted, words_shape
from fastbox.evaluation.params import Params
from fastbox.evaluation.shapes import Shapes
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

__all__ = ["CocoImages", "Matched", "Record", "match_images", "of_model"]

Record: TypeAlias = dict[str, Any]


class Matched(NamedTuple):
    """Detections and truths of images, matched at every threshold and in every range of areas.

    Attributes
    ----------
    found : Found
    wanted : Wanted
    rows, truth_rows : arrays of shape (n,) and (m,)
        The rows of each image, by class; those of detections then by descending score.
    ranks : array of shape (n,)
        From 0, among the detections of the image and class.
    words : array of shape (n, ranges, words)
        A bit for each threshold that the detection reaches, and one for each at which it is ignored; 16 thresholds a
        word.
    taken : array of shape (n, ranges, thresholds), or (0, 0, 0)
        The row of the truth that the detection takes, -1 for none.
    """

    found: Found
    wanted: Wanted
    rows: NDArray[np.int64]
    truth_rows: NDArray[np.int64]
    ranks: NDArray[np.int32]
    words: NDArray[np.uint32]
    taken: NDArray[np.int32]


def match_images(found: Found, wanted: Wanted, params: Params, *, keep: bool) -> Matched:
    """Match detections by COCO's rules, without their errors; `keep` keeps the truth that each detection takes.

    The truths take four bytes for each detection, range of areas and threshold.
    """
    n, images = len(found.scores), len(found.bounds) - 1
    rows, truth_rows = found.order.copy(), wanted.order.copy()
    ranks, words = np.empty(n, np.int32), np.zeros((n, *words_shape(params)), np.uint32)
    taken = np.full((n, len(params.area_ranges), len(params.iou_thresholds)) if keep else (0, 0, 0), -1, np.int32)
    f8, level = np.dtype(np.float64), np.zeros(len(wanted.kinds))
    sort = parallel.kernels("common.sorting").SORT[f8, ""]
    kernels = parallel.kernels("evaluate.match")
    match = kernels.MATCH_KEEPING[f8, "keep"] if keep else kernels.MATCH[f8, ""]
    outputs = (ranks, words, taken) if keep else (ranks, words)
    detections = found.boxes, found.codes, found.outside, found.bounds, rows
    truths = wanted.boxes, wanted.kinds, wanted.crowd, wanted.hidden, wanted.bounds, truth_rows

    def work(*span: int) -> None:
        sort(found.codes, found.scores, found.bounds, rows, *span)
        sort(wanted.kinds, level, wanted.bounds, truth_rows, *span)
        match(detections, truths, (params.least, params.max_dets[-1]), span, outputs)

    pieces = parallel.cuts(found.bounds, wanted.bounds)
    edges = sorted({0, images, *(image for image, _, _ in pieces)})
    parallel.run(work, list(pairwise(edges)))
    return Matched(found, wanted, rows, truth_rows, ranks, words, taken)


class Group(NamedTuple):
    """The detections and truths of an image and class, as spans of the rows of a :class:`Matched`."""

    first: int
    last: int
    first_truth: int
    last_truth: int


class CocoImages(Sequence[Record | None]):
    """The records of ``COCOeval.evalImgs``, each made when it is read: class by class, range by range, by image.

    A record is a dict of `image_id`, `category_id`, `aRng`, `maxDet`, `dtIds`, `gtIds`, `dtScores`, `dtMatches` and
    `dtIgnore` of shape (thresholds, detections), `gtMatches` of shape (thresholds, truths) and `gtIgnore` of shape
    (truths,). Detections come by descending score, at most the greatest of ``max_dets``; ignored truths come last.
    `dtMatches` has the id of the truth that a detection takes, `gtMatches` that of the last detection that takes a
    truth, 0 for none. An image without boxes of a class has None.

    Parameters
    ----------
    matched : Matched
        With the truths kept, and places among `labels` as codes of classes.
    params : Params
    images, labels : sequences
        The ids of images and of classes.
    ids, truth_ids : arrays of shape (n,) and (m,), optional
        The ids of detections and truths; by default the numbers of their rows, from 1.

    Raises
    ------
    IndexError
        A record beyond the last.

    Examples
    --------
    >>> import fastbox
    >>> boxes = [[0, 0, 4, 4], [9, 9, 12, 12]]
    >>> found = fastbox.evaluate(boxes, [0.8, 0.9], boxes, keep_boxes=True)
    >>> record = found.coco_images()[0]
    >>> record["dtIds"], record["dtMatches"][0].tolist()
    ([2, 1], [2.0, 1.0])
    """

    def __init__(
        self,
        matched: Matched,
        params: Params,
        images: Sequence[Any],
        labels: Sequence[Any],
        ids: NDArray[Any] | None = None,
        truth_ids: NDArray[Any] | None = None,
    ) -> None:
        self.matched, self.params, self.images, self.labels = matched, params, images, labels
        n, m = len(matched.found.scores), len(matched.wanted.kinds)
        self.ids = np.arange(1, n + 1) if ids is None else ids
        self.truth_ids = np.arange(1, m + 1) if truth_ids is None else truth_ids
        self._taken_ids = np.append(self.truth_ids, 0).astype(np.float64)  # the last one is that of the row -1
        self.ranges = list(params.area_ranges.values())
        self.groups = _groups(matched, len(labels), params.max_dets[-1])
        thresholds = np.arange(len(params.iou_thresholds))
        self._word, bit = np.divmod(thresholds, THRESHOLDS_PER_WORD)
        self._ignored = np.uint32(1) << (bit + THRESHOLDS_PER_WORD).astype(np.uint32)

    def __repr__(self) -> str:
        return f"CocoImages({len(self)} records)"

    def __len__(self) -> int:
        return len(self.labels) * len(self.ranges) * len(self.images)

    @overload
    def __getitem__(self, index: int) -> Record | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record | None]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record | None] | None:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        above, image = divmod(range(len(self))[index], len(self.images))
        return self.record(*divmod(above, len(self.ranges)), image)

    def record(self, label: int, area: int, image: int) -> Record | None:
        """Return the record of a class, a range of areas and an image, given their places."""
        group = self.groups.get((image, label))
        return None if group is None else self._of_group(label, image, group)[area]

    def to_list(self) -> list[Record | None]:
        """Return all records."""
        records: list[Record | None] = [None] * len(self)
        for (image, label), group in self.groups.items():
            first = label * len(self.ranges) * len(self.images) + image
            for area, record in enumerate(self._of_group(label, image, group)):
                records[first + area * len(self.images)] = record
        return records

    def _of_group(self, label: int, image: int, group: Group) -> list[Record]:
        """Return the records of a class and an image, one for each range of areas."""
        matched, ranges = self.matched, np.arange(len(self.ranges), dtype=np.uint32)
        rows = matched.rows[group.first : group.last]
        truths = matched.truth_rows[group.first_truth : group.last_truth]
        hidden = matched.wanted.hidden[truths] >> ranges[:, None] & np.uint32(1)
        order = hidden.argsort(axis=1, kind="stable")
        taken = matched.taken[rows].transpose(1, 2, 0)
        own, its = self.ids[rows], self.truth_ids[truths[order]]
        takers = np.take_along_axis(_takers(taken, truths, own), order[:, None], axis=2)
        ignored = np.take_along_axis(hidden, order, axis=1).astype(np.int64)
        matches = self._taken_ids[taken]
        aside = (matched.words[rows][..., self._word] & self._ignored != 0).transpose(1, 2, 0)
        scores = matched.found.scores[rows]
        return [
            {
                "image_id": self.images[image],
                "category_id": self.labels[label],
                "aRng": list(limits),
                "maxDet": self.params.max_dets[-1],
                "dtIds": own.tolist(),
                "gtIds": its[area].tolist(),
                "dtMatches": matches[area],
                "gtMatches": takers[area],
                "dtScores": scores.tolist(),
                "gtIgnore": ignored[area],
                "dtIgnore": aside[area],
            }
            for area, limits in enumerate(self.ranges)
        ]

    def ious(self, label: int, image: int) -> NDArray[np.float64] | list[Any]:
        """Return the IoUs of a class in an image, (detections, truths), given their places; an empty list of none.

        Detections come by descending score, at most the greatest of ``max_dets``; truths in the order of their rows.
        The overlap with a crowd is the share of the detection inside the crowd.
        """
        group = self.groups.get((image, label))
        if group is None or group.first == group.last or group.first_truth == group.last_truth:
            return []
        found, wanted = self.matched.found, self.matched.wanted
        rows = self.matched.rows[group.first : group.last]
        truths = self.matched.truth_rows[group.first_truth : group.last_truth]
        return _overlaps(_some(found.boxes, rows), _some(wanted.boxes, truths), wanted.crowd[truths])


def of_model(collected: Collected, boxes: KeptBoxes | None, model: Any) -> CocoImages:
    """Return the records of a model of an evaluation.

    Raises
    ------
    ValueError
        No boxes, or rules that do not match as COCO's do.
    """
    params = collected.params
    if boxes is None:
        raise ValueError("expected an evaluation with keep_boxes, got one without: give keep_boxes=True")
    if params.record.takes != "last" or params.record.regions or params.record.group_of:
        raise ValueError(f"expected rules that match as COCO's do, got {params.rule!r}: give coco, ai-tod or lvis")
    found, wanted, rows = boxes.of_model(collected.code(model), collected.places)
    matched = match_images(found, wanted, params, keep=True)
    images = [image for some in collected.ids for image in some.tolist()]
    return CocoImages(matched, params, images, collected.labels, rows + 1)


def _groups(matched: Matched, labels: int, most: int) -> dict[tuple[int, int], Group]:
    """Return the groups of each image and class that has boxes, given the number of classes and of detections."""
    found, wanted = matched.found, matched.wanted
    keys, truth_keys = (
        np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)) * labels + kinds[rows]
        for bounds, kinds, rows in (
            (found.bounds, found.codes, matched.rows),
            (wanted.bounds, wanted.kinds, matched.truth_rows),
        )
    )
    there = np.union1d(keys, truth_keys)
    first, last, first_truth, last_truth = (
        np.searchsorted(own, there, side) for own in (keys, truth_keys) for side in ("left", "right")
    )
    spans = zip(first, np.minimum(last, first + most), first_truth, last_truth, strict=True)
    return {divmod(key, labels): Group(*map(int, span)) for key, span in zip(there.tolist(), spans, strict=True)}


def _takers(taken: NDArray[np.int32], truths: NDArray[np.int64], ids: NDArray[Any]) -> NDArray[np.float64]:
    """Return the id of the last detection that takes each truth, (ranges, thresholds, truths), 0 for none."""
    takers = np.zeros((*taken.shape[:2], len(truths)))
    area, threshold, detection = np.nonzero(taken >= 0)
    order = truths.argsort()
    place = order[truths[order].searchsorted(taken[area, threshold, detection])]
    takers[area, threshold, place] = ids[detection]  # of several detections NumPy assigns the last
    return takers


def _some(columns: Shapes, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    return tuple(column[rows] for column in columns)


def _overlaps(
    boxes: tuple[NDArray[np.float64], ...], truths: tuple[NDArray[np.float64], ...], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the overlap of each box with each truth, given x, y, w and h, in the arithmetic of pycocotools."""
    x, y, w, h = (column[:, None] for column in boxes)
    left, top, width, height = truths
    across = np.minimum(x + w, left + width) - np.maximum(x, left)
    down = np.minimum(y + h, top + height) - np.maximum(y, top)
    shared = across * down
    whole = np.where(crowd, w * h, w * h + width * height - shared)
    overlaps = np.zeros(shared.shape)
    np.divide(shared, whole, out=overlaps, where=(across > 0) & (down > 0))
    return overlaps
