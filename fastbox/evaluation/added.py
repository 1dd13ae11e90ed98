"""Detections against truths, added by whole images and matched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox._lazy import deferred
from fastbox.evaluation.alike import apart, spellings
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.matching import UNCOUNTED, Judged, judge, measure
from fastbox.evaluation.mismatch import Mismatch
from fastbox.evaluation.params import Params
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.kernels.codes import DUPLICATE, IGNORED, PLAIN
from fastbox.ops.geometry import geometry_of
from fastbox.values.numbers import as_number_from, shown

if TYPE_CHECKING:
    from fastbox.evaluation.confusion import Near
    from fastbox.evaluation.federated import Federation
    from fastbox.evaluation.kept_boxes import KeptBoxes

confusion = deferred("fastbox.evaluation.confusion")  # a matrix is made on request

__all__ = ["Added"]


class Added:
    """Detections and truths of images with their matches, as :class:`fastbox.Evaluation` documents them."""

    def __init__(
        self,
        params: Params | None = None,
        *,
        confusion_iou: float | None = None,
        federation: Federation | None = None,
        keep_boxes: bool = False,
    ) -> None:
        if not isinstance(params, Params | None):
            raise TypeError(f"expected params to be a fastbox.Params, got {shown(params)}")
        self.params = Params() if params is None else params
        self.detections = self.truths = 0
        self.listed: int | None = None
        self.names: dict[str, str] = {}
        self.invalid = {"detections": 0, "truths": 0, "scores": 0}
        self.federation = federation
        self.unverified = self.expanded = 0
        if (federation is not None) != self.params.record.federated:
            got = "none" if federation is None else "one"
            raise ValueError(
                f"expected a federation with the rules lvis and open-images alone, got {got} with {self.params.rule!r}"
            )
        self.mismatch = Mismatch()
        self.collected = Collected(self.params)
        self.near: Near | None = None
        if confusion_iou is not None:
            self.near = confusion.Near(as_number_from(confusion_iou, "confusion_iou", 0.01, 1))
        self.boxes: KeptBoxes | None = None
        if keep_boxes:
            from fastbox.evaluation.kept_boxes import KeptBoxes

            self.boxes = KeptBoxes()
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
        numbers: Mapping[str, ArrayLike] | None = None,
    ) -> Judged:
        """Add whole images, given as :func:`evaluate` takes them; return the matches of the detections, read-only."""
        from fastbox.evaluation.given import coded

        given: dict[str, Any] = {"classes": classes, "truth_classes": truth_classes, "models": models}
        given |= {"crowd": crowd, "ignore": ignore, "areas": areas, "numbers": numbers}
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
        geometry = self.collected.widened(geometry_of(detections.boxes, truths.boxes))
        rules = self.params.of_geometry(geometry)
        unverified, drawn, expanded = None, (images, truths), None
        if self.federation is not None:
            known = self.collected.classes, self.names
            expanded = None if self.params.class_agnostic else self.federation.expand(images, truths, *known)
            if expanded is not None:
                images, truths = expanded.images, expanded.truths
                self.expanded += len(expanded.rows) - len(drawn[1].classes)
            unverified = self.federation.apply(images, detections, truths, *known, self.params)
            self.unverified += int(np.count_nonzero(unverified))
        if self.boxes is not None and geometry != PLAIN:
            raise ValueError("expected plain boxes with keep_boxes, got rotated ones: leave keep_boxes out")
        given = self.collected.classes.ascending()[1], rules, self.collected.groups.masks, geometry
        found, wanted = detections.found(images, *given), truths.wanted(images, *given)
        judged = judge(found, wanted, *given[1:])
        self.collected.keep(found, wanted)
        if self.boxes is not None:
            self.boxes.add(found, wanted, detections, truths)
        if unverified is not None:
            judged.match_type[unverified] = IGNORED
        if self.params.record.group_of:
            again = (judged.match_type == DUPLICATE) & (judged.truth >= 0)
            again[again] = truths.crowd[judged.truth[again]]
            judged.match_type[again] = IGNORED
        judged.match_type[detections.left_out] = UNCOUNTED
        for column in judged:  # some of which are kept
            column.flags.writeable = False
        hits = measure(detections.columns, truths.columns, judged, rules)
        self.collected.add(images, detections, truths, judged, hits)
        if self.near is not None:
            if expanded is not None:
                drawn[1].wanted(drawn[0], *given)
            self.near.add(drawn[0], detections, drawn[1], rules.metric)
        counted, kept = ~detections.left_out, ~truths.left_out
        self.detections += int(np.count_nonzero(counted))
        self.truths += int(np.count_nonzero(kept))
        self.invalid["detections"] += int(np.count_nonzero(detections.invalid & counted))
        self.invalid["truths"] += int(np.count_nonzero(truths.invalid & kept))
        self.invalid["scores"] += int(np.count_nonzero(detections.lost & counted))
        self._forget()
        return judged if expanded is None else judged.of_rows(expanded.rows)

    def __add__(self, other: Self) -> Self:
        """Return the evaluation of both sets of images, those of the first before those of the second."""
        if not isinstance(other, Added):
            return NotImplemented
        if self.params != other.params:
            raise ValueError("expected evaluations by the same rules, got two kinds of params")
        if (self.near and self.near.iou) != (other.near and other.near.iou):
            raise ValueError("expected evaluations with one confusion_iou, got two")
        if (self.boxes is None) != (other.boxes is None):
            raise ValueError(
                "expected evaluations that both keep their boxes or neither, got one: give both keep_boxes"
            )
        if self.collected.groups != other.collected.groups:
            raise ValueError("expected evaluations with the same slices, got others: give both the same columns")
        both = type(self)(self.params, federation=self.federation)
        both.unverified, both.expanded = self.unverified + other.unverified, self.expanded + other.expanded
        both.collected, kinds = self.collected.joined(other.collected)
        if self.near is not None and other.near is not None:
            models = both.code_models(other.model_labels)
            both.near = self.near.joined(other.near, kind=lambda kind: kinds[kind], model=lambda model: models[model])
        if self.boxes is not None and other.boxes is not None:
            both.boxes = self.boxes.joined(other.boxes, kinds, both.code_models(other.model_labels))
        both.detections, both.truths = self.detections + other.detections, self.truths + other.truths
        both.names = self.names | other.names
        both.listed = self.listed if other.listed is None else other.listed
        both.mismatch = self.mismatch + other.mismatch.recoded(kinds)
        both.invalid = {name: count + other.invalid[name] for name, count in self.invalid.items()}
        return both

    @property
    def rules(self) -> Params:
        """The rules as they are for the geometry of the boxes."""
        return self.params if self.collected.geometry == PLAIN else self.params.for_rotated

    @property
    def of_federation(self) -> dict[str, int]:
        """The numbers of unverified detections, and of truths of classes above; empty without a federation."""
        if self.federation is None:
            return {}
        return {"unverified": self.unverified} | ({"expanded": self.expanded} if self.federation.parents else {})

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
        """Sentences on classes that the two sides, or the classes that images are annotated for, spell differently."""
        unknown = []
        if self.unverified and not self.detections:
            unknown.append(
                f"all {self.unverified:,} detections are of classes that their image is not annotated for: write the "
                "images and classes of the federation as those of the detections"
            )
        return unknown if self.params.class_agnostic else [*unknown, *spellings(*self.classes_of_sides())]

    def _of_no_class(self) -> list[str]:
        found = None if self.params.class_agnostic else apart(*self.classes_of_sides())
        if found is None:
            return []
        return [
            f"detections and truths have no class in common, those of detections are {found.detections} and of truths "
            f"{found.truths}: number or name the classes of both alike, or match boxes of any class with "
            "Params(class_agnostic=True)"
        ]

    def _forget(self) -> None:
        """Forget what was computed of what was added before."""
