"""Synthetic boxes that follow the gradients of a loss to their targets, and the share that arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import dataclass
from fastbox.kernels.codes import COUNTS, POINTS
from fastbox.kernels.metrics import regression_losses
from fastbox.result import Result

__all__ = ["LOSSES", "Descent", "Regression", "cases_per_point", "descend", "draw"]

Floats = NDArray[np.float64]

LOSSES = regression_losses()

CENTRE = (10.0, 10.0)
RADIUS = 3.0
RATIOS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
AREAS = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)
RATES = (0.1, 0.01, 0.001)

DRAWN = 4096  # points drawn at once, in the square around the circle


@dataclass
class Descent:
    """The end of the cases of one loss.

    Attributes
    ----------
    curve : array of shape (steps + 1,)
        The mean error of a case, before the first step and after each step.
    errors : array of shape (points,)
        The mean final error of the cases around each point.
    converged, iou_half, iou_high, apart : int
        Cases that end with an error below 0.1, with an IoU ≥ 0.50, with an IoU ≥ 0.90, and without an overlap.
    floored : int
        Cases with a side that was limited to 2^-10.
    """

    curve: Floats
    errors: Floats
    converged: int
    iou_half: int
    iou_high: int
    apart: int
    floored: int

    def steps_to(self, share: float) -> int | None:
        """Return the first step after which the error is at most this share of the first error, or None."""
        reached = np.flatnonzero(self.curve <= share * self.curve[0])
        return int(reached[0]) if reached.size else None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures but the errors of single points, as JSON holds them."""
        names = ("converged", "iou_half", "iou_high", "apart", "floored")
        return {
            "final_error": float(self.curve[-1]),
            "worst_point": float(self.errors.max()),
            "steps_to_half": self.steps_to(0.5),
            "steps_to_tenth": self.steps_to(0.1),
            **{name: getattr(self, name) for name in names},
            "curve": self.curve.tolist(),
        }


@dataclass(repr=False)
class Regression(Result):
    """The result of :func:`fastbox.jobs.regression`.

    Attributes
    ----------
    points, steps, seed : int
        The arguments of the run.
    x, y : array of shape (points,)
        The coordinates of the points.
    losses : dict of str to Descent
        The end of the cases, loss by loss.
    """

    MAIN = "losses"
    TABLES = ("losses",)
    FIRST = ("cases", "points", "steps")

    points: int
    steps: int
    seed: int
    x: Floats
    y: Floats
    losses: dict[str, Descent] = field(default_factory=dict)

    def columns(self) -> dict[str, Floats]:
        """Return columns of the points: x, y, and the mean final error for each loss."""
        return {"x": self.x, "y": self.y, **{name: found.errors for name, found in self.losses.items()}}

    def to_dict(self) -> dict[str, Any]:
        """Return all figures but those of single points, as JSON holds them."""
        return {
            "points": self.points,
            "cases": self.points * cases_per_point(),
            "steps": self.steps,
            "seed": self.seed,
            "centre": list(CENTRE),
            "radius": RADIUS,
            "rates": [list(stage) for stage in _stages(self.steps).items()],
            "losses": {name: found.to_dict() for name, found in self.losses.items()},
        }


def cases_per_point() -> int:
    """Return the number of boxes that begin at a point: each shape once for each target.

    >>> cases_per_point()
    343
    """
    return len(AREAS) * len(RATIOS) * len(RATIOS)


def descend(name: str, x: Floats, y: Floats, steps: int, progress: Callable[[int], object] | None) -> Descent:
    """Move all cases around the points along the negative gradient of a loss, a number of steps."""
    kernel, points = parallel.kernels("loss.regression").DESCEND[x.dtype, name], len(x)
    targets = np.array([_sides(1.0, ratio) for ratio in RATIOS])
    starts = np.array([_sides(area, ratio) for area in AREAS for ratio in RATIOS])
    rates = rates_of(steps)
    blocks = -(-points // POINTS)
    sums, errors = np.empty((blocks, steps + 1)), np.empty(points)
    counts = np.zeros((blocks, COUNTS), np.int64)

    def task(block: int) -> None:
        first, last = block * POINTS, min((block + 1) * POINTS, points)
        kernel((x, y), starts, targets, CENTRE, rates, (first, last), (sums[block], errors, counts[block]))
        if progress is not None:
            progress((last - first) * cases_per_point())

    parallel.run(task, [(block,) for block in range(blocks)])
    total = np.add.accumulate(sums, axis=0)[-1]  # block after block: np.sum has another order
    ends = (int(n) for n in counts.sum(axis=0))
    return Descent(total / (points * cases_per_point()), errors / cases_per_point(), *ends)


def draw(points: int, seed: int) -> tuple[Floats, Floats]:
    """Draw x and y of points in the circle, from the square around it: no sine that differs between machines."""
    rng = np.random.Generator(np.random.PCG64(seed))
    kept, count = [np.empty((0, 2))], 0
    while count < points:
        drawn = 2 * rng.random((DRAWN, 2)) - 1
        kept.append(drawn[np.square(drawn).sum(axis=1) <= 1])
        count += len(kept[-1])
    x, y = np.ascontiguousarray((np.concatenate(kept)[:points] * RADIUS + CENTRE).T)
    return x, y


def _sides(area: float, ratio: float) -> tuple[float, float]:
    """Return width and height from an area and their ratio."""
    return float(np.sqrt(area * ratio)), float(np.sqrt(area / ratio))


def _stages(steps: int) -> dict[int, float]:
    """Return the rates by the first step of each; a short run may have fewer rates."""
    firsts = (1, 8 * steps // 10 + 1, 9 * steps // 10 + 1)
    return {first: rate for first, rate in zip(firsts, RATES, strict=True) if first <= steps}


def rates_of(steps: int) -> Floats:
    """Return the rate of each step."""
    rates = np.empty(steps)
    for first, rate in _stages(steps).items():
        rates[first - 1 :] = rate
    return rates
