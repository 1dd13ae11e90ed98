"""The figures of a model that are not used to compare models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.evaluation.calibration import Calibration
from fastbox.evaluation.curves import Floats, Traced
from fastbox.evaluation.image_errors import ImageErrors
from fastbox.evaluation.operating import Operating
from fastbox.evaluation.params import Params
from fastbox.evaluation.quantiles import spread
from fastbox.evaluation.streamed import number
from fastbox.evaluation.tide import COUNTS, Errors
from fastbox.losses.figures import edges_of, unit_of

__all__ = ["Details"]


class Fit(NamedTuple):
    """The distribution of a metric of matched pairs: over all, by range of areas, and by class."""

    pairs: int
    histogram: list[int]
    whole: dict[str, float | None]
    by_size: dict[str, dict[str, float | None]]
    by_class: dict[str, list[float | None]]

    @classmethod
    def of(cls, pairs: Mapping[str, NDArray[Any]], metric: str, params: Params, classes: int) -> Fit:
        """Compute the distribution of a metric of pairs."""
        order = np.argsort(pairs[metric])
        values, kinds, areas = pairs[metric][order], pairs["class"][order], pairs["area"][order]
        edges = np.array(edges_of(metric))
        counts = np.diff(np.searchsorted(values, edges[:-1])).tolist()
        # The last bin has its upper edge.
        counts.append(int(np.searchsorted(values, edges[-1], "right") - np.searchsorted(values, edges[-2])))
        by_size = {name: _spread(values[_within(areas, *limits)]) for name, limits in params.area_ranges.items()}
        by_class = {name: _numbers(found) for name, found in spread(kinds, values, classes).items()}
        return cls(len(values), counts, _spread(values), by_size, by_class)

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Return the distribution over all pairs as JSON holds it."""
        edges = np.array(edges_of(metric)).tolist()
        histogram = {"edges": edges, "counts": list(self.histogram)}
        return {"unit": unit_of(metric), "count": self.pairs, **self.whole, "histogram": histogram}


class Details(NamedTuple):
    """The figures of a model that are not used to compare models.

    Attributes
    ----------
    calibration : Calibration
    precision : array of shape (thresholds, recalls)
    ap_by_iou : dict of str to array of shape (thresholds,)
        AP at each threshold, by range of areas.
    truths : array of shape (classes,)
        Truths in the first range of areas.
    by_class : dict of str to array of shape (classes,)
        The statistics of each class separately.
    fits : dict of str to Fit
        By metric of matched pairs.
    sizes : dict of str to int
        The number of matched pairs whose truth is in each range of areas.
    truths_by_size : dict of str to int
        The number of truths in each range of areas.
    operating : dict
        The best scores and some points of the curves, as JSON holds them.
    best : dict of str to array of shape (classes,)
        Score, precision, recall and F at the best score of each class.
    limits : dict of str to array of shape (classes, 2)
        The intervals of these figures; empty if no samples were drawn.
    worst_images : list of dict
        The images whose errors cost most AP.
    """

    calibration: Calibration
    precision: Floats
    ap_by_iou: dict[str, Floats]
    truths: NDArray[np.int64]
    by_class: dict[str, Floats]
    fits: dict[str, Fit]
    sizes: dict[str, int]
    truths_by_size: dict[str, int]
    operating: dict[str, Any]
    best: dict[str, Floats]
    limits: dict[str, Floats]
    worst_images: list[dict[str, Any]]

    @property
    def size(self) -> int:
        """The approximate number of values in the details."""
        return len(self.truths) * (len(self.by_class) + sum(len(fit.by_class) for fit in self.fits.values()))

    @classmethod
    def of(
        cls,
        calibration: Calibration,
        traced: Traced,
        pairs: Mapping[str, NDArray[Any]],
        operating: Operating,
        images: ImageErrors,
        metrics: Sequence[str],
    ) -> Details:
        """Compute the details of a model, given its curves, matched pairs, operating points and images."""
        truths, params = traced.truths[:, 0], traced.params
        sizes = {name: int(_within(pairs["area"], *limits).sum()) for name, limits in params.area_ranges.items()}
        fits = {metric: Fit.of(pairs, metric, params, len(truths)) for metric in metrics}
        curves = traced.precision(), traced.ap_by_iou()
        limits = {} if operating.intervals is None else operating.intervals.by_class
        chosen = operating.to_dict(), operating.by_class, limits
        counts = sizes, dict(zip(params.area_ranges, traced.truths.sum(axis=0).tolist(), strict=True))
        return cls(calibration, *curves, truths, traced.stats_by_class(), fits, *counts, *chosen, images.to_dict())

    def to_dict(self, params: Params) -> dict[str, Any]:
        """Return everything but the classes as JSON holds it."""
        calibration, thresholds = self.calibration, _named(params.iou_thresholds)
        return {
            "matched": {
                "metrics": {metric: fit.to_dict(metric) for metric, fit in self.fits.items()},
                "by_size": {
                    name: {"truths": self.truths_by_size[name], "pairs": pairs}
                    | {metric: dict(fit.by_size[name]) for metric, fit in self.fits.items()}
                    for name, pairs in self.sizes.items()
                },
            },
            "calibration": {
                "ece": number(calibration.ece),
                "edges": calibration.edges.tolist(),
                "counts": calibration.counts.tolist(),
                "scores": _numbers(calibration.scores),
                "precision": _numbers(calibration.precision),
                params.metric: _numbers(calibration.iou),
            },
            "operating_points": self.operating,
            "worst_images": self.worst_images,
            "curves": {
                "recall": list(params.recalls),
                "precision": dict(zip(thresholds, map(_numbers, self.precision), strict=True)),
                "ap": {
                    name: dict(zip(thresholds, values.tolist(), strict=True)) for name, values in self.ap_by_iou.items()
                },
            },
        }

    def classes(self, labels: Sequence[Any], names: Mapping[str, str], errors: Errors) -> list[dict[str, Any]]:
        """Return the rows of classes as JSON holds them."""
        truths = self.truths.tolist()
        stats = {name: values.tolist() for name, values in self.by_class.items()}
        best = {name: _numbers(values) for name, values in self.best.items()}
        limits = {name: [_numbers(pair) for pair in pairs] for name, pairs in self.limits.items()}
        return [
            {
                "class": label,
                "name": names.get(str(label)),
                "truths": truths[place],
                **{name: values[place] for name, values in stats.items()},
                "best": {name: values[place] for name, values in best.items()}
                | ({"intervals": {name: pairs[place] for name, pairs in limits.items()}} if limits else {}),
                "errors": dict(zip(COUNTS, errors.counts[place].tolist(), strict=True)),
                "matched": {
                    metric: {name: values[place] for name, values in fit.by_class.items()}
                    for metric, fit in self.fits.items()
                },
            }
            for place, label in enumerate(labels)
        ]


def _named(thresholds: Sequence[float]) -> list[str]:
    """Return thresholds as text, with four digits if these keep the thresholds distinct."""
    short = [f"{threshold:.4g}" for threshold in thresholds]
    return short if len(set(short)) == len(short) else list(map(repr, thresholds))


def _within(areas: Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Return a flag for each area that is in a range."""
    return (areas >= low) & (areas <= high)


def _spread(values: Floats) -> dict[str, float | None]:
    """Return the mean and quantiles of values that ascend."""
    return {name: number(one[0]) for name, one in spread(np.zeros(len(values), np.int64), values, 1).items()}


def _numbers(values: Floats) -> list[float | None]:
    return [number(value) for value in values.tolist()]
