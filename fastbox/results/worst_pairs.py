"""The pairs that a page shows beside the figures: the worst ones of a metric, and a map of IoU by size and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes
from fastbox.losses.figures import is_worse_greater
from fastbox.ops import search as ops
from fastbox.results.heatmap import Heat

__all__ = ["Look", "Pair", "Worst"]

SHOWN = 12


@dataclass(frozen=True)
class Pair:
    """A pair of boxes with its value: ``row`` tells where it stood, ``pred`` and ``target`` are corners in pixels."""

    value: float
    row: tuple[int, ...]
    pred: tuple[float, ...]
    target: tuple[float, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Worst:
    """The pairs of the lowest values, or the greatest of a distance or loss; of equal ones those that came first.

    The worst pairs of all parts are the worst pairs of the whole.

    Examples
    --------
    >>> worst = Worst("iou", most=1)
    >>> boxes = Boxes([[0.0, 0, 2, 2], [0.0, 0, 2, 4]])
    >>> worst.add(np.array([0.9, 0.1]), boxes, boxes, np.arange(2)[:, None])
    >>> worst.pairs[0].row
    (1,)
    """

    metric: str
    greatest: bool = False
    most: int = SHOWN
    pairs: list[Pair] = field(default_factory=list)

    def add(
        self,
        values: NDArray[Any],
        pred: Boxes,
        target: Boxes,
        rows: NDArray[np.int64],
        about: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        """Look at more pairs; nan is left out. ``rows`` is (n, k): where each stands, later ones greater.

        ``about`` is asked for what else is known of a pair, by its number among these.
        """
        signed = -values if self.greatest else values
        given = np.flatnonzero(~np.isnan(signed))
        if len(given) > self.most:
            last = np.partition(signed[given], self.most - 1)[self.most - 1]
            below = given[signed[given] < last]
            given = np.sort(np.append(below, given[signed[given] == last][: self.most - len(below)]))
        sides = (pred[given].corners().astype(np.float64).tolist(), target[given].corners().astype(np.float64).tolist())
        found = [
            Pair(float(values[k]), tuple(rows[k].tolist()), tuple(a), tuple(b), about(int(k)) if about else {})
            for k, a, b in zip(given, *sides, strict=True)
        ]
        self.pairs = self._first([*self.pairs, *found])

    def __add__(self, other: Worst) -> Worst:
        """Return the worst pairs of both."""
        return Worst(self.metric, self.greatest, self.most, self._first([*self.pairs, *other.pairs]))

    def _first(self, pairs: list[Pair]) -> list[Pair]:
        sign = -1 if self.greatest else 1
        return sorted(pairs, key=lambda pair: (sign * pair.value, pair.row))[: self.most]


class Look:
    """Pairs looked at while they go by: IoU by the target's size and shape, and the worst of a metric."""

    def __init__(self, metric: str) -> None:
        self.heat = Heat()
        self.worst = Worst(metric, is_worse_greater(metric))

    def add(
        self,
        values: Mapping[str, NDArray[Any]],
        pred: Boxes,
        target: Boxes,
        rows: NDArray[np.int64],
        about: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        """Look at more pairs, as :meth:`Worst.add` does; ``values`` has those of the metric, and of IoU if known."""
        overlap = values["iou"] if "iou" in values else ops.aligned(pred, target, metric="iou")
        self.heat.add(overlap, target.corners())
        self.worst.add(values[self.worst.metric], pred, target, rows, about)
