"""The figures of each model of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.evaluation.curves import Curves, Floats, Traced
from fastbox.evaluation.drawn import Drawn
from fastbox.evaluation.kept import Kept
from fastbox.evaluation.sides import EVERY_RANGE
from fastbox.evaluation.summary import LEVEL, Asked, Facts, ModelFigures, Summarized
from fastbox.evaluation.tide import Errors, blame
from fastbox.values.numbers import as_number_from, as_whole

if TYPE_CHECKING:
    from fastbox.evaluation import (
        bootstrap,
        calibration,
        coco_arrays,
        coco_images,
        comparison,
        image_errors,
        marks,
        sliced,
    )
    from fastbox.evaluation import details as details_of_models
    from fastbox.evaluation.calibration import Calibration
    from fastbox.evaluation.coco_arrays import CocoArrays
    from fastbox.evaluation.coco_images import CocoImages
    from fastbox.evaluation.comparison import Comparison
    from fastbox.evaluation.confusion import ConfusionMatrix
    from fastbox.evaluation.details import Details
    from fastbox.evaluation.image_errors import ImageErrors
    from fastbox.evaluation.sliced import Sliced
else:  # each of these is read by some of the figures only
    bootstrap = deferred("fastbox.evaluation.bootstrap")
    calibration = deferred("fastbox.evaluation.calibration")
    coco_arrays = deferred("fastbox.evaluation.coco_arrays")
    coco_images = deferred("fastbox.evaluation.coco_images")
    comparison = deferred("fastbox.evaluation.comparison")
    details_of_models = deferred("fastbox.evaluation.details")
    image_errors = deferred("fastbox.evaluation.image_errors")
    marks = deferred("fastbox.evaluation.marks")
    sliced = deferred("fastbox.evaluation.sliced")

__all__ = ["Evaluation"]


class Evaluation(Drawn, Summarized):
    """Detections and truths of images with their matches, and the figures of each model.

    Images are added set by set; evaluations of different images are added with ``+``. The figures have the same bits
    for every division of the images into sets, if the order of the images is the same.

    Parameters
    ----------
    params : Params, optional
    confusion_iou : float, optional
        The least IoU of the matches of :meth:`confusion`, above 0; without it there is no confusion matrix.
    federation : Federation, optional
        The classes that images are annotated for, for the rules ``"lvis"`` and ``"open-images"``.
    keep_boxes : bool
        Keep the boxes in memory, which :meth:`coco_images` needs.

    Attributes
    ----------
    images, detections, truths : int
        The numbers of images, detections and truths that were added.
    invalid : dict of str to int
        The numbers of invalid boxes of detections and of truths, and of scores that are nan. They match nothing: such a
        detection is a false positive, such a truth is missed.
    unverified : int
        The number of detections of classes that their image is not annotated for, which do not count.
    expanded : int
        The number of truths that were added for the classes above others.
    listed : int or None
        The number of images of the data set, if a list has images without boxes too.

    Examples
    --------
    >>> found = Evaluation()
    >>> _ = found.add([[0, 0, 4, 4]], [0.9], [[0, 0, 4, 4]])
    >>> _ = found.add([[0, 0, 4, 4]], [0.8], [[20, 0, 24, 4]])
    >>> found.detections, found.stats()["AR100"]
    (2, 0.5)
    """

    def curves(self, model: Any = None) -> Curves:
        """Return precision, recall and scores of a model, the only one when left out, by class of ``classes``."""
        return self.traced(model).whole

    def traced(self, model: Any = None) -> Traced:
        """Return the source of a model's statistics; with many classes it does not keep the curves in memory."""
        place = self.collected.place(model)
        found = self._traced.get(place)
        if found is None:
            make, collected = self.params.record.traced or Traced, self.collected
            images = self.images if self.listed is None else self.listed
            facts = dict(collected.facts(model, self.names))
            if self.federation is not None:
                facts["frequency"] = self.federation.frequencies(self.classes)
            traced = make(collected.ranked(model), collected.regular(), self.params, images, facts)
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

    def ap_by_iou(self, model: Any = None) -> dict[str, Floats]:
        """Return the AP of a model at each IoU threshold of the rules, by range of areas, -1 without truths."""
        return self.traced(model).ap_by_iou()

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
        covered = collected.wanted["kind"][collected.covered_truths(model)]
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

    def outcomes(self, model: Any = None, *, threshold: float = 0.5) -> dict[str, int]:
        """Count the detections of a model that are true, false and ignored, at a threshold of IoU and of any area.

        Raises
        ------
        ValueError
            A threshold that the rules lack.
        """
        return marks.outcomes(self.collected.ranked(model), self._threshold(threshold))

    def coco_arrays(self, model: Any = None) -> CocoArrays:
        """Return ``precision``, ``recall`` and ``scores`` of a model as ``COCOeval.eval`` of pycocotools has them."""
        return coco_arrays.coco_arrays(self.collected.ranked(model), self.collected.regular(), self.params)

    def coco_images(self, model: Any = None) -> CocoImages:
        """Return the matches of each image as ``COCOeval.evalImgs`` of pycocotools has them, each made when it is read.

        Raises
        ------
        ValueError
            The evaluation was made without ``keep_boxes``, or by rules that do not match as COCO's do.
        """
        return coco_images.of_model(self.collected, self.boxes, model)

    def image_errors(self, model: Any = None) -> ImageErrors:
        """Return the errors of a model by image, the image whose errors cost most AP first."""
        collected = self.collected
        missed = collected.wanted["hidden"] != EVERY_RANGE
        missed[collected.covered_truths(model)] = False
        return image_errors.image_errors(
            [image for ids in collected.ids for image in ids.tolist()],
            collected.column("image", model),
            collected.column("match_type", model),
            collected.wanted["image"][missed],
            self.errors(model),
        )

    def confusion(self, model: Any = None, *, score: float | None = None) -> ConfusionMatrix:
        """Count truths by class and by the class of the detection that matches them, detections from a score on.

        Without a score this is the best score of :meth:`operating_points`, or -inf where no score is best because there
        are no truths: then all detections count.

        Raises
        ------
        ValueError
            The evaluation was made without ``confusion_iou``, or a score that is nan.
        """
        if self.near is None:
            raise ValueError("expected an evaluation with confusion_iou, got one without: give it, as 0.5")
        best = self.operating_points(model).best.score if score is None else as_number_from(score, "score")
        code = self.collected.code(model)
        return self.near.matrix(code, -np.inf if np.isnan(best) else best, self.classes, self.collected.places)

    def calibration(self, model: Any = None) -> Calibration:
        """Return precision and IoU of a model's detections by score; ignored detections are left out."""
        score, match_type, iou = (self.collected.column(name, model) for name in ("score", "match_type", "iou"))
        return calibration.calibrate(score, match_type, iou)

    def pairs(self, model: Any = None) -> dict[str, NDArray[Any]]:
        """Return detections with the truths they take at IoU ≥ 0.50: place of the class, truth's area, metrics."""
        pairs, code = self.collected.pairs, self.collected.code(model)
        rows = slice(None) if len(self.collected.models) <= 1 else pairs.of_group("model", code)
        found = {name: pairs[name][rows] for name in ("area", *self.collected.metrics)}
        return {"class": self.collected.places(pairs["kind"][rows]), **found}

    def compare(self, model: Any, other: Any, *, samples: int = 1000, seed: int = 0) -> Comparison:
        """Compare two models on the same images: figures of the first minus figures of the second, and truths found.

        Intervals are those of :meth:`bootstrap`, which draws the same images for both; no samples, no intervals.
        """
        samples, seed = as_whole(samples, "samples"), as_whole(seed, "seed")
        own, its = self.stats(model), self.stats(other)
        drawn: dict[str, Floats] = {}
        if samples:
            first, second = (self._samples(one, samples, seed) for one in (model, other))
            drawn = {name: first[name] - second[name] for name in first}
        differences = {name: comparison.Difference.of(own[name], its[name], drawn.get(name)) for name in own}
        found = comparison.found_by(self.collected, model, other)
        return comparison.Comparison(model, other, differences, found, self.classes, samples, seed)

    def slices(self, model: Any = None, *, samples: int = 0, seed: int = 0) -> list[Sliced]:
        """Return the figures of a model for each group of images and of truths that :func:`evaluate` was given."""
        key = self.collected.place(model), as_whole(samples, "samples"), as_whole(seed, "seed")
        if key not in self._sliced:
            if samples:
                self.params.check_sampled()
            self._sliced[key] = sliced.figures_of(self.collected, model, samples, seed, LEVEL)
        return list(self._sliced[key])

    def figures(self, model: Any, asked: Asked, details: bool) -> ModelFigures:
        """Return the figures of a model for a summary."""
        detailed, confusion = self._detailed(model, asked) if details else None, None
        if detailed is not None and self.near is not None:
            score = detailed.operating["best"]["score"] if asked.confusion_score is None else asked.confusion_score
            confusion = self.confusion(model, score=-np.inf if score is None else score)
        return ModelFigures(
            self.stats(model),
            self.errors(model),
            self._intervals(model, asked.samples, asked.seed) if asked.samples else None,
            detailed,
            confusion,
            self.traced(model).further(),
            self.slices(model, samples=asked.samples, seed=asked.seed) if self.collected.groups.groupings else [],
        )

    def _intervals(self, model: Any, samples: int, seed: int) -> dict[str, tuple[float, float]]:
        return {name: bootstrap.interval(values, LEVEL) for name, values in self._samples(model, samples, seed).items()}

    def _samples(self, model: Any, samples: int, seed: int) -> dict[str, Floats]:
        key = self.collected.place(model), samples, seed
        if key not in self._drawn:
            self._drawn[key] = self.bootstrap(model, samples=samples, seed=seed)
        return self._drawn[key]

    def _detailed(self, model: Any, asked: Asked) -> Details:
        chosen: dict[str, Any] = {"beta": asked.beta, "samples": asked.samples, "seed": asked.seed}
        key = self.collected.place(model), *chosen.values()
        found = self._details.get(key)
        if found is None:
            calibration, traced, pairs = self.calibration(model), self.traced(model), self.pairs(model)
            operating, images = self.operating_points(model, **chosen), self.image_errors(model)
            made = details_of_models.Details.of(calibration, traced, pairs, operating, images, self.collected.metrics)
            found = self._details.put(key, made, made.size)
        return found

    def _forget(self) -> None:
        """Forget the figures of what was added before."""
        self._traced: Kept[Traced] = Kept()
        self._errors: Kept[Errors] = Kept()
        self._details: Kept[Details] = Kept()
        self._stats: dict[int, dict[str, float]] = {}
        super()._forget()
        self._sliced: dict[tuple[int, int, int], list[Sliced]] = {}
        self._drawn: dict[tuple[int, int, int], dict[str, Floats]] = {}

    def _asked(self) -> Asked:
        """Return the options of the summary."""
        return Asked(self.rules, None if self.models in ([], [None]) else "model", {}, 0, 0)

    def _facts(self) -> Facts:
        """Return the facts that concern all models."""
        counts = self.images, self.detections, self.truths
        return Facts(*counts, self.invalid, self.mismatch.images.counts, self.warnings, {}, self.of_federation)

    def _labels(self) -> tuple[list[Any], list[Any]]:
        """Return the labels of the models, and of the classes."""
        return self.models or [None], self.classes

    def _stats_of(self, model: Any) -> dict[str, float]:
        """Return the statistics of a model."""
        return self.stats(model)

    def _figures_of(self, model: Any, details: bool) -> ModelFigures:
        """Return the figures of a model."""
        return self.figures(model, self._asked(), details)
