"""Detections against truths: what became of each, kept so that every figure can be computed from it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.boxes.container import Boxes, as_boxes
from fastbox.errors import InputWarning
from fastbox.evaluation.alike import alike, spellings
from fastbox.evaluation.bootstrap import draw, resample
from fastbox.evaluation.calibration import Calibration, calibrate
from fastbox.evaluation.columns import Rows
from fastbox.evaluation.curves import Curves, rank
from fastbox.evaluation.figures import Traced
from fastbox.evaluation.matching import COVERING, UNCOUNTED, Found, Judged, Wanted, judge, words_shape
from fastbox.evaluation.mismatch import Mismatch
from fastbox.evaluation.params import Params
from fastbox.evaluation.shown import Shown
from fastbox.evaluation.sides import invalid, rows_of, sided, unmatchable
from fastbox.evaluation.tide import Errors, blame
from fastbox.kernels.codes import IGNORED, MATCHED
from fastbox.ops import search as ops
from fastbox.values.arguments import named
from fastbox.values.flags import as_flags
from fastbox.values.groups import align_images
from fastbox.values.labels import Codes, as_labels, check_kinds
from fastbox.values.numbers import as_floats, as_whole, shown

__all__ = ["PAIR_METRICS", "Evaluation", "evaluate"]

PAIR_METRICS = ("iou", "giou", "smooth_l1")
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
EVERY_RANGE = np.uint32(0xFFFFFFFF)


@named
def evaluate(
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
    params: Params | None = None,
) -> Evaluation:
    """Evaluate detections as ``COCOeval`` of pycocotools does, to the last bit of every figure.

    IoUs are float64 on corner, width and height; boxes in another format are turned into these first. Two things
    differ from pycocotools on purpose: a truth with ``ignore`` set is ignored though it is no crowd (there ``iscrowd``
    overwrites it), and ids of truths play no part (there a truth with id 0 counts as not found).

    Parameters
    ----------
    detections : Boxes or array of shape (n, 4)
    scores : array of shape (n,)
        Confidences. A detection with a score of nan matches nothing; infinite scores come first or last.
    truths : Boxes or array of shape (m, 4)
        Boxes grouped by image are compared image by image.
    classes, truth_classes : arrays of shape (n,) and (m,), optional
        Integers or strings. Both or neither.
    crowd : array of shape (m,), optional
        Regions that hold many objects: any number of detections may lie in one, and those are ignored. Booleans;
        numbers, set unless 0 or nan; or text, set where it is 1, true or yes.
    ignore : array of shape (m,), optional
        Truths that count neither as found nor as missed; likewise.
    areas : array of shape (m,), optional
        Of truths in square pixels, such as those of their masks; width times height where left out or nan.
    models : array of shape (n,), optional
        The model that each detection is of; each model is evaluated by itself.
    params : Params, optional
        Thresholds, ranges of areas, and how many detections count.

    Returns
    -------
    Evaluation
        ``stats()`` has COCO's twelve.

    Raises
    ------
    ValueError, TypeError
        Arrays of a wrong length, only one side grouped or classed, classes of two kinds, a missing class, flags that
        say neither yes nor no.

    References
    ----------
    Lin et al., Microsoft COCO, ECCV 2014; ``COCOeval`` of pycocotools.

    Examples
    --------
    >>> import fastbox
    >>> found = fastbox.evaluate([[0, 0, 4, 4], [9, 9, 12, 12]], [0.9, 0.8], [[0, 0, 4, 4], [9, 9, 13, 12]])
    >>> round(found.stats()["AP50"], 3), round(found.stats()["AP"], 3)
    (1.0, 0.802)
    """
    found = Evaluation(params)
    found.add(
        detections,
        scores,
        truths,
        classes=classes,
        truth_classes=truth_classes,
        crowd=crowd,
        ignore=ignore,
        areas=areas,
        models=models,
    )
    images = found.mismatch.images
    if not images["both"] and images["detections"] and images["truths"]:
        examples = found.mismatch.examples.values()
        own, its = (", ".join(map(repr, ids)) for ids in examples)
        raise ValueError(
            f"expected images that both detections and truths have, got none: ids such as {own} of detections and "
            f"{its} of truths: {alike(*examples) or 'write the ids of both alike'}"
        )
    for sentence in found.warnings:
        warnings.warn(InputWarning(sentence), stacklevel=2)
    return found


class Evaluation(Shown):
    """What became of each detection and truth of some images, and the figures that follow from it.

    Images are added a set at a time; evaluations of different images add up with ``+``. The figures are the same bits
    however images were cut, as long as they come in the same order.

    Parameters
    ----------
    params : Params, optional

    Attributes
    ----------
    images, detections, truths : int
        How many were added.
    invalid : dict of str to int
        Boxes that are not finite or inverted, of detections and truths, and scores that are nan. They match nothing:
        such a detection is a false one, such a truth is missed.

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
        self.images = self.detections = self.truths = 0
        self.invalid = {"detections": 0, "truths": 0, "scores": 0}
        self.mismatch = Mismatch()
        self._classes, self._models = Codes(name="classes"), Codes(name="models")
        i4, f8 = np.int32, np.float64
        words = np.dtype((np.uint32, words_shape(self.params)))
        self._found = Rows(**FOUND | {"words": words})
        self._wanted = Rows(image=i4, kind=i4, hidden=np.uint32)
        self._covered = Rows(model=i4, kind=i4)  # truths that a model's detections have, or are about
        self._pairs = Rows(model=i4, kind=i4, area=f8, **dict.fromkeys(PAIR_METRICS, f8))
        # Runs and classes that have detections, in one number, and where these begin, once detections are ranked.
        self._groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._last: tuple[int, Traced] | None = None  # of the model asked for last

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
        """Add whole images, given as :func:`evaluate` takes them; return what became of each detection."""
        a, b = as_boxes(detections, "detections"), as_boxes(truths, "truths")
        if (classes is None) != (truth_classes is None):
            given, missing = ("truth_classes", "classes") if classes is None else ("classes", "truth_classes")
            raise ValueError(f"expected classes= and truth_classes= or neither, got {given} and no {missing}")
        kinds, truth_kinds = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64)
        if classes is not None:
            own = _column("classes", as_labels(classes, "classes", len(a)), len(a))
            theirs = _column("truth_classes", as_labels(truth_classes, "truth_classes", len(b)), len(b))
            check_kinds((own, theirs), ("classes", "truth_classes"))
            kinds, truth_kinds = self._classes.of_column(own), self._classes.of_column(theirs)
        if classes is None:
            self.code_classes([None])
        if models is None:
            self.code_models([None])
        return self.add_coded(
            a,
            _column("scores", as_floats(scores, "scores"), len(a)),
            b,
            kinds=kinds,
            truth_kinds=truth_kinds,
            models=np.zeros(len(a), np.int64)
            if models is None
            else self._models.of_column(_column("models", as_labels(models, "models", len(a)), len(a))),
            crowd=np.zeros(len(b), np.bool_) if crowd is None else as_flags(crowd, "crowd", len(b)),
            ignore=np.zeros(len(b), np.bool_) if ignore is None else as_flags(ignore, "ignore", len(b)),
            areas=None if areas is None else _column("areas", as_floats(areas, "areas"), len(b)),
        )

    def code_classes(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """The codes of labels of classes, as :meth:`add_coded` takes them; new labels get one."""
        return self._classes.of(labels)

    def code_models(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """The codes of labels of models, likewise."""
        return self._models.of(labels)

    def add_coded(
        self,
        a: Boxes,
        scores: NDArray[Any],
        b: Boxes,
        *,
        kinds: NDArray[np.int64],
        truth_kinds: NDArray[np.int64],
        models: NDArray[np.int64],
        crowd: NDArray[np.bool_],
        ignore: NDArray[np.bool_],
        areas: NDArray[Any] | None,
        dropped: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
    ) -> Judged:
        """Add whole images whose classes and models are codes of this evaluation already.

        Some detections and truths are left out as if they were not there.
        """
        ids, bounds, truth_bounds = align_images(a, b, ("detections", "truths"))
        images = len(bounds) - 1
        image, truth_image = (np.repeat(np.arange(images), np.diff(edges)) for edges in (bounds, truth_bounds))
        score = scores.astype(np.float64)
        lost = np.isnan(score)
        score[lost] = -np.inf
        boxes, targets = sided(a), sided(b)
        wrong, wrong_truths = invalid(boxes), invalid(targets)
        with np.errstate(invalid="ignore", over="ignore"):
            area, sizes = targets[2] * targets[3], boxes[2] * boxes[3]
        away, out = (np.zeros(len(a), np.bool_), np.zeros(len(b), np.bool_)) if dropped is None else dropped
        score[away] = -np.inf  # behind all that count
        crowd, ignore = crowd & ~out, ignore | out
        boxes, targets = unmatchable(boxes, wrong | lost | away), unmatchable(targets, wrong_truths | out)
        if areas is not None:
            area = np.where(np.isnan(areas), area, areas.astype(np.float64))
        hidden = np.where(crowd | ignore, EVERY_RANGE, self.params.outside(area))
        order, truth_order = np.arange(len(a)), np.arange(len(b))
        if self.params.class_agnostic:
            # As in pycocotools, the boxes of an image come class by class before their scores rank them.
            places = self._classes.ascending()[1]
            order, truth_order = np.lexsort((places[kinds], image)), np.lexsort((places[truth_kinds], truth_image))
            kinds, truth_kinds = np.zeros_like(kinds), np.zeros_like(truth_kinds)
        found = Found(boxes, models << 32 | kinds, score, self.params.outside(sizes), bounds, order)
        wanted = Wanted(targets, truth_kinds, crowd, crowd | ignore, hidden, truth_bounds, truth_order)
        judged = judge(found, wanted, self.params)
        judged.match_type[away] = UNCOUNTED

        rows = order[judged.match_type[order] != UNCOUNTED]
        fixed = np.full(len(a), -1, np.int64)
        fixed[judged.fixed] = truth_kinds[judged.truth[judged.fixed]]
        self._found.add(
            image=image[rows] + self.images,
            model=models[rows],
            kind=kinds[rows],
            score=score[rows],
            rank=judged.rank[rows],
            words=judged.words[rows],
            match_type=judged.match_type[rows],
            iou=judged.iou[rows],
            fixed=fixed[rows],
        )
        kept = ~out
        self._wanted.add(image=truth_image[kept] + self.images, kind=truth_kinds[kept], hidden=hidden[kept])
        covering = np.flatnonzero(COVERING[judged.match_type])
        model, truth = np.divmod(_distinct(models[covering] * len(b) + judged.truth[covering]), max(len(b), 1))
        self._covered.add(model=model, kind=truth_kinds[truth])
        hit = np.flatnonzero(judged.match_type == 0)
        pairs = rows_of(boxes, hit), rows_of(targets, judged.truth[hit])
        self._pairs.add(
            model=models[hit],
            kind=kinds[hit],
            area=area[judged.truth[hit]],
            **{metric: ops.aligned(*pairs, metric=metric) for metric in PAIR_METRICS},
        )
        self.images += images
        self.detections += len(a) - int(np.count_nonzero(away))
        self.truths += int(np.count_nonzero(kept))
        self.mismatch.add(ids, a, b, bounds, truth_bounds, kinds, truth_kinds, score, judged)
        for name, rows in (("detections", wrong & ~away), ("truths", wrong_truths & kept), ("scores", lost & ~away)):
            self.invalid[name] += int(np.count_nonzero(rows))
        self._groups = None
        self._last = None
        return judged

    def __add__(self, other: Evaluation) -> Evaluation:
        """The evaluation of both sets of images, those of the first before those of the second."""
        if self.params != other.params:
            raise ValueError("expected evaluations by the same rules, got two kinds of params")
        both = Evaluation(self.params)
        both._classes, both._models = Codes(self._classes.labels, "classes"), Codes(self._models.labels, "models")
        kinds, models = both._classes.of(other._classes.labels), both._models.of(other._models.labels)
        recoded = {
            "image": lambda image: image + self.images,
            "model": lambda model: models[model],
            "kind": lambda kind: kinds[kind],
            "fixed": lambda kind: np.where(kind < 0, -1, kinds[kind]),
        }
        for name in ("_found", "_wanted", "_covered", "_pairs"):
            setattr(both, name, getattr(self, name).joined(getattr(other, name), **recoded))
        for name in ("images", "detections", "truths"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both.mismatch = self.mismatch + other.mismatch.recoded(kinds)
        both.invalid = {name: count + other.invalid[name] for name, count in self.invalid.items()}
        return both

    @property
    def classes(self) -> list[Any]:
        """The labels of all classes, ascending; ``[None]`` where boxes of any class match."""
        return [None] if self.params.class_agnostic else self._classes.ascending()[0]

    def classes_of_sides(self) -> tuple[list[Any], list[Any]]:
        """The labels of the classes of detections, and of truths."""
        kinds = (np.flatnonzero(np.bincount(rows["kind"])).tolist() for rows in (self._found, self._wanted))
        own, its = ([self._classes.labels[kind] for kind in some] for some in kinds)
        return own, its

    @property
    def warnings(self) -> list[str]:
        """What is likely not as it was meant: ids, classes or boxes that are not written in one way. Sentences."""
        return [*(self.mismatch.sentences(self.class_labels) or self._of_no_class()), *self.spellings]

    @property
    def spellings(self) -> list[str]:
        """Classes that one side spells otherwise than the other. Sentences."""
        return [] if self.params.class_agnostic else spellings(*self.classes_of_sides())

    def _of_no_class(self) -> list[str]:
        own, its = (sorted(some) for some in self.classes_of_sides())
        if self.params.class_agnostic or not own or not its or set(own) & set(its):
            return []
        first, second = (", ".join(map(repr, some[:3])) for some in (own, its))
        return [
            f"detections and truths have no class in common, those of detections are {first} and of truths {second}: "
            "number or name the classes of both alike, or match boxes of any class with Params(class_agnostic=True)"
        ]

    @property
    def class_labels(self) -> list[Any]:
        """The labels of classes by their codes."""
        return self._classes.labels

    @property
    def model_labels(self) -> list[Any]:
        """The labels of models by their codes."""
        return self._models.labels

    @property
    def models(self) -> list[Any]:
        """The labels of all models, ascending; ``[None]`` without models."""
        return self._models.ascending()[0]

    def curves(self, model: Any = None) -> Curves:
        """Precision, recall and scores of a model, the only one when left out, for each class of ``classes``."""
        return self.traced(model).whole

    def traced(self, model: Any = None) -> Traced:
        """What the figures of a model are made of, without its curves in memory where classes are many."""
        place = self._place(model)
        if self._last is None or self._last[0] != place:
            found = self._ranked(model)
            detections = found["words"], found["score"], found["rank"], self._class_bounds(model)
            self._last = place, Traced(*detections, self._regular(), self.params)
        return self._last[1]

    def stats(self, model: Any = None) -> dict[str, float]:
        """COCO's figures of a model, -1 where there is nothing: AP, AP50, AP75, AP_small and so on, to AR_large."""
        return self.traced(model).stats()

    def stats_by_class(self, model: Any = None) -> dict[str, NDArray[np.float64]]:
        """COCO's figures of a model, of each class of ``classes`` by itself."""
        return self.traced(model).stats_by_class()

    def errors(self, model: Any = None) -> Errors:
        """The errors of a model at an IoU of 0.5, by class of ``classes``, and the rise of AP without each kind."""
        found, count = self._ranked(model), len(self.classes)
        covered = self._covered["kind"][self._covered.of_group("model", self._code(model))]
        # A truth that no range has is ignored for itself, not for its area.
        regular = self._places(self._wanted["kind"][self._wanted["hidden"] != EVERY_RANGE])
        truths = np.bincount(regular, minlength=count)
        fixed = found["fixed"]
        return blame(
            self._class_bounds(model),
            found["score"],
            found["match_type"],
            np.where(fixed < 0, -1, self._places(fixed)),
            truths,
            truths - np.bincount(self._places(covered), minlength=count),
        )

    def calibration(self, model: Any = None) -> Calibration:
        """Precision and IoU of a model's detections by score; those that are ignored are left out."""
        found = self._ranked(model)
        counted = found["match_type"] != IGNORED
        return calibrate(found["score"][counted], found["match_type"][counted] == MATCHED, found["iou"][counted])

    def pairs(self, model: Any = None) -> dict[str, NDArray[Any]]:
        """Detections and the truths they take at an IoU of 0.5: place of the class, the truth's area, metrics."""
        rows = self._pairs.of_group("model", self._code(model))
        found = {name: self._pairs[name][rows] for name in ("area", *PAIR_METRICS)}
        return {"class": self._places(self._pairs["kind"][rows]), **found}

    def bootstrap(self, model: Any = None, *, samples: int = 1000, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        """AP, AP50 and AP75 of a model on images drawn with replacement, one value for each sample.

        The same seed draws the same images for every model: models can be subtracted sample by sample.
        """
        samples, seed = as_whole(samples, "samples", 1), as_whole(seed, "seed")
        found = self._ranked(model)
        regular = np.flatnonzero(self._wanted["hidden"] & np.uint32(1) == 0)
        return resample(
            found["words"],
            self._class_bounds(model),
            found["image"],
            self._places(self._wanted["kind"][regular]),
            self._wanted["image"][regular],
            draw(self.images, samples, seed, len(self.classes) * len(self.params.iou_thresholds)),
            self.params,
        )

    def _place(self, model: Any) -> int:
        """The place of a model among all."""
        return int(self._models.ascending()[1][self._code(model)]) if len(self._models) else 0

    def _code(self, model: Any) -> int:
        """The code of a model; None is that of the only one."""
        code = 0 if model is None and len(self._models) <= 1 else self._models.code(model)
        if code is None:
            raise ValueError(f"expected a model of {', '.join(map(repr, self.models))}, got {model!r}")
        return code

    def _ranked(self, model: Any) -> dict[str, NDArray[Any]]:
        """The detections of a model, class by class and by descending score: views."""
        bounds = self._bounds(model)
        return {name: self._found[name][bounds[0] : bounds[-1]] for name in FOUND}

    def _class_bounds(self, model: Any) -> NDArray[np.int64]:
        """Where each class of a model begins among the detections of the model."""
        bounds = self._bounds(model)
        own: NDArray[np.int64] = bounds - bounds[0]
        return own

    def _bounds(self, model: Any) -> NDArray[np.int64]:
        """Where each class of a model begins among the detections of all models."""
        count, place = len(self.classes), self._place(model)
        if self._groups is None:
            # Rows that were in order stay so among those of equal scores, so that more can be added after this.
            groups = self._models.ascending()[1][self._found["model"]] * count
            groups += self._places(self._found["kind"])
            order, there, begins = rank(groups, self._found["score"])
            self._found.put(order)
            self._groups = there, begins
        there, begins = self._groups
        bounds: NDArray[np.int64] = begins[np.searchsorted(there, place * count + np.arange(count + 1))]
        return bounds

    def _places(self, kinds: NDArray[np.int32]) -> NDArray[np.int64]:
        """The places in ``classes`` of codes."""
        places = self._classes.ascending()[1]
        return np.zeros(len(kinds), np.int64) if self.params.class_agnostic else places[kinds]

    def _regular(self) -> NDArray[np.int64]:
        """The truths of each class in each range that are to be found."""
        kinds, hidden = self._places(self._wanted["kind"]), self._wanted["hidden"]
        counts = [
            np.bincount(kinds[hidden >> np.uint32(place) & 1 == 0], minlength=len(self.classes))
            for place in range(len(self.params.area_ranges))
        ]
        return np.stack(counts, axis=1)


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers from 0, each once."""
    most = int(numbers.max(initial=-1)) + 1
    if most > 64 * len(numbers):
        return np.unique(numbers)
    there = np.zeros(most, np.bool_)
    there[numbers] = True
    return np.flatnonzero(there)


def _column(name: str, column: NDArray[Any], n: int) -> NDArray[Any]:
    if column.shape != (n,):
        raise ValueError(f"expected {name} of shape ({n},), got {column.shape}")
    return column
