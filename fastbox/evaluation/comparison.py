"""Two models on the same images: the difference of each figure, and the truths that one finds and the other misses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation.bootstrap import interval
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.curves import NOTHING, Floats
from fastbox.evaluation.sides import EVERY_RANGE
from fastbox.evaluation.streamed import number
from fastbox.evaluation.summary import LEVEL
from fastbox.result import Result, Row

if TYPE_CHECKING:
    from fastbox.report.brief import Shown

__all__ = ["FOUND_BY", "Comparison", "Difference", "found_by"]

FOUND_BY = ("both", "only_model", "only_other", "neither")


class Difference(NamedTuple):
    """A statistic of two models, and the first value minus the second; nan where one of them has no truths.

    Attributes
    ----------
    model, other, difference : float
    low, high : float
        The interval that holds 95% of the differences of the samples; nan for a statistic without samples.
    other_side : float
        The share of the samples whose difference is 0 or has the other sign; nan without samples.
    """

    model: float
    other: float
    difference: float
    low: float = float("nan")
    high: float = float("nan")
    other_side: float = float("nan")

    @classmethod
    def of(cls, model: float, other: float, drawn: Floats | None) -> Difference:
        """Return the difference of two values, given the differences of the samples, if there are any."""
        if NOTHING in (model, other):
            return cls(model, other, float("nan"))
        difference = model - other
        known = np.zeros(0) if drawn is None else drawn[~np.isnan(drawn)]
        if not len(known):
            return cls(model, other, difference)
        share = float(np.mean(known * np.sign(difference) <= 0))
        return cls(model, other, difference, *interval(known, LEVEL), share)


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Two models on the same images.

    Attributes
    ----------
    model, other : label
    differences : dict of str to Difference
        By statistic, the value of ``model`` minus that of ``other``; statistics of samples have an interval.
    found : array of shape (classes, 4)
        The number of truths of each class that both models find at IoU ≥ 0.50, that only ``model`` finds, that only
        ``other`` finds, and that neither finds; crowds and truths to be ignored are left out.
    classes : list of label
    samples, seed : int
        The number of samples of the images, and their seed.
    names : dict of str to str
        Names of classes by label.
    """

    MAIN = "differences"
    TABLES = ("differences", "by_class")
    FIRST = ("model", "other", "both", "only_model", "only_other", "neither")

    model: Any
    other: Any
    differences: dict[str, Difference]
    found: NDArray[np.int64]
    classes: list[Any]
    samples: int
    seed: int
    names: Mapping[str, str] = field(default_factory=dict)

    def _first(self, summary: Row) -> dict[str, Any]:
        return super()._first({name.removeprefix("truths_"): value for name, value in summary.items()})

    def _shown(self) -> Shown:
        """Return the figures and the table to show, with a dash for -1 in every statistic."""
        return replace(super()._shown(), nothing=("model", "other"))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "model": self.model,
            "other": self.other,
            "level": LEVEL,
            "samples": self.samples,
            "seed": self.seed,
            "differences": [
                {"name": name, **{key: number(value) for key, value in own._asdict().items()}}
                for name, own in self.differences.items()
            ],
            "truths": dict(zip(FOUND_BY, self.found.sum(axis=0).tolist(), strict=True)),
            "by_class": [
                {
                    "class": label,
                    "name": self.names.get(str(label)),
                    **dict(zip(FOUND_BY, counts, strict=True)),
                }
                for label, counts in zip(self.classes, self.found.tolist(), strict=True)
            ],
        }


def found_by(collected: Collected, model: Any, other: Any) -> NDArray[np.int64]:
    """Count the truths of each class by the models that find them at IoU ≥ 0.50, in the order of ``FOUND_BY``."""
    wanted, size = collected.wanted, len(collected.labels)
    missed = [~collected.taken(own) for own in (model, other)]
    asked = wanted["hidden"] != EVERY_RANGE
    group = np.where(missed[0], 2, 0) + missed[1]  # the places of FOUND_BY in binary: missed by model, by other
    places = collected.places(wanted["kind"][asked]) * len(FOUND_BY) + group[asked]
    return np.bincount(places, minlength=size * len(FOUND_BY)).reshape(size, len(FOUND_BY))
