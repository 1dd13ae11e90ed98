"""The truths and detections of ``COCO`` objects, matched as an evaluation matches them."""

from __future__ import annotations

from functools import cached_property
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.evaluation.coco_images import CocoImages, Record, match_images
from fastbox.evaluation.curves import Ranked, rank
from fastbox.evaluation.params import Params
from fastbox.evaluation.sides import Detections, GroundTruths, Images

__all__ = ["Asked", "Sides"]


class Asked(NamedTuple):
    """The images and categories of an evaluation, and its rules.

    ``classes`` are the categories in the order of their boxes; ``labels`` are those that have figures of their own,
    ``[-1]`` where boxes of any category match.
    """

    images: list[Any]
    classes: list[Any]
    labels: list[Any]
    rules: Params


class Annotations(NamedTuple):
    """Annotations image by image, of some images and categories.

    Attributes
    ----------
    entries : list of dicts
    kinds : array of shape (n,)
        The places of the categories.
    bounds : array of shape (images + 1,)
    """

    entries: list[dict[str, Any]]
    kinds: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @classmethod
    def of(cls, coco: Any, asked: Asked) -> Annotations:
        """Return the annotations of a ``COCO`` object."""
        by_image = [coco.imgToAnns.get(image, ()) for image in asked.images]
        entries = list(chain.from_iterable(by_image))
        places = {kind: place for place, kind in enumerate(asked.classes)}
        categories = map(itemgetter("category_id"), entries)
        kinds = np.fromiter(map(places.get, categories, repeat(-1)), np.int64, len(entries))
        ends = np.concatenate(([0], np.cumsum([len(some) for some in by_image], dtype=np.int64)))
        there = kinds >= 0
        if there.all():
            return cls(entries, kinds, ends)
        kept = [entries[row] for row in np.flatnonzero(there).tolist()]
        return cls(kept, kinds[there], np.concatenate(([0], np.cumsum(there)))[ends])

    def numbers(self, name: str, default: float = np.nan) -> NDArray[np.float64]:
        """Return a value of each annotation; a default where there is none."""
        count = len(self.entries)
        try:
            return np.fromiter(map(itemgetter(name), self.entries), np.float64, count)
        except (KeyError, TypeError):  # some have none
            values = (one.get(name) for one in self.entries)
            return np.fromiter((default if value is None else value for value in values), np.float64, count)

    def boxes(self) -> Boxes:
        """Return the boxes.

        Raises
        ------
        InputError
            An annotation without x, y, w, h.
        """
        try:
            columns = np.fromiter(chain.from_iterable(map(itemgetter("bbox"), self.entries)), np.float64)
        except (KeyError, TypeError):
            columns = np.empty(0)
        if len(columns) != 4 * len(self.entries):
            wrong = next(one for one in self.entries if len(one.get("bbox") or ()) != 4)
            raise InputError(
                f"expected bbox as x, y, w, h in each annotation, got {wrong.get('bbox')} in the one with id "
                f"{wrong['id']!r}: give boxes, or evaluate masks and keypoints with pycocotools"
            )
        x, y, w, h = columns.reshape(-1, 4).T.copy()
        return Boxes.of((x, y, w, h), "xywh")


class Sides:
    """Truths and detections of two ``COCO`` objects, matched.

    Attributes
    ----------
    asked : Asked
    matched : Matched
        With places among ``asked.labels`` as codes of classes.
    """

    def __init__(self, truths: Any, detections: Any, asked: Asked) -> None:
        self.asked = asked
        self._image_places = {image: place for place, image in enumerate(asked.images)}
        own, its = Annotations.of(detections, asked), Annotations.of(truths, asked)
        images, places = Images(None, own.bounds, its.bounds), np.arange(len(asked.classes))
        self._ids, self._truth_ids = (list(map(itemgetter("id"), side.entries)) for side in (own, its))
        n, m = len(own.entries), len(its.entries)
        boxes, nothing = own.boxes(), np.zeros(n, np.bool_)
        scored = Detections(boxes, own.numbers("score"), own.kinds, np.zeros(n, np.int64), nothing)
        crowd = its.numbers("iscrowd", 0) != 0
        wanted = GroundTruths(
            its.boxes(), its.kinds, crowd, np.zeros(m, np.bool_), its.numbers("area"), np.zeros(m, bool)
        )
        found = scored.found(images, places, asked.rules)
        areas = own.numbers("area")
        areas = np.where(np.isnan(areas), boxes.columns[2] * boxes.columns[3], areas)
        found = found._replace(outside=asked.rules.outside(areas))
        self.matched = match_images(found, wanted.wanted(images, places, asked.rules), asked.rules, keep=False)

    @cached_property
    def images(self) -> CocoImages:
        """The records of ``evalImgs``, for which all is matched again with the truths that are taken."""
        rules, labels = self.asked.rules, self.asked.labels
        matched = match_images(self.matched.found, self.matched.wanted, rules, keep=True)
        return CocoImages(matched, rules, self.asked.images, labels, _numeric(self._ids), _numeric(self._truth_ids))

    @cached_property
    def records(self) -> list[Record | None]:
        """All records of ``evalImgs``."""
        return self.images.to_list()

    @cached_property
    def ious(self) -> dict[tuple[Any, Any], Any]:
        """The IoUs by image and category."""
        images, labels = self.asked.images, self.asked.labels
        found: dict[tuple[Any, Any], Any] = {(image, label): [] for image in images for label in labels}
        for image, label in self.images.groups:
            found[images[image], labels[label]] = self.images.ious(label, image)
        return found

    def place(self, image: Any, label: Any) -> tuple[int, int]:
        """Return the places of a category and of an image.

        Raises
        ------
        ValueError
            An image or a category that was not evaluated.
        """
        if image not in self._image_places or label not in self.asked.labels:
            raise ValueError(f"expected an image and a category of params, got {image!r} and {label!r}: set both first")
        return self.asked.labels.index(label), self._image_places[image]

    def ranked(self, images: NDArray[np.bool_]) -> Ranked:
        """Return the detections of some images by category and descending score, ties in the order of images."""
        found, bounds = self.matched.found, self.matched.found.bounds
        there = np.repeat(images, np.diff(bounds))
        rows = found.order[there[found.order]]
        order, kinds, begins = rank(found.codes[rows], found.scores[rows])
        rows = rows[order]
        every = np.arange(len(self.asked.labels) + 1)
        return Ranked(
            self.matched.words[rows],
            found.scores[rows],
            self.matched.ranks[rows],
            begins[np.searchsorted(kinds, every)],
        )

    def regular(self, images: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the number of truths of each category in each range of areas that are not ignored."""
        wanted = self.matched.wanted
        there = np.repeat(images, np.diff(wanted.bounds))
        kinds, hidden = wanted.kinds[there], wanted.hidden[there]
        count, ranges = len(self.asked.labels), len(self.asked.rules.area_ranges)
        seen = [kinds[hidden >> np.uint32(place) & np.uint32(1) == 0] for place in range(ranges)]
        return np.stack([np.bincount(some, minlength=count) for some in seen], axis=1)


def _numeric(ids: list[Any]) -> NDArray[Any]:
    """Return ids as an array.

    Raises
    ------
    InputError
        Ids that are not numbers, which arrays of matches can't hold.
    """
    numbers = np.array(ids or np.empty(0, np.int64))
    if numbers.dtype.kind not in "iuf":
        raise InputError(f"expected numbers as ids of annotations, got some as {ids[0]!r}: number them from 1")
    return numbers
