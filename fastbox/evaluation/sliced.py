"""The figures of groups of images and of truths, of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation.bootstrap import draw, interval, resample
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.curves import Ranked, Traced
from fastbox.evaluation.groups import IMAGES, Grouping
from fastbox.evaluation.params import Params
from fastbox.evaluation.streamed import number

__all__ = ["Part", "Sliced", "figures_of"]


@dataclass(frozen=True)
class Sliced:
    """The figures of a model for one group.

    Attributes
    ----------
    slice : str
        The column.
    of : {"images", "truths"}
    group : label
        The value of the column; None for images or truths without a value.
    images, truths, detections : int
        The number of images of the group, or with truths of the group, of truths that count, and of detections there.
    stats : dict of str to float
        The statistics of the first range of areas; -1 without truths.
    intervals : dict of str to (float, float)
        The intervals of statistics of precision; empty without samples.
    """

    slice: str
    of: str
    group: Any
    images: int
    truths: int
    detections: int
    stats: dict[str, float]
    intervals: dict[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a row that JSON holds."""
        row = {name: getattr(self, name) for name in ("slice", "of", "group", "images", "truths", "detections")}
        limits = {name: list(map(number, ends)) for name, ends in self.intervals.items()}
        return row | self.stats | ({"intervals": limits} if limits else {})


class Part(NamedTuple):
    """The detections and truths of a group: what statistics and samples are computed from.

    Attributes
    ----------
    ranked : Ranked
        Detections with the words of one range.
    image : array of shape (n,)
        The image of each detection.
    kinds, truth_images : arrays of shape (m,)
        The place of the class of each truth that counts, and its image.
    images, there : int
        The number of images that are drawn, and of images that the group has.
    """

    ranked: Ranked
    image: NDArray[np.int32]
    kinds: NDArray[np.int64]
    truth_images: NDArray[np.int32]
    images: int
    there: int


def figures_of(collected: Collected, model: Any, samples: int, seed: int, level: float) -> list[Sliced]:
    """Return the figures of each group that has images, grouping by grouping."""
    params = _first_range(collected.params)
    classes = len(collected.labels)
    make = params.record.traced or Traced
    found = []
    for grouping, label, part in _parts(collected, model):
        counts = np.bincount(part.kinds, minlength=classes)[:, None]
        drawn = {}
        if samples:
            weights = draw(part.images, samples, seed, classes * len(params.iou_thresholds))
            given = part.ranked.words, part.ranked.bounds, part.image, part.kinds, part.truth_images
            drawn = {name: interval(own, level) for name, own in resample(*given, weights, params).items()}
        stats = make(part.ranked, counts, params, part.images, {}).stats()
        sizes = part.there, len(part.kinds), len(part.image)
        found.append(Sliced(grouping.name, grouping.of, label, *sizes, stats, drawn))
    return found


def _first_range(params: Params) -> Params:
    """Return the rules with the first range of areas alone."""
    first = next(iter(params.area_ranges))
    ranges = {first: params.area_ranges[first]}
    given = params.iou_thresholds, params.recalls, ranges, params.max_dets, params.class_agnostic
    return Params(*given, params.rule, params.options)


def _parts(collected: Collected, model: Any) -> Iterator[tuple[Grouping, Any, Part]]:
    """Yield each group that has images, and its detections and truths."""
    ranked, image = collected.ranked(model), collected.column("image", model)
    wanted, groups = collected.wanted, collected.groups
    kinds, truth_images, hidden = collected.places(wanted["kind"]), wanted["image"], wanted["hidden"]
    columns = dict(zip(groups.of_images, groups.columns, strict=True))
    for grouping in groups.groupings:
        for code, label in enumerate(grouping.labels):
            if grouping.of == IMAGES:
                own = collected.grouped[columns[grouping]] == code
                part = _of_images(ranked, image, own, (kinds, truth_images, hidden))
            else:
                place = len(collected.params.area_ranges) + groups.first(grouping) + code
                kept = np.flatnonzero(hidden >> np.uint32(place) & 1 == 0)
                words = ranked._replace(words=ranked.words[:, place : place + 1])
                there = len(np.unique(truth_images[kept]))
                part = Part(words, image, kinds[kept], truth_images[kept], collected.images, there)
            if part.there:
                yield grouping, label, part


def _of_images(
    ranked: Ranked, image: NDArray[np.int32], own: NDArray[np.bool_], truths: tuple[NDArray[Any], ...]
) -> Part:
    """Return the part of some images, which are numbered from 0."""
    numbers = (np.cumsum(own) - 1).astype(np.int32)
    rows = np.flatnonzero(own[image])
    bounds = np.searchsorted(rows, ranked.bounds)
    some = Ranked(ranked.words[rows, :1], ranked.scores[rows], ranked.ranks[rows], bounds)
    kinds, truth_images, hidden = truths
    kept = np.flatnonzero(own[truth_images] & (hidden & 1 == 0))
    count = int(np.count_nonzero(own))
    return Part(some, numbers[image[rows]], kinds[kept], numbers[truth_images[kept]], count, count)
