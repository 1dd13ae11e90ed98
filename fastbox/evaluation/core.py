"""Detections against truths, added by whole images, and the figures of each model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.evaluation.alike import apart, spellings
from fastbox.evaluation.bootstrap import draw, interval, resample
from fastbox.evaluation.calibration import Calibration, calibrate
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.curves import Curves, Traced
from fastbox.evaluation.given import coded
from fastbox.evaluation.kept import Kept
from fastbox.evaluation.matching import PAIR_METRICS, UNCOUNTED, Judged, judge, measure
from fastbox.evaluation.mismatch import Mismatch
from fastbox.evaluation.params import Params
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.evaluation.summary import LEVEL, Asked, Details, Facts, ModelFigures, Summarized
from fastbox.evaluation.tide import Errors, blame
from fastbox.values.numbers import as_whole, shown

__all__ = ["Evaluation"]


class Evaluation(Summarized):
    """Detections and truths of images with their matches, and the figures of each model.

    Images are added set by set; evaluations of different images are added with ``+``. The figures have the same bits
    for every division of the images into sets, if the order of the images is the same.

    Parameters
    ----------
    params : Params, optional

    Attributes
    ----------
    images, detections, truths : int
        The numbers of images, detections and truths that were added.
    invalid : dict of str to int
        The numbers of invalid boxes of detections and of truths, and of scores that are nan. They match nothing: such a
        detection is a false positive, such a truth is missed.

    Examples
    --------
    >>> found = Evaluation()
    >>> _ = found.add([[0, 0, 4, 4]], [0.9], [[0, 0, 4, 4]])
    >>> _ = found.add([[0, 0, 4, 4]], [0.8], [[20, 0, 24, 4]])
    >>> found.detections, found.stats()["AR100"]
    (2, 0.5)
    """

    def __init__(self, params: Params | None = None) -> None:
        if not isinstance(params, Params | None):
            raise TypeError(f"expected params to be a fastbox.Params, got {shown(params)}")
        self.params = Params() if params is None else params
        self.detections = self.truths = 0
        self.invalid = {"detections": 0, "truths": 0, "scores": 0}
        self.mismatch = Mismatch()
        self.collected = Collected(self.params)
        self._forget()

    def add(
        self,
        detections: Any,
        scores: ArrayLike,
        truths: Any,
        *,
        classes: ArrayLike | None = None,
        truth_classes: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
        ignore: ArrayLike | None = None,
        areas: ArrayLike | None = None,
        models: ArrayLike | None = None,
    ) -> Judged:
        """Add whole images, given as :func:`evaluate` takes them; return the matches of the detections, read-only."""
        given = {"classes": classes, "truth_classes": truth_classes, "models": models}
        given |= {"crowd": crowd, "ignore": ignore, "areas": areas}
        return self.add_coded(*coded(self.collected, detections, scores, truths, given))

    def code_classes(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """Return the codes of labels of classes, as :meth:`add_coded` takes them; new labels get one."""
        return self.collected.classes.of(labels)

    def code_models(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """Return the codes of labels of models; new labels get one."""
        return self.collected.models.of(labels)

    def add_coded(self, images: Images, detections: Detections, truths: GroundTruths) -> Judged:
        """Add whole images whose classes and models are codes of this evaluation already."""
        judged = self._collect(images, detections, truths)
        self.mismatch.add(images, detections, truths, judged.match_type, judged.truth)
        return judged

    def add_sets(self, images: Images, detections: Detections, truths: GroundTruths, rows: int) -> None:
        """Add whole images as :meth:`add_coded` does, in sets of about `rows` boxes: only one set is in memory."""
        cuts = images.cuts(rows)
        if len(cuts) < 2:
            self.add_coded(images, detections, truths)
            return
        self.reserve(len(detections.scores))
        match_types, taken = np.empty(len(detections.scores), np.int8), np.empty(len(detections.scores), np.int64)
        for first, last in cuts:
            own = slice(*images.bounds[[first, last]])
            its = slice(*images.truth_bounds[[first, last]])
            judged = self._collect(images.between(first, last), detections.of_rows(own), truths.of_rows(its))
            match_types[own] = judged.match_type
            np.add(judged.truth, its.start, out=taken[own], where=judged.truth >= 0)
        if self.params.class_agnostic:
            detections.classes, truths.classes = np.zeros_like(detections.classes), np.zeros_like(truths.classes)
        self.mismatch.add(images, detections, truths, match_types, taken)

    def reserve(self, rows: int) -> None:
        """Make room for a number of detections in all, which then take less memory while they are ranked."""
        for table in (self.collected.found, self.collected.covered, self.collected.pairs):
            table.reserve(rows)  # neither truths that are covered nor pairs are more than the detections

    def _collect(self, images: Images, detections: Detections, truths: GroundTruths) -> Judged:
        """Match the detections of whole images and keep what the figures need."""
        places = self.collected.classes.ascending()[1]
        found, wanted = detections.found(images, places, self.params), truths.wanted(images, places, self.params)
        judged = judge(found, wanted, self.params)
        judged.match_type[detections.left_out] = UNCOUNTED
        for column in judged:  # some of which are kept
            column.flags.writeable = False
        hits = measure(detections.columns, truths.columns, judged)
        self.collected.add(images, detections, truths, judged, hits)
        counted, kept = ~detections.left_out, ~truths.left_out
        self.detections += int(np.count_nonzero(counted))
        self.truths += int(np.count_nonzero(kept))
        self.invalid["detections"] += int(np.count_nonzero(detections.invalid & counted))
        self.invalid["truths"] += int(np.count_nonzero(truths.invalid & kept))
        self.invalid["scores"] += int(np.count_nonzero(detections.lost & counted))
        self._forget()
        return judged

    def __add__(self, other: Evaluation) -> Evaluation:
        """Return the evaluation of both sets of images, those of the first before those of the second."""
        if self.params != other.params:
            raise ValueError("expected evaluations by the same rules, got two kinds of params")
        both = Evaluation(self.params)
        both.collected, kinds = self.collected.joined(other.collected)
        both.detections, both.truths = self.detections + other.detections, self.truths + other.truths
        both.mismatch = self.mismatch + other.mismatch.recoded(kinds)
        both.invalid = {name: count + other.invalid[name] for name, count in self.invalid.items()}
        return both

    @property
    def images(self) -> int:
        """The number of images that were added."""
        return self.collected.images

    @property
    def classes(self) -> list[Any]:
        """The labels of all classes, ascending; ``[None]`` if boxes of any class match."""
        return self.collected.labels

    @property
    def models(self) -> list[Any]:
        """The labels of all models, ascending; ``[None]`` without models."""
        return self.collected.models.ascending()[0]

    @property
    def class_labels(self) -> list[Any]:
        """The labels of classes by their codes."""
        return self.collected.classes.labels

    @property
    def model_labels(self) -> list[Any]:
        """The labels of models by their codes."""
        return self.collected.models.labels

    def classes_of_sides(self) -> tuple[list[Any], list[Any]]:
        """Return the labels of the classes of detections, and of truths."""
        own, its = (rows.distinct("kind") for rows in (self.collected.found, self.collected.wanted))
        return [self.class_labels[kind] for kind in own], [self.class_labels[kind] for kind in its]

    @property
    def warnings(self) -> list[str]:
        """Sentences on ids, classes or boxes that both sides are likely to write differently."""
        return [*(self.mismatch.sentences(self.class_labels) or self._of_no_class()), *self.spellings]

    @property
    def spellings(self) -> list[str]:
        """Sentences on classes that the two sides spell differently."""
        return [] if self.params.class_agnostic else spellings(*self.classes_of_sides())

    def _of_no_class(self) -> list[str]:
        found = None if self.params.class_agnostic else apart(*self.classes_of_sides())
        if found is None:
            return []
        return [
            f"detections and truths have no class in common, those of detections are {found.detections} and of truths "
            f"{found.truths}: number or name the classes of both alike, or match boxes of any class with "
            "Params(class_agnostic=True)"
        ]

    def curves(self, model: Any = None) -> Curves:
        """Return precision, recall and scores of a model, the only one when left out, by class of ``classes``."""
        return self.traced(model).whole

    def traced(self, model: Any = None) -> Traced:
        """Return the source of a model's statistics; with many classes it does not keep the curves in memory."""
        place = self.collected.place(model)
        found = self._traced.get(place)
        if found is None:
            traced = Traced(self.collected.ranked(model), self.collected.regular(), self.params)
            found = self._traced.put(place, traced, traced.size)
        return found

    def stats(self, model: Any = None) -> dict[str, float]:
        """Return the statistics of a model, -1 without truths: AP, AP50, ... AR_large are COCO's twelve."""
        place = self.collected.place(model)
        if place not in self._stats:
            self._stats[place] = self.traced(model).stats()
        return dict(self._stats[place])

    def stats_by_class(self, model: Any = None) -> dict[str, NDArray[np.float64]]:
        """Return the statistics of a model for each class of ``classes`` separately."""
        return self.traced(model).stats_by_class()

    def errors(self, model: Any = None) -> Errors:
        """Return the errors of a model at IoU ≥ 0.50, by class, and the rise of AP without each kind."""
        place = self.collected.place(model)
        found = self._errors.get(place)
        if found is None:
            made = self._blame(model)
            found = self._errors.put(place, made, made.counts.size)
        return found

    def _blame(self, model: Any) -> Errors:
        collected, count = self.collected, len(self.classes)
        ranked = collected.ranked(model)
        covered = collected.covered["kind"][collected.covered.of_group("model", collected.code(model))]
        truths = collected.unflagged()
        return blame(
            ranked.bounds,
            ranked.scores,
            collected.column("match_type", model),
            collected.column("fixed", model),
            collected.classes.ascending()[1],
            truths,
            truths - np.bincount(collected.places(covered), minlength=count),
        )

    def calibration(self, model: Any = None) -> Calibration:
        """Return precision and IoU of a model's detections by score; ignored detections are left out."""
        score, match_type, iou = (self.collected.column(name, model) for name in ("score", "match_type", "iou"))
        return calibrate(score, match_type, iou)

    def pairs(self, model: Any = None) -> dict[str, NDArray[Any]]:
        """Return detections with the truths they take at IoU ≥ 0.50: place of the class, truth's area, metrics."""
        pairs = self.collected.pairs
        code = self.collected.code(model)
        rows = slice(None) if len(self.collected.models) <= 1 else pairs.of_group("model", code)
        found = {name: pairs[name][rows] for name in ("area", *PAIR_METRICS)}
        return {"class": self.collected.places(pairs["kind"][rows]), **found}

    def bootstrap(self, model: Any = None, *, samples: int = 1000, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        """Return statistics of a model on images drawn with replacement, one value for each sample.

        These are the statistics of precision in the first range of areas: COCO's AP, AP50 and AP75.

        The same seed draws the same images for every model, so models can be subtracted sample by sample.
        """
        samples, seed = as_whole(samples, "samples", 1), as_whole(seed, "seed")
        ranked, wanted = self.collected.ranked(model), self.collected.wanted
        regular = np.flatnonzero(wanted["hidden"] & np.uint32(1) == 0)
        return resample(
            ranked.words,
            ranked.bounds,
            self.collected.column("image", model),
            self.collected.places(wanted["kind"][regular]),
            wanted["image"][regular],
            draw(self.images, samples, seed, len(self.classes) * len(self.params.iou_thresholds)),
            self.params,
        )

    def figures(self, model: Any, asked: Asked, details: bool) -> ModelFigures:
        """Return the figures of a model for a summary."""
        return ModelFigures(
            self.stats(model),
            self.errors(model),
            self._intervals(model, asked.samples, asked.seed) if asked.samples else None,
            self._detailed(model) if details else None,
        )

    def _intervals(self, model: Any, samples: int, seed: int) -> dict[str, tuple[float, float]]:
        key = self.collected.place(model), samples, seed
        if key not in self._drawn:
            drawn = self.bootstrap(model, samples=samples, seed=seed)
            self._drawn[key] = {name: interval(values, LEVEL) for name, values in drawn.items()}
        return self._drawn[key]

    def _detailed(self, model: Any) -> Details:
        place = self.collected.place(model)
        found = self._details.get(place)
        if found is None:
            made = Details.of(self.calibration(model), self.traced(model), self.pairs(model), PAIR_METRICS)
            found = self._details.put(place, made, made.size)
        return found

    def _forget(self) -> None:
        """Forget the figures of what was added before."""
        self._traced: Kept[Traced] = Kept()
        self._errors: Kept[Errors] = Kept()
        self._details: Kept[Details] = Kept()
        self._stats: dict[int, dict[str, float]] = {}
        self._drawn: dict[tuple[int, int, int], dict[str, tuple[float, float]]] = {}

    def _asked(self) -> Asked:
        """Return the options of the summary."""
        return Asked(self.params, None if self.models in ([], [None]) else "model", {}, 0, 0)

    def _facts(self) -> Facts:
        """Return the facts that concern all models."""
        counts = self.images, self.detections, self.truths
        return Facts(*counts, self.invalid, self.mismatch.images, self.warnings, {})

    def _labels(self) -> tuple[list[Any], list[Any]]:
        """Return the labels of the models, and of the classes."""
        return self.models or [None], self.classes

    def _stats_of(self, model: Any) -> dict[str, float]:
        """Return the statistics of a model."""
        return self.stats(model)

    def _figures_of(self, model: Any, details: bool) -> ModelFigures:
        """Return the figures of a model."""
        return self.figures(model, self._asked(), details)
