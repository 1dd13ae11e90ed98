"""The figures of evaluated models, as JSON holds them, and as tables, plots and pages show them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastbox._lazy import deferred
from fastbox._record import NamedTuple
from fastbox._version import SCHEMA
from fastbox.evaluation.params import Params
from fastbox.evaluation.registry import NO_LIMIT
from fastbox.evaluation.streamed import number, streamed
from fastbox.evaluation.tide import COUNTS, Errors
from fastbox.result import Result, Row

if TYPE_CHECKING:
    from fastbox.evaluation.confusion import ConfusionMatrix
    from fastbox.evaluation.details import Details
    from fastbox.evaluation.sliced import Sliced
    from fastbox.report.brief import Shown
    from fastbox.report.page.contents import Example, Page

__all__ = ["BETAS", "LEVEL", "Asked", "Facts", "ModelFigures", "Summarized", "rules_told"]

statistics = deferred("fastbox.report.statistics")

LEVEL = 0.95  # of confidence intervals
BETAS = 0.01, 1000.0  # the least and the greatest beta of F


class Asked(NamedTuple):
    """The rules, the column of models, names of classes by label, samples and seed of the intervals, the score from
    which the confusion matrix counts detections, and how much more than precision recall counts for the best scores.
    """

    params: Params
    by: str | None
    names: Mapping[str, str]
    samples: int
    seed: int
    confusion_score: float | None = None
    beta: float = 1.0


class ModelFigures(NamedTuple):
    """The figures of a model: statistics, errors, intervals if images were drawn, details and confusion matrix if
    requested, those that only its benchmark has, and those of groups.
    """

    stats: dict[str, float]
    errors: Errors
    intervals: dict[str, tuple[float, float]] | None
    details: Details | None
    confusion: ConfusionMatrix | None
    further: dict[str, Any]
    slices: Sequence[Sliced] = ()

    def to_dict(self, labels: Sequence[Any], asked: Asked) -> dict[str, Any]:
        """Return the figures as JSON holds them, given the labels of classes."""
        errors = self.errors
        counts = dict(zip(COUNTS, errors.counts.sum(axis=0).tolist(), strict=True))
        found: dict[str, Any] = {"counted": sum(counts.values()) - counts["missed"], "stats": dict(self.stats)}
        if self.intervals is not None:
            limits = {name: list(map(number, interval)) for name, interval in self.intervals.items()}
            found["intervals"] = {"level": LEVEL, "samples": asked.samples, "seed": asked.seed, **limits}
        found["errors"] = {"ap50": errors.ap, "counts": counts, "delta_ap": dict(errors.delta_ap)} | {
            "truths": errors.truths
        }
        found |= self.further
        if self.slices:
            found["slices"] = [own.to_dict() for own in self.slices]
        if self.details is not None:
            found |= self.details.to_dict(asked.params)
            if self.confusion is not None:
                found["confusion"] = self.confusion.to_dict()
            found["by_class"] = self.details.classes(labels, asked.names, errors)
        return found


class Facts(NamedTuple):
    """The facts that concern all models: counts, likely mistakes, and how tables were read."""

    images: int
    detections: int
    truths: int
    invalid: Mapping[str, int]
    images_with_boxes: Mapping[str, int]
    warnings: list[str]
    tables: Mapping[str, Any]
    federation: Mapping[str, int]

    def to_dict(self, params: Params) -> dict[str, Any]:
        """Return the facts and the rules as JSON holds them."""
        return {
            "images": self.images,
            "detections": self.detections,
            "truths": self.truths,
            "invalid": dict(self.invalid),
            **self.federation,
            "images_with_boxes": dict(self.images_with_boxes),
            "warnings": self.warnings,
            **self.tables,
            "rules": rules_told(params),
        }


def rules_told(params: Params) -> dict[str, Any]:
    """Return the rules of an evaluation as JSON holds them."""
    return {
        "rule": params.rule,
        "iou_thresholds": list(params.iou_thresholds),
        "area_ranges": {name: [low, number(high)] for name, (low, high) in params.area_ranges.items()},
        "max_dets": [None if count == NO_LIMIT else count for count in params.max_dets],
        "class_agnostic": params.class_agnostic,
        "metric": params.metric,
        **params.options,
    }


class Summarized(Result):
    """A result that has figures of one model, or of several side by side: as JSON, tables, a drawing and a page."""

    MAIN = "by_class"
    TABLES = (
        *("boxes", "matched.metrics", "matched.by_size", "by_class", "worst_images"),
        *("models", "comparisons", "slices"),
    )
    APART = ("matched",)
    FIRST = ("detections", "truths", "images")

    @abstractmethod
    def _asked(self) -> Asked:
        """Return the options of the summary."""

    @abstractmethod
    def _facts(self) -> Facts:
        """Return the facts that concern all models."""

    @abstractmethod
    def _labels(self) -> tuple[list[Any], list[Any]]:
        """Return the labels of the models, and of the classes."""

    @abstractmethod
    def _stats_of(self, model: Any) -> dict[str, float]:
        """Return the statistics of a model."""

    @abstractmethod
    def _figures_of(self, model: Any, details: bool) -> ModelFigures:
        """Return the figures of a model."""

    def _examples(self, model: Any) -> Sequence[tuple[str, Sequence[Example]]]:
        """Return kinds of errors of a model with examples, if examples were kept."""
        return ()

    def _beside(self) -> dict[str, Any]:
        """Return further entries of the summary, which concern several models."""
        return {}

    def _examples_apart(self, model: Any, other: Any) -> Sequence[tuple[str, Sequence[Example]]]:
        """Return examples of truths that one of two models finds and the other misses, if examples were kept."""
        return ()

    @property
    def main(self) -> str:
        """The name of the main table: that of classes, or of models side by side."""
        models, classes = self._labels()
        if self._asked().by is None:
            return self.MAIN if classes else "summary"
        return "models" if models else "summary"

    def _further_tables(self, summary: Mapping[str, Any]) -> dict[str, list[Row]]:
        """Return the tables of errors, curves, best scores, confusion, and truths found, given ``to_dict``."""
        from fastbox.evaluation.tabled import tables_of

        return tables_of(summary)

    def _first(self, summary: Row) -> dict[str, Any]:
        known = super()._first(summary)
        params, by, *_ = self._asked()
        stats = {model: self._stats_of(model) for model in self._models}
        if by is None:
            (own,) = stats.values()
            return {name: own[name] for name in statistics.first_of(own, vars(params))} | known
        if not stats:
            return known
        main = params.statistics[0].name
        best = max(stats, key=lambda model: stats[model][main])
        return {f"best {main}": stats[best][main], str(by): best, **known}

    def _shown(self) -> Shown:
        """Return the figures and the table to show, with a dash for -1 in every statistic."""
        names = [found.name for found in self._asked().params.statistics]
        return replace(super()._shown(), nothing=(*names, f"best {names[0]}"))

    def page(self) -> Page:
        """Return everything as a page, with examples of the errors of the best model by the first statistic."""
        # Imported here: a page takes more modules than all figures of arrays.
        from fastbox.report.pages.evaluated import MODELS, page_of

        best = list(statistics.best_first({model: {"stats": self._stats_of(model)} for model in self._models}))[:MODELS]
        summary = self._to_dict(set(best))
        pairs = [(found["model"], found["other"]) for found in summary.get("comparisons", ())]
        apart = [examples for pair in pairs for examples in self._examples_apart(*pair)]
        return page_of(summary, self._examples(best[0]) if best else (), apart)

    def to_dict(self, *, details: bool = True) -> dict[str, Any]:
        """Return everything as JSON holds it: the figures of each model under ``models``, or those of the only one.

        Without details only the figures that compare models: statistics, intervals and errors.
        """
        return self._to_dict(set(self._models) if details else ())

    def to_json(self, **more: Any) -> Iterator[str]:
        """Yield :meth:`to_dict` as JSON, after the number of its schema, with the details of one model in memory.

        ``more`` are entries to add.
        """
        if self._asked().by is None:
            return streamed({"schema": SCHEMA, **self.to_dict(), **more})
        rows = ((str(model), self._of(model, True)) for model in self._models)
        return streamed({"schema": SCHEMA, **self._around({}), **more}, "models", rows)

    @property
    def _models(self) -> list[Any]:
        return self._labels()[0]

    def _to_dict(self, detailed: Collection[Any]) -> dict[str, Any]:
        """Return everything, with details of some models."""
        models = {str(model): self._of(model, model in detailed) for model in self._models}
        return self._around(models if self._asked().by is not None else models["None"])

    def _of(self, model: Any, details: bool) -> dict[str, Any]:
        return self._figures_of(model, details).to_dict(self._labels()[1], self._asked())

    def _around(self, models: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts around the figures of each model, or of the single one."""
        params, by, *_ = self._asked()
        own = {"models": models} if by is not None else models
        return {**self._facts().to_dict(params), "by": by, **own, **self._beside(), **self.notes_on_inputs()}
