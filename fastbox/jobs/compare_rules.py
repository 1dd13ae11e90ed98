"""Evaluate the same detections by the rules of several benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        asked = [Params(rule=rule) for rule in dict.fromkeys(rules)]
        for params in asked:
            at_half(params)
    except ValueError as error:
        raise InputError(str(error)) from None
    found = {params.rule: evaluate(detections, truths, params=params, progress=progress, **options) for params in asked}
    outcomes = {name: own.evaluation.outcomes(threshold=HALF) for name, own in found.items()}
    places = (params.iou_thresholds.index(HALF) for params in asked)
    ranked = [
        (found[params.rule].evaluation.collected.ranked(None), place)
        for params, place in zip(asked, places, strict=True)
    ]
    return RulesCompared(found, outcomes, same_outcomes(ranked))
