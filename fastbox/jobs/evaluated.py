"""The result of an evaluation of tables: the figures of each model, comparisons, warnings, examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from fastbox._record import dataclass
from fastbox.errors import InputError, advice
from fastbox.evaluation import Evaluation
from fastbox.evaluation.summary import Asked, Facts, ModelFigures, Summarized
from fastbox.jobs.evaluate_tables import Read, unfit
from fastbox.results.error_examples import Gallery

if TYPE_CHECKING:
    from fastbox.evaluation.comparison import Comparison
    from fastbox.report.page.example import Example

__all__ = ["Evaluated"]


@dataclass(repr=False)
class Evaluated(Summarized):
    """The result of :func:`evaluate`.

    Attributes
    ----------
    evaluation : Evaluation
        Its ``curves``, ``errors``, ``calibration`` and so on, with their arrays.
    by : str or None
        The column that tells models apart.
    names : dict of str to str
        Names of classes by id, if the table of truths has names.
    samples, seed : int
        The number of samples of the images for the intervals, and the seed of the samples.
    read : Read, optional
        The columns and files of the tables; None for an evaluation of arrays.
    gallery : Gallery, optional
        Examples of errors: always for one model, for models side by side if a report was requested.
    confusion_score : float, optional
        The score from which the confusion matrix counts detections; by default where F1 is highest.
    forced : bool
        Tables that have nothing in common are not refused; a warning says why they would be.
    reference : label, optional
        The model that all others are compared with; by default the best one.
    compared : bool
        Whether models are compared.
    f_beta : float
        How much more than precision recall counts for the best scores.
    """

    evaluation: Evaluation
    by: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    seed: int = 0
    read: Read | None = None
    gallery: Gallery | None = field(default=None, repr=False, compare=False)
    forced: bool = False
    confusion_score: float | None = None
    reference: Any = None
    compared: bool = False
    f_beta: float = 1.0

    def __add__(self, other: Evaluated) -> Evaluated:
        """Return the result for both sets of images, the first before the second."""
        evaluation = self.evaluation + other.evaluation
        read = self.read + other.read if self.read is not None and other.read is not None else self.read
        gallery = self.gallery + other.gallery if self.gallery and other.gallery else None
        return replace(self, evaluation=evaluation, names=self.names | other.names, read=read, gallery=gallery)

    @property
    def warnings(self) -> list[str]:
        """Sentences on likely mistakes in the tables, each with the way to fix it."""
        listed = self.read is not None and self.read.listed is not None
        said = self.evaluation.mismatch.sentences(self.evaluation.class_labels, listed=listed)
        forced = [f"not refused as force is set: {self._unfit}"] if self.forced and self._unfit else []
        read = self.read.sentences if self.read is not None else []
        return [*forced, *read, *said, *self.evaluation.spellings]

    def check(self) -> None:
        """Refuse detections and truths that have nothing in common; a part of the images may have nothing in common.

        Refuses a comparison of a single model too. Examples of errors are complete then.
        """
        if self.gallery is not None:
            self.gallery.end()
        if self._unfit and not self.forced:
            refused = f"{self._unfit}, or go on with {advice('--force', 'force=True')}"
            raise InputError(refused)
        if self.compared and len(self._labels()[0]) < 2:
            one = "one model" if self.by is None else f"{len(self.evaluation.models)} in column {self.by!r}"
            how = advice("--by COLUMN", "by=COLUMN")
            raise InputError(
                f"expected two models or more to compare, got {one}: name more files, or a column with {how}"
            )

    def compute(self, step: Callable[[int], object]) -> None:
        """Compute the figures of all models, and call a function with an equal share of the detections for each."""
        models, boxes = self._labels()[0], self.evaluation.detections
        for place, model in enumerate(models):
            self._figures_of(model, False)
            step(boxes * (place + 1) // len(models) - boxes * place // len(models))

    @property
    def _unfit(self) -> str:
        """A sentence on what the tables lack in common; empty if nothing."""
        if self.read is None:
            return ""
        found = self.evaluation
        return unfit(found.mismatch, None if found.params.class_agnostic else found.classes_of_sides(), self.read)

    @property
    def stats(self) -> dict[Any, dict[str, float]]:
        """The statistics of each model by its label; the label of a single model is None."""
        return {model: self.evaluation.stats(model) for model in self._labels()[0]}

    def _asked(self) -> Asked:
        asked = self.by, self.names, self.samples, self.seed, self.confusion_score, self.f_beta
        return Asked(self.evaluation.rules, *asked)

    def _facts(self) -> Facts:
        found = self.evaluation
        tables = {} if self.read is None else self.read.to_dict()
        counts = found.images, found.detections, found.truths
        return Facts(*counts, found.invalid, found.mismatch.images.counts, self.warnings, tables, found.of_federation)

    def _labels(self) -> tuple[list[Any], list[Any]]:
        return [None] if self.by is None else self.evaluation.models, self.evaluation.classes

    def _stats_of(self, model: Any) -> dict[str, float]:
        return self.evaluation.stats(model)

    def _figures_of(self, model: Any, details: bool) -> ModelFigures:
        return self.evaluation.figures(model, self._asked(), details)

    @property
    def comparisons(self) -> list[Comparison]:
        """The comparisons of a model with each of the others: the reference, or the best model; empty unless asked."""
        models = self._labels()[0]
        if not self.compared or len(models) < 2:
            return []
        main = self.evaluation.params.statistics[0].name
        stats = {model: self.evaluation.stats(model)[main] for model in models}
        first = max(stats, key=lambda model: stats[model]) if self.reference is None else self.reference
        asked = {"samples": self.samples, "seed": self.seed}
        others = [self.evaluation.compare(first, model, **asked) for model in models if model != first]
        return [replace(other, names=self.names) for other in others]

    def _beside(self) -> dict[str, Any]:
        return {"comparisons": [found.to_dict() for found in self.comparisons]} if self.compared else {}

    def _examples(self, model: Any) -> Sequence[tuple[str, Sequence[Example]]]:
        return self.gallery.of(model) if self.gallery else ()

    def _examples_apart(self, model: Any, other: Any) -> Sequence[tuple[str, Sequence[Example]]]:
        return self.gallery.of_pair(model, other) if self.gallery else ()
