"""Evaluate the same detections by the rules of several benchmarks, or by several metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from fastbox.datasets.as_source import Given
from fastbox.errors import InputError
from fastbox.evaluation.marks import same_outcomes
from fastbox.evaluation.params import Params
from fastbox.jobs.evaluate import evaluate
from fastbox.results.rules_compared import HALF, RulesCompared, at_half

__all__ = ["compare_rules"]


def compare_rules(
    detections: Given,
    truths: Given,
    *,
    rules: Sequence[str] = ("coco", "voc07", "voc12"),
    metrics: Sequence[str] = ("iou",),
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> RulesCompared:
    """Evaluate detections by the rules of several benchmarks: why does one tool print another AP than the other?

    Parameters
    ----------
    detections, truths : as of :func:`fastbox.jobs.evaluate`
        Tables that can be read more than once.
    rules : sequence of str
        Names of benchmarks with AP at IoU 0.50, each of which counts once.
    metrics : sequence of str
        ``"iou"``, and ``"probiou"`` for rotated boxes: each rule is applied with each metric.
    progress : callable, optional
        Called with the number of detections done since the last call.
    **options
        Further arguments of :func:`fastbox.jobs.evaluate`.

    Raises
    ------
    InputError
        A file or column that can't be used, an unknown rule, or one without AP at IoU 0.50.

    Examples
    --------
    >>> import numpy as np
    >>> boxes = {"image_id": np.array([1, 1]), "category_id": np.array([3, 3])}
    >>> truths = boxes | {"bbox": np.array([[0.0, 0, 4, 4], [9, 9, 14, 14]])}
    >>> detections = truths | {"score": np.array([0.9, 0.8])}
    >>> [(row["rule"], round(row["AP50"], 6)) for row in compare_rules(detections, truths).to_dict()["rules"]]
    [('coco', 1.0), ('voc07', 1.0), ('voc12', 1.0)]
    """
    try:
        asked = _asked(rules, metrics)
        for params in asked.values():
            at_half(params)
    except ValueError as error:
        raise InputError(str(error)) from None
    found = {
        name: evaluate(detections, truths, params=params, progress=progress, **options)
        for name, params in asked.items()
    }
    outcomes = {name: own.evaluation.outcomes(threshold=HALF) for name, own in found.items()}
    ranked = [
        (found[name].evaluation.collected.ranked(None), params.iou_thresholds.index(HALF))
        for name, params in asked.items()
    ]
    return RulesCompared(found, asked, outcomes, same_outcomes(ranked))


def _asked(rules: Sequence[str], metrics: Sequence[str]) -> dict[str, Params]:
    """Return the rules with each metric, by the names that tell them apart.

    >>> list(_asked(["coco", "voc07"], ["iou"])), list(_asked(["coco"], ["iou", "probiou"]))
    (['coco', 'voc07'], ['iou', 'probiou'])
    >>> list(_asked(["coco", "voc07"], ["iou", "probiou"]))
    ['coco iou', 'coco probiou', 'voc07 iou', 'voc07 probiou']
    """
    rules, metrics = list(dict.fromkeys(rules)), list(dict.fromkeys(metrics))
    found = {}
    for rule, metric in product(rules, metrics):
        name = rule if len(metrics) == 1 else metric if len(rules) == 1 else f"{rule} {metric}"
        found[name] = Params(rule=rule, metric=metric)
    return found
