"""Detections and truths of whole images, and their boxes in the form in which kernels match them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.boxes.base import Collection
from fastbox.evaluation.conditions import met
from fastbox.evaluation.matching import Found, Wanted
from fastbox.evaluation.params import Params
from fastbox.evaluation.shapes import areas_of, invalid, shapes_of, unmatchable
from fastbox.kernels.codes import PLAIN
from fastbox.values.labels import once

__all__ = ["Detections", "GroundTruths", "Images"]

EVERY_RANGE = np.uint32(0xFFFFFFFF)  # the bits of a truth that is ignored in every range of areas


@dataclass(frozen=True, eq=False)
class Images:
    """The aligned images of detections and truths: ids, if there are any, and the bounds of both sides.

    ``groups`` has the code of the group of each image, (groupings, images), if images are grouped.
    """

    ids: NDArray[Any] | None
    bounds: NDArray[np.int64]
    truth_bounds: NDArray[np.int64]
    groups: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def between(self, first: int, last: int) -> Images:
        """Return some neighbouring images."""
        ids = None if self.ids is None else self.ids[first:last]
        bounds, truth_bounds = self.bounds[first : last + 1], self.truth_bounds[first : last + 1]
        groups = None if self.groups is None else self.groups[:, first:last]
        return Images(ids, bounds - bounds[0], truth_bounds - truth_bounds[0], groups)

    def cuts(self, rows: int) -> list[tuple[int, int]]:
        """Cut the images into sets of about `rows` boxes of both sides."""
        ends = self.bounds[1:] + self.truth_bounds[1:]
        marks = np.arange(rows, int(self.bounds[-1] + self.truth_bounds[-1]), rows)
        edges = once(np.concatenate(([0], np.searchsorted(ends, marks) + 1, [len(self)])))
        return list(pairwise(edges.tolist()))

    @property
    def detection_images(self) -> NDArray[np.int32]:
        """The image of each detection, from 0."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.bounds))

    @property
    def truth_images(self) -> NDArray[np.int32]:
        """The image of each truth, from 0."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.truth_bounds))


@dataclass
class Detections:
    """Detections of whole images: scores, codes of classes and of models, and the detections to leave out.

    Where annotations are federated, ``lenient`` marks detections that are ignored if they match nothing, and
    ``unmatched`` detections that match nothing.

    After :meth:`found`, ``columns`` are the boxes as kernels match them, ``ranking`` scores without nan, and ``order``
    the rows of each image in the order that detections of equal scores have.
    """

    boxes: Collection
    scores: NDArray[Any]
    classes: NDArray[np.int64]
    models: NDArray[np.int64]
    left_out: NDArray[np.bool_]
    lenient: NDArray[np.bool_] | None = None
    unmatched: NDArray[np.bool_] | None = None

    def of_rows(self, rows: slice) -> Detections:
        """Return some neighbouring detections, those of whole images."""
        boxes, left_out = _of_rows(self.boxes, rows), self.left_out[rows]
        return Detections(boxes, self.scores[rows], self.classes[rows], self.models[rows], left_out)

    def ranked(self, rows: slice) -> NDArray[np.float64]:
        """Return the scores of some rows without nan: behind all that count."""
        ranking = self.scores[rows].astype(np.float64)
        ranking[np.isnan(ranking) | self.left_out[rows]] = -np.inf
        return ranking

    def found(
        self, images: Images, places: NDArray[np.int64], params: Params, masks: int = 0, geometry: str = PLAIN
    ) -> Found:
        """Return the detections for matching, given the place of each class among all in ascending order.

        The number of groups of truths is `masks`. A detection in the first range of areas is in each of them.
        """
        self.ranking = self.ranked(slice(None))
        self.lost = np.isnan(self.scores)
        self.columns = shapes_of(self.boxes, geometry, params.pixels)
        self.invalid = invalid(self.columns)
        outside = with_groups(params.outside(areas_of(self.columns)), np.uint32(0), masks, params)
        if self.lenient is not None:
            outside = np.where(self.lenient, EVERY_RANGE, outside)
        away = self.invalid | self.lost | self.left_out
        boxes = unmatchable(self.columns, away if self.unmatched is None else away | self.unmatched)
        self.order = np.arange(len(self.scores))
        if params.class_agnostic:
            # As in pycocotools, the boxes of an image come class by class before their scores rank them.
            self.order = np.lexsort((places[self.classes], images.detection_images))
            self.classes = np.zeros_like(self.classes)
        return Found(boxes, self.models << 32 | self.classes, self.ranking, outside, images.bounds, self.order)


@dataclass
class GroundTruths:
    """Truths of whole images: codes of classes, crowds, truths that do not count, areas, and the truths to leave out.

    ``groups`` has a bit for each group of truths that a truth is not in, if truths are grouped. After :meth:`wanted`,
    ``hidden`` has a bit for each range of areas, and then for each group, that a truth is ignored in.
    """

    boxes: Collection
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    areas: NDArray[Any] | None
    left_out: NDArray[np.bool_]
    groups: NDArray[np.uint32] | None = None
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def of_rows(self, rows: slice | NDArray[np.int64]) -> GroundTruths:
        """Return some truths, image by image."""
        boxes, areas = _of_rows(self.boxes, rows), None if self.areas is None else self.areas[rows]
        flags = self.crowd[rows], self.ignore[rows]
        groups = None if self.groups is None else self.groups[rows]
        numbers = {name: column[rows] for name, column in self.numbers.items()}
        return GroundTruths(boxes, self.classes[rows], *flags, areas, self.left_out[rows], groups, numbers)

    def wanted(
        self, images: Images, places: NDArray[np.int64], params: Params, masks: int = 0, geometry: str = PLAIN
    ) -> Wanted:
        """Return the truths for matching, given the place of each class among all in ascending order."""
        self.columns = shapes_of(self.boxes, geometry, params.pixels)
        self.invalid = invalid(self.columns)
        self.area = areas_of(self.columns)
        if self.areas is not None:
            self.area = np.where(np.isnan(self.areas), self.area, self.areas.astype(np.float64))
        if params.options.get("difficult") == "count":
            self.ignore = np.zeros_like(self.ignore)
        if params.conditions and isinstance(self.columns, tuple):
            self.ignore = self.ignore | ~met(params.conditions, *self.columns[2:], self.numbers)
        if params.record.regions:
            self.crowd = self.crowd | self.ignore
        crowd, ignored = self.crowd & ~self.left_out, self.ignore | self.left_out
        if not params.record.group_of:
            ignored |= self.crowd
        boxes = unmatchable(self.columns, self.invalid | self.left_out)
        outside = params.outside(self.area)
        if self.groups is not None:
            outside = with_groups(outside, self.groups, masks, params)
        self.hidden = np.where(ignored, EVERY_RANGE, outside)
        order = np.arange(len(self.classes))
        if params.class_agnostic:
            order = np.lexsort((places[self.classes], images.truth_images))
            self.classes = np.zeros_like(self.classes)
        if params.record.takes == "first":  # the kernel takes the last at ties
            order = np.lexsort((-order.argsort(), images.truth_images))
        return Wanted(boxes, self.classes, crowd, ignored, self.hidden, images.truth_bounds, order, self.numbers)


def _of_rows(boxes: Collection, rows: slice | NDArray[np.int64]) -> Collection:
    return boxes.of(tuple(column[rows] for column in boxes.columns), boxes.format)


def with_groups(
    outside: NDArray[np.uint32], groups: NDArray[np.uint32] | np.uint32, masks: int, params: Params
) -> NDArray[np.uint32]:
    """Return the bits of ranges with those of groups behind; a box outside the first range is in no group."""
    if not masks:
        return outside
    no_group = np.uint32((1 << masks) - 1)
    bits: NDArray[np.uint32] = np.where(outside & np.uint32(1), no_group, groups) << np.uint32(len(params.area_ranges))
    return outside | bits
