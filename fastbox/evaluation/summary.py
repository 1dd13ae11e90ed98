"""The figures of one evaluated model, as JSON holds them and reports show them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation import Evaluation
from fastbox.evaluation.bootstrap import interval
from fastbox.evaluation.core import PAIR_METRICS
from fastbox.evaluation.matching import MATCH_TYPES
from fastbox.evaluation.quantiles import spread
from fastbox.losses.figures import edges_of, unit_of

__all__ = ["LEVEL", "model_to_dict", "streamed"]

LEVEL = 0.95  # of intervals of confidence
HERE = "\0"  # no name or value holds it


def model_to_dict(
    found: Evaluation, model: Any, names: Mapping[str, str], *, samples: int = 0, seed: int = 0, details: bool = True
) -> dict[str, Any]:
    """Everything about one model, or what many are compared by."""
    errors = found.errors(model)
    counts = dict(zip((*MATCH_TYPES, "missed"), errors.counts.sum(axis=0).tolist(), strict=True))
    compared = {
        "counted": sum(counts.values()) - counts["missed"],
        "stats": found.stats(model),
        **({"intervals": _intervals(found, model, samples, seed)} if samples else {}),
        "errors": {
            "ap50": errors.ap,
            "counts": counts,
            "delta_ap": errors.delta_ap,
        },
    }
    return compared | _details(found, model, names, errors.counts) if details else compared


def streamed(
    summary: Mapping[str, Any], name: str | None = None, rows: Iterable[tuple[str, Any]] = ()
) -> Iterator[str]:
    """Yield the text of a summary as JSON, a part at a time; under one name it has rows that are made one by one.

    >>> print("".join(streamed({"by": "m", "models": {}, "n": 2}, "models", [("a", 1), ("b", 2)])))
    {
      "by": "m",
      "models": {
        "a": 1,
        "b": 2
      },
      "n": 2
    }
    """
    whole = summary if name is None else {**summary, name: HERE}
    before, _, after = json.dumps(whole, indent=2, allow_nan=False).partition(json.dumps(HERE))
    yield before
    if name is None:
        return
    start = "{"
    for key, value in rows:
        row = json.dumps({key: value}, indent=2, allow_nan=False)[1:-2]
        yield start + row.replace("\n", "\n  ")
        start = ","
    yield "{}" if start == "{" else "\n  }"
    yield after


def _details(found: Evaluation, model: Any, names: Mapping[str, str], counts: NDArray[np.int64]) -> dict[str, Any]:
    calibration, precision = found.calibration(model), found.traced(model).precision()
    matches = found.pairs(model)
    pairs = {metric: Matched.of(matches, metric) for metric in PAIR_METRICS}
    thresholds = found.params.iou_thresholds
    return {
        "matched": {
            "metrics": {metric: matched.to_dict(metric) for metric, matched in pairs.items()},
            "by_size": {
                name: {"pairs": int(pairs["iou"].within(*limits).sum())}
                | {metric: matched.of_size(*limits) for metric, matched in pairs.items()}
                for name, limits in found.params.area_ranges.items()
            },
        },
        "calibration": {
            "ece": _number(calibration.ece),
            "edges": calibration.edges.tolist(),
            "counts": calibration.counts.tolist(),
            **{name: _numbers(getattr(calibration, name)) for name in ("scores", "precision", "iou")},
        },
        "curves": {
            "recall": list(found.params.recalls),
            "precision": dict(zip(_named(thresholds), map(_numbers, precision), strict=True)),
        },
        "by_class": _by_class(found, model, names, counts, pairs),
    }


def _named(thresholds: Sequence[float]) -> list[str]:
    """Thresholds as text: of four digits where these tell them apart."""
    short = [f"{threshold:.4g}" for threshold in thresholds]
    return short if len(set(short)) == len(short) else list(map(repr, thresholds))


class Matched(NamedTuple):
    """The values of a metric of matched pairs, ascending, and the class and truth's area of each pair."""

    values: NDArray[np.float64]
    classes: NDArray[np.int64]
    areas: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Mapping[str, NDArray[Any]], metric: str) -> Matched:
        """Order pairs by a metric."""
        order = np.argsort(pairs[metric])
        return cls(pairs[metric][order], pairs["class"][order], pairs["area"][order])

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Figures and histogram of all pairs."""
        edges = np.array(edges_of(metric))
        counts = np.diff(np.searchsorted(self.values, edges[:-1])).tolist()
        # The last bin has its upper edge.
        counts.append(int(np.searchsorted(self.values, edges[-1], "right") - np.searchsorted(self.values, edges[-2])))
        return {
            "unit": unit_of(metric),
            "count": len(self.values),
            **self.spread(self.values),
            "histogram": {"edges": edges.tolist(), "counts": counts},
        }

    def within(self, low: float, high: float) -> NDArray[np.bool_]:
        """Which pairs' truths have an area in a range."""
        return (self.areas >= low) & (self.areas <= high)

    def of_size(self, low: float, high: float) -> dict[str, float | None]:
        """Figures of the pairs whose truth's area is in a range."""
        return self.spread(self.values[self.within(low, high)])

    def by_class(self, count: int) -> dict[str, list[float | None]]:
        """Figures of each class."""
        return {name: _numbers(values) for name, values in spread(self.classes, self.values, count).items()}

    @staticmethod
    def spread(values: NDArray[np.float64]) -> dict[str, float | None]:
        """Mean and quantiles of values that ascend."""
        return {name: _number(one[0]) for name, one in spread(np.zeros(len(values), np.int64), values, 1).items()}


def _by_class(
    found: Evaluation,
    model: Any,
    names: Mapping[str, str],
    counts: NDArray[np.int64],
    pairs: Mapping[str, Matched],
) -> list[dict[str, Any]]:
    labels = found.classes
    truths = found.traced(model).truths[:, 0].tolist()
    figures = {name: values.tolist() for name, values in found.stats_by_class(model).items()}
    spreads = {metric: matched.by_class(len(labels)) for metric, matched in pairs.items()}
    return [
        {
            "class": label,
            "name": names.get(str(label)),
            "truths": truths[place],
            **{name: values[place] for name, values in figures.items()},
            "errors": dict(zip((*MATCH_TYPES, "missed"), counts[place].tolist(), strict=True)),
            "matched": {
                metric: {name: values[place] for name, values in spreads[metric].items()} for metric in spreads
            },
        }
        for place, label in enumerate(labels)
    ]


def _intervals(found: Evaluation, model: Any, samples: int, seed: int) -> dict[str, Any]:
    drawn = found.bootstrap(model, samples=samples, seed=seed)
    limits = {name: list(map(_number, interval(values, LEVEL))) for name, values in drawn.items()}
    return {"level": LEVEL, "samples": samples, "seed": seed, **limits}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]
