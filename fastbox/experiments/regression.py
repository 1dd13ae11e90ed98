"""Let made-up boxes follow the gradients of the losses to their targets, and see which arrive."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.arrow.columns import batch_of, schema_of
from fastbox.kernels.codes import COUNTS, POINTS
from fastbox.result import Result
from fastbox.storage.outputs import check_outputs
from fastbox.tables.sink import Sink
from fastbox.values.arguments import checked

__all__ = ["LOSSES", "Descent", "Regression", "cases_per_point", "regression"]

StrPath = str | os.PathLike[str]
Floats = NDArray[np.float64]

LOSSES = ("smooth_l1", "iou", "giou", "diou", "ciou", "eiou")

CENTRE = (10.0, 10.0)
RADIUS = 3.0
RATIOS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
AREAS = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)
RATES = (0.1, 0.01, 0.001)

DRAWN = 4096  # points drawn at once, whatever of them falls into the circle


@dataclass
class Descent:
    """What became of the cases of one loss.

    Attributes
    ----------
    curve : array of shape (steps + 1,)
        The mean error of a case, before the first step and after each.
    errors : array of shape (points,)
        The mean error at the end of the cases around each point.
    converged, iou_half, iou_high, apart : int
        Cases that end with an error below 0.1, an IoU of at least 0.5 and of at least 0.9, and without an overlap.
    floored : int
        Cases with a side that had to be kept from falling below 2^-10.
    """

    curve: Floats
    errors: Floats
    converged: int
    iou_half: int
    iou_high: int
    apart: int
    floored: int

    def steps_to(self, share: float) -> int | None:
        """The first step after which so small a share of the first error is left, or None."""
        reached = np.flatnonzero(self.curve <= share * self.curve[0])
        return int(reached[0]) if reached.size else None

    def to_dict(self) -> dict[str, Any]:
        """All but the errors of single points, as JSON holds it."""
        names = ("converged", "iou_half", "iou_high", "apart", "floored")
        return {
            "final_error": float(self.curve[-1]),
            "worst_point": float(self.errors.max()),
            "steps_to_half": self.steps_to(0.5),
            "steps_to_tenth": self.steps_to(0.1),
            **{name: getattr(self, name) for name in names},
            "curve": self.curve.tolist(),
        }


@dataclass
class Regression(Result):
    """What a run of :func:`regression` found.

    Attributes
    ----------
    points, steps, seed : int
        As asked for.
    x, y : array of shape (points,)
        Where the points are.
    losses : dict of str to Descent
        What became of the cases, loss by loss.
    """

    points: int
    steps: int
    seed: int
    x: Floats
    y: Floats
    losses: dict[str, Descent] = field(default_factory=dict)

    def columns(self) -> dict[str, Floats]:
        """The points: x, y and the mean error at the end, a column for each loss."""
        return {"x": self.x, "y": self.y, **{name: found.errors for name, found in self.losses.items()}}

    def to_dict(self) -> dict[str, Any]:
        """All but the single points, as JSON holds it."""
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
    """How many boxes begin at a point, each shape once for each target.

    >>> cases_per_point()
    343
    """
    return len(AREAS) * len(RATIOS) * len(RATIOS)


@checked
def regression(
    out: StrPath | None = None,
    *,
    points: int = 5000,
    steps: int = 200,
    losses: Sequence[str] = LOSSES,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Regression:
    """Move boxes to their targets by gradient descent on each loss: Zheng et al., AAAI 2020, section 3, algorithm 1.

    Seven targets of area 1 and width to height 1:4, 1:3, 1:2, 1:1, 2:1, 3:1 and 4:1 lie around (10, 10). Around each
    point of the circle of radius 3, drawn uniformly, begin boxes of the same seven ratios and areas 0.5, 0.67, 0.75, 1,
    1.33, 1.5 and 2. Each goes its own way to each target, B = (x, y, w, h) of centre and sides: B becomes
    B - rate (2 - IoU) dL/dB, with a rate of 0.1 for the first 80 % of the steps, of 0.01 up to 90 % and 0.001 from
    there on. The error of a case is the sum of the four distances |B - target|.

    All gradients are the exact ones, with the weight of CIoU's aspect ratios a constant. The code published with the
    paper takes others: CIoU's are not divided by w² + h², as the paper says; those of overlaps by the sides are twice
    as large; and for GIoU the intersection of boxes that lie apart is not set to 0, which keeps many of them from
    arriving: here GIoU arrives. What the paper leaves open is a side that a step would make negative: none falls
    below 2^-10.
    ``smooth_l1`` is of the four numbers, at beta 1, with the same steps.

    Parameters
    ----------
    out : path, optional
        A Parquet file of the points: x, y, and the mean final error of the cases at each, a column for each loss.
    points : int
        How many; with 5000 there are 1,715,000 cases. The first points are the same for any number of them.
    steps : int
        How many steps each case takes.
    losses : sequence of str
        Of smooth_l1, iou, giou, diou, ciou and eiou.
    seed : int
        Not negative; another seed draws other points.
    progress : callable, optional
        Called with the number of cases done since the last call, a case of each loss for one; from any thread.

    Returns
    -------
    Regression
        The same bits for any number of threads: errors are added up in blocks of points, these in their order.

    Raises
    ------
    ValueError
        An unknown loss or none, no points, no steps, or a negative seed.
    InputError
        The output can't be written there.

    Examples
    --------
    >>> found = regression(points=1, steps=2, losses=["giou"])
    >>> found.losses["giou"].curve.shape, found.to_dict()["cases"]
    ((3,), 343)
    """
    points, steps, seed = _whole("points", points, 1), _whole("steps", steps, 1), _whole("seed", seed, 0)
    names = list(dict.fromkeys(losses))
    if unknown := [name for name in names if name not in LOSSES]:
        raise ValueError(f"expected losses of {', '.join(LOSSES)}, got {unknown[0]!r}")
    if not names:
        raise ValueError(f"expected losses of {', '.join(LOSSES)}, got none")
    check_outputs([], {"out": out})
    x, y = _draw(points, seed)
    found = Regression(points, steps, seed, x, y)
    sink = None
    if out is not None:
        schema = schema_of(dict.fromkeys(["x", "y", *names], "float64"))
        parameters = {"points": points, "steps": steps, "losses": names, "seed": seed}
        sink = Sink(out, schema, command="experiment regression", parameters=parameters)
    with sink or nullcontext():
        for name in names:
            found.losses[name] = _descend(name, x, y, steps, progress)
        if sink is not None:
            sink.write(batch_of(list(found.columns().values()), sink.schema))
            sink.record(summary=found.to_dict())
    return found


def _descend(name: str, x: Floats, y: Floats, steps: int, progress: Callable[[int], object] | None) -> Descent:
    from fastbox.kernels.loss.regression import DESCEND

    kernel, points = DESCEND[x.dtype, name], len(x)
    targets = np.array([_sides(1.0, ratio) for ratio in RATIOS])
    starts = np.array([_sides(area, ratio) for area in AREAS for ratio in RATIOS])
    rates = _rates(steps)
    blocks = -(-points // POINTS)
    sums, errors = np.empty((blocks, steps + 1)), np.empty(points)
    counts = np.zeros((blocks, COUNTS), np.int64)

    def task(block: int) -> None:
        first, last = block * POINTS, min((block + 1) * POINTS, points)
        kernel((x, y), starts, targets, CENTRE, rates, (first, last), (sums[block], errors, counts[block]))
        if progress is not None:
            progress((last - first) * cases_per_point())

    parallel.run(task, [(block,) for block in range(blocks)])
    total = np.add.accumulate(sums, axis=0)[-1]  # block after block, which no sum promises
    ends = (int(n) for n in counts.sum(axis=0))
    return Descent(total / (points * cases_per_point()), errors / cases_per_point(), *ends)


def _draw(points: int, seed: int) -> tuple[Floats, Floats]:
    """Points of the circle, by drawing from the square around it: no sine that differs between machines."""
    rng = np.random.Generator(np.random.PCG64(seed))
    kept, count = [np.empty((0, 2))], 0
    while count < points:
        drawn = 2 * rng.random((DRAWN, 2)) - 1
        kept.append(drawn[np.square(drawn).sum(axis=1) <= 1])
        count += len(kept[-1])
    x, y = np.ascontiguousarray((np.concatenate(kept)[:points] * RADIUS + CENTRE).T)
    return x, y


def _sides(area: float, ratio: float) -> tuple[float, float]:
    """Width and height of an area and their ratio."""
    return float(np.sqrt(area * ratio)), float(np.sqrt(area / ratio))


def _stages(steps: int) -> dict[int, float]:
    """The rates by the first step of each; a short run may have fewer."""
    firsts = (1, 8 * steps // 10 + 1, 9 * steps // 10 + 1)
    return {first: rate for first, rate in zip(firsts, RATES, strict=True) if first <= steps}


def _rates(steps: int) -> Floats:
    """The rate of each step."""
    rates = np.empty(steps)
    for first, rate in _stages(steps).items():
        rates[first - 1 :] = rate
    return rates


def _whole(name: str, given: Any, least: int) -> int:
    try:
        number = operator.index(given)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"expected {name} to be a whole number, {least} or more, got {given!r}")
    return number
