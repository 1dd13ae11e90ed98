"""The metrics that compare two boxes: one record for each, with all facts that kernels, commands and pages need.

A metric is a record in :data:`METRICS` and the function of its name in :mod:`~fastbox.kernels.geometry.formulas`. This
module imports no Numba, so that all rooms can read the facts.
"""

from __future__ import annotations

import math
from collections import ChainMap
from typing import NamedTuple

from fastbox.kernels.codes import NEEDS_IOU, NEEDS_IOU_ROUNDED, NEEDS_OVERLAP, NO_SCREEN, ROUNDED_LEAST

__all__ = ["FACTS", "METRICS", "ROTATED_METRICS", "Metric", "regression_losses", "title_of"]


class Metric(NamedTuple):
    """The facts of a metric.

    Attributes
    ----------
    title : str
        The name for people.
    range : (low, high)
        The least and the greatest value of two valid boxes, infinite without a bound.
    screen : int
        The test without division that excludes pairs of low values: ``NO_SCREEN``, ``NEEDS_OVERLAP``, ``NEEDS_IOU`` or
        ``NEEDS_IOU_ROUNDED``.
    distance : bool
        Whether values are distances in pixels, lower for nearer boxes. All other metrics are similarities of at most 1.
    beta : bool
        Whether values depend on ``beta``.
    angles : bool
        Whether the formula reads the angles of the boxes' diagonals.
    by_axis : bool
        Whether a value stays the same when one axis is scaled. Boxes of extreme size are then measured by the same
        formula, in units of their hull; other metrics need a second formula in
        :mod:`~fastbox.kernels.geometry.extremes`.
    loss : bool
        Whether 1 less the metric is a loss; :mod:`~fastbox.kernels.geometry.gradients` then has its gradient.
    """

    title: str
    range: tuple[float, float]
    screen: int
    distance: bool = False
    beta: bool = False
    angles: bool = False
    by_axis: bool = False
    loss: bool = False

    @property
    def least_of_overlap(self) -> float:
        """The limit of which values above it occur only where boxes overlap; infinite for metrics without a screen."""
        return {NO_SCREEN: math.inf, NEEDS_IOU_ROUNDED: ROUNDED_LEAST}.get(self.screen, 0.0)

    @property
    def zero_apart(self) -> bool:
        """True if the value of all boxes that do not overlap is 0."""
        return self.range[0] == 0 and self.least_of_overlap == 0

    @property
    def bounded(self) -> bool:
        """True if the range has two finite ends."""
        return all(map(math.isfinite, self.range))


METRICS = {
    "iou": Metric("IoU", (0.0, 1.0), NEEDS_IOU, by_axis=True, loss=True),
    "iof": Metric("IoF", (0.0, 1.0), NEEDS_OVERLAP, by_axis=True),
    "ios": Metric("IoS", (0.0, 1.0), NEEDS_OVERLAP, by_axis=True),
    "giou": Metric("GIoU", (-1.0, 1.0), NEEDS_IOU_ROUNDED, by_axis=True, loss=True),
    "diou": Metric("DIoU", (-1.0, 1.0), NEEDS_IOU, loss=True),
    "ciou": Metric("CIoU", (-math.inf, 1.0), NEEDS_IOU, angles=True, loss=True),
    "eiou": Metric("EIoU", (-math.inf, 1.0), NEEDS_IOU, loss=True),
    "l1": Metric("L1", (0.0, math.inf), NO_SCREEN, distance=True),
    "smooth_l1": Metric("Smooth L1", (0.0, math.inf), NO_SCREEN, distance=True, beta=True),
}

# Of rotated boxes: their formulas are in fastbox.kernels.geometry.rotated_metrics. GIoU's hull is convex.
ROTATED_METRICS = {
    **{name: METRICS[name] for name in ("iou", "iof", "ios", "giou")},
    "probiou": Metric("ProbIoU", (0.0, 1.0), NO_SCREEN),
}

FACTS = ChainMap(METRICS, ROTATED_METRICS)  # of every metric of any boxes


def title_of(name: str) -> str:
    """Return the name of a metric for people, and any other name unchanged.

    >>> title_of("giou"), title_of("score")
    ('GIoU', 'score')
    """
    return FACTS[name].title if name in FACTS else name


def regression_losses() -> tuple[str, ...]:
    """Return the names of the losses that the regression experiment compares: Smooth L1, and metrics with a loss."""
    return ("smooth_l1", *(name for name, metric in METRICS.items() if metric.loss))
