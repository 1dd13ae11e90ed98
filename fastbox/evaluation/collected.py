"""The data kept of matched detections and truths: rows in memory, by model and class after they are ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.columns import Rows
from fastbox.evaluation.curves import Ranked, rank
from fastbox.evaluation.groups import Groups
from fastbox.evaluation.matching import COVERING, PAIR_METRICS, UNCOUNTED, Found, Hits, Judged, Wanted, words_shape
from fastbox.evaluation.params import Params
from fastbox.evaluation.sides import EVERY_RANGE, Detections, GroundTruths, Images
from fastbox.kernels.codes import PLAIN, QUADS, ROTATED
from fastbox.values.labels import Codes

__all__ = ["Collected"]

GEOMETRIES = PLAIN, ROTATED, QUADS  # each of which measures those before it too
AT_ONCE = 1 << 18  # detections whose groups are numbered at once

FOUND = {
    "image": np.int32,
    "model": np.int32,
    "kind": np.int32,
    "score": np.float64,
    "rank": np.int32,
    "words": np.uint32,
    "match_type": np.int8,
    "iou": np.float32,
    "fixed": np.int32,
}
TRACED = "words", "score", "rank"  # the columns of which curves are traced


class Collected:
    """Tables of detections, truths, pairs, and truths that a model covers; codes of classes and models.

    Attributes
    ----------
    images : int
        The number of images that were added.
    ids : list of arrays
        The ids of the images, set by set; numbers from 0 where they have none.
    classes, models : Codes
    found, wanted, covered, pairs : Rows
        Detections that count; truths; the truths that each model's detections match, or have an error about; and
        detections with the rows among ``wanted`` of the truths that they match at IoU ≥ 0.50.
    further : Rows or None
        The further facts that the benchmark keeps.
    geometry : str
        The geometry of the boxes.
    metrics : tuple of str
        The metrics of pairs.
    groups : Groups
        The groups that have figures of their own.
    grouped : Rows
        The group of each image, a column for each grouping of images.
    """

    def __init__(self, params: Params) -> None:
        i4 = np.int32
        self.params = params
        self.images = 0
        self.ids: list[NDArray[Any]] = []
        self.classes, self.models = Codes(name="classes"), Codes(name="models")
        self.group(Groups())
        self.wanted = Rows(image=i4, kind=i4, hidden=np.uint32)
        self.covered = Rows(model=i4, truth=i4)
        self.geometry = PLAIN
        self.metrics: tuple[str, ...] = PAIR_METRICS
        self.pairs = self._no_pairs()
        self.further = Rows(**params.record.keeps.dtypes) if params.record.keeps is not None else None
        # Models and classes that have detections, in one number, and their bounds, once detections are ranked.
        self._groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._regular: NDArray[np.int64] | None = None
        self._unflagged: NDArray[np.int64] | None = None

    def _no_pairs(self) -> Rows:
        i4, f8 = np.int32, np.float64
        return Rows(model=i4, kind=i4, truth=i4, area=f8, **dict.fromkeys(self.metrics, f8))

    def widened(self, geometry: str) -> str:
        """Return the geometry of all boxes, those to be added too, which measures the narrower ones beside it.

        Raises
        ------
        ValueError
            Rotated boxes after plain ones.
        """
        widest = max(geometry, self.geometry, key=GEOMETRIES.index)
        if self.geometry == PLAIN != widest:
            if len(self.found) or len(self.wanted):
                raise ValueError(
                    "expected plain boxes as those added before, got rotated ones: evaluate them separately"
                )
            self.metrics = (self.params.metric,)
            self.pairs = self._no_pairs()
        self.geometry = widest
        return widest

    def group(self, groups: Groups) -> None:
        """Keep apart these groups of images and truths, before images are added."""
        groups.check(self.params)
        self.groups = groups
        self.grouped = Rows(**dict.fromkeys(groups.columns, np.int16))
        self.found = Rows(**FOUND | {"words": np.dtype((np.uint32, words_shape(self.params, groups.masks)))})

    def add(self, images: Images, detections: Detections, truths: GroundTruths, judged: Judged, hits: Hits) -> None:
        """Add whole images as they were matched; columns of `judged` are kept if all detections count."""
        counted = detections.order[judged.match_type[detections.order] != UNCOUNTED]
        every = len(counted) == len(detections.order) and not self.params.class_agnostic
        rows = slice(None) if every else counted
        fixed = np.full(len(judged.fixed), -1, np.int32)
        fixed[judged.fixed] = truths.classes[judged.truth[judged.fixed]]
        self.found.add(
            image=images.detection_images[rows] + self.images,
            model=detections.models[rows],
            kind=detections.classes[rows],
            score=detections.ranking[rows],
            rank=judged.rank[rows],
            words=judged.words[rows],
            match_type=judged.match_type[rows],
            iou=judged.iou[rows],
            fixed=fixed[rows],
        )
        kept = ~truths.left_out
        numbers = len(self.wanted) + np.cumsum(kept) - 1
        self.wanted.add(
            image=images.truth_images[kept] + self.images, kind=truths.classes[kept], hidden=truths.hidden[kept]
        )
        covering, size = np.flatnonzero(COVERING[judged.match_type]), len(truths.classes)
        covered = _distinct(detections.models[covering] * size + judged.truth[covering])
        model, truth = np.divmod(covered, max(size, 1))
        self.covered.add(model=model, truth=numbers[truth])
        self.pairs.add(
            model=detections.models[hits.rows],
            kind=detections.classes[hits.rows],
            truth=numbers[hits.truths],
            area=truths.area[hits.truths],
            **hits.metrics,
        )
        self.ids.append(np.arange(self.images, self.images + len(images)) if images.ids is None else images.ids)
        if images.groups is not None and len(images.groups):
            self.grouped.add(**dict(zip(self.groups.columns, images.groups, strict=True)))
        self.images += len(images)
        self._groups = self._regular = self._unflagged = None

    def keep(self, found: Found, wanted: Wanted) -> None:
        """Keep the further facts of whole images that the benchmark needs, before the images are added."""
        keeps = self.params.record.keeps
        if keeps is not None and self.further is not None:
            rows = dict(keeps.rows(found, wanted, self.params))
            rows["image"] = rows["image"] + self.images
            self.further.add(**rows)

    def joined(self, other: Collected) -> tuple[Collected, NDArray[np.int64]]:
        """Return the rows of both, the images of the other last; and the new codes of the other's classes."""
        both = Collected(self.params)
        both.classes, both.models = Codes(self.classes.labels, "classes"), Codes(self.models.labels, "models")
        kinds, models = both.classes.of(other.classes.labels), both.models.of(other.models.labels)
        recoded = {
            "image": lambda image: image + self.images,
            "model": lambda model: models[model],
            "kind": lambda kind: kinds[kind],
            "fixed": lambda kind: np.where(kind < 0, -1, kinds[kind]),
            "truth": lambda truth: truth + len(self.wanted),
        }
        for part, beside in ((self, other), (other, self)):
            part.widened(beside.geometry)
        both.widened(self.geometry)
        both.group(self.groups)
        for name in ("found", "wanted", "covered", "pairs", *(["grouped"] if self.groups.of_images else [])):
            setattr(both, name, getattr(self, name).joined(getattr(other, name), **recoded))
        if self.further is not None and other.further is not None:
            both.further = self.further.joined(other.further, **recoded)
        both.images, both.ids = self.images + other.images, [*self.ids, *other.ids]
        return both, kinds

    @property
    def labels(self) -> list[Any]:
        """The labels of all classes, ascending; ``[None]`` where boxes of any class match."""
        return [None] if self.params.class_agnostic else self.classes.ascending()[0]

    def place(self, model: Any) -> int:
        """Return the place of a model among all in ascending order."""
        return int(self.models.ascending()[1][self.code(model)]) if len(self.models) else 0

    def code(self, model: Any) -> int:
        """Return the code of a model, given its label; None is the label of a single model."""
        code = 0 if model is None and len(self.models) <= 1 else self.models.code(model)
        if code is None:
            known = self.models.ascending()[0]
            if known in ([], [None]):
                raise ValueError(f"expected no model of detections without models, got {model!r}: leave it out")
            labels = ", ".join(map(repr, known))
            raise ValueError(f"expected a model of {labels}, got {model!r}")
        return code

    def covered_truths(self, model: Any) -> NDArray[np.int32]:
        """Return the rows of ``wanted`` that the model's detections match or have an error about."""
        rows: NDArray[np.int32] = self.covered["truth"][self.covered.of_group("model", self.code(model))]
        return rows

    def taken(self, model: Any) -> NDArray[np.bool_]:
        """Return a flag for each row of ``wanted``: a detection of the model matches the truth at IoU ≥ 0.50."""
        taken = np.zeros(len(self.wanted), np.bool_)
        taken[self.pairs["truth"][self.pairs.of_group("model", self.code(model))]] = True
        return taken

    def ranked(self, model: Any) -> Ranked:
        """Return the detections of a model in the order in which curves are traced: views."""
        bounds = self._bounds(model)
        words, scores, ranks = (self.found[name][bounds[0] : bounds[-1]] for name in TRACED)
        return Ranked(words, scores, ranks, bounds - bounds[0])

    def facts(self, model: Any, names: Mapping[str, str]) -> dict[str, NDArray[Any]]:
        """Return the further facts of the images, those of one model and those of no model.

        Codes of classes become places among ``labels``, whose names are the fact ``names``.
        """
        if self.further is None or self.params.record.keeps is None:
            return {}
        code = self.code(model)
        columns = {name: self.further[name] for name in self.params.record.keeps.dtypes}
        own = (columns["model"] == code) | columns["shared"]
        facts = {name: values[own] for name, values in columns.items()}
        if "kind" in facts:
            facts["kind"] = self.places(facts["kind"])
            facts["names"] = np.array([names.get(str(label), label) for label in self.labels], object)
        return facts

    def column(self, name: str, model: Any) -> NDArray[Any]:
        """Return a column of the detections of a model, in the order of :meth:`ranked`: a view."""
        bounds = self._bounds(model)
        return self.found[name][bounds[0] : bounds[-1]]

    def places(self, kinds: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the places of codes of classes among ``labels``."""
        places = self.classes.ascending()[1]
        return np.zeros(len(kinds), np.int64) if self.params.class_agnostic else places[kinds]

    def regular(self) -> NDArray[np.int64]:
        """Return the number of truths of each class in each range of areas that are not ignored."""
        if self._regular is None:
            kinds, hidden = self.places(self.wanted["kind"]), self.wanted["hidden"]
            counts = [
                np.bincount(kinds[hidden >> np.uint32(place) & 1 == 0], minlength=len(self.labels))
                for place in range(len(self.params.area_ranges))
            ]
            self._regular = np.stack(counts, axis=1)
        return self._regular.copy()

    def unflagged(self) -> NDArray[np.int64]:
        """Return the number of truths of each class that are neither crowds nor to be ignored, of any area."""
        if self._unflagged is None:
            # A truth that is ignored in every range is ignored because of its flag, not because of its area.
            kinds = self.places(self.wanted["kind"][self.wanted["hidden"] != EVERY_RANGE])
            self._unflagged = np.bincount(kinds, minlength=len(self.labels))
        return self._unflagged

    def _bounds(self, model: Any) -> NDArray[np.int64]:
        """Return the bounds of each class of a model among the detections of all models."""
        count, place = len(self.labels), self.place(model)
        if self._groups is None:
            # The order is stable, so rows of equal scores keep their order, and more rows can be added afterwards.
            order, there, begins = rank(self._group_numbers(count), self.found["score"])
            self.found.put(order, *TRACED)
            self._groups = there, begins
        there, begins = self._groups
        bounds: NDArray[np.int64] = begins[np.searchsorted(there, place * count + np.arange(count + 1))]
        return bounds

    def _group_numbers(self, count: int) -> NDArray[Any]:
        """Return a number for the model and the class of each detection, of two bytes where these hold all."""
        kinds = self.places(np.arange(len(self.classes), dtype=np.int32))
        models = self.models.ascending()[1] * count
        dtype = np.int16 if len(models) * count < 2**15 else np.int64
        kinds, models = kinds.astype(dtype), models.astype(dtype)
        numbers = np.empty(len(self.found), dtype)
        for first in range(0, len(numbers), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            numbers[some] = models[self.found["model"][some]] + kinds[self.found["kind"][some]]
        return numbers


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers from 0, each once."""
    most = int(numbers.max(initial=-1)) + 1
    if most > 64 * len(numbers):
        return np.unique(numbers)
    there = np.zeros(most, np.bool_)
    there[numbers] = True
    return np.flatnonzero(there)
