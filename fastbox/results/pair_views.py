"""The pairs that a page shows beside the figures: the worst ones of a metric, and a map of IoU by size and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.values.powers import doublings

__all__ = ["ASPECT_EDGES", "SIDE_EDGES", "Heat", "Look", "Pair", "Worst"]

SHOWN = 12
SIDE_EDGES = doublings(2, 10)  # square root of the area, in pixels; the first and last bin include the sides beyond
ASPECT_EDGES = doublings(-3, 3)  # width / height, likewise
# Sums are kept as integers in this unit, so that they do not depend on the order; a bin has room for 8e9 values.
_FIXED = 2.0**30

Outlines: TypeAlias = tuple[NDArray[Any] | None, NDArray[Any] | None]


@dataclass(frozen=True)
class Pair:
    """A pair of boxes with its value: ``row`` has its rows in the tables, ``pred`` and ``target`` corners in pixels.

    Of rotated boxes these are the corners of frames; the outlines have their own four corners.
    """

    value: float
    row: tuple[int, ...]
    pred: tuple[float, ...]
    target: tuple[float, ...]
    image: Any = None
    pred_outline: tuple[float, ...] = ()
    target_outline: tuple[float, ...] = ()


@dataclass
class Worst:
    """The pairs of the lowest values, or the greatest of a distance or loss; of equal values the first pairs.

    The worst pairs of all parts are the worst pairs of the whole.

    Examples
    --------
    >>> worst = Worst("iou", most=1)
    >>> boxes = np.array([[0.0, 0, 2, 2], [0.0, 0, 2, 4]])
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
        pred: NDArray[Any],
        target: NDArray[Any],
        rows: NDArray[np.int64],
        images: NDArray[Any] | None = None,
        outlines: Outlines = (None, None),
    ) -> None:
        """Add more pairs; nan is left out.

        Parameters
        ----------
        values : array of shape (n,)
        pred, target : arrays of shape (n, 4)
            Corners in pixels.
        rows : array of shape (n, k)
            The rows of each pair in its tables; later pairs have greater ones.
        images : array of shape (n,), optional
            The image of each pair.
        outlines : two arrays of shape (n, 8)
            The corners of rotated boxes, of the predictions and of the targets; None for plain boxes.
        """
        signed = -values if self.greatest else values
        given = np.flatnonzero(~np.isnan(signed))
        if len(given) > self.most:
            last = np.partition(signed[given], self.most - 1)[self.most - 1]
            below = given[signed[given] < last]
            given = np.sort(np.append(below, given[signed[given] == last][: self.most - len(below)]))
        sides = (pred[given].astype(np.float64).tolist(), target[given].astype(np.float64).tolist())
        found = [
            Pair(
                float(values[k]),
                tuple(rows[k].tolist()),
                tuple(a),
                tuple(b),
                None if images is None else images[k],
                *(() if own is None else tuple(own[k].astype(np.float64).tolist()) for own in outlines),
            )
            for k, a, b in zip(given, *sides, strict=True)
        ]
        self.pairs = self._first([*self.pairs, *found])

    def __add__(self, other: Worst) -> Worst:
        """Return the worst pairs of both."""
        return Worst(self.metric, self.greatest, self.most, self._first([*self.pairs, *other.pairs]))

    def _first(self, pairs: list[Pair]) -> list[Pair]:
        sign = -1 if self.greatest else 1
        return sorted(pairs, key=lambda pair: (sign * pair.value, pair.row))[: self.most]


def _zeros() -> NDArray[np.int64]:
    return np.zeros((len(ASPECT_EDGES) - 1, len(SIDE_EDGES) - 1), np.int64)


@dataclass
class Heat:
    """Counts and sums of values of at most 1 in bins of side and aspect; those of parts add up to that of the whole.

    Examples
    --------
    >>> heat = Heat()
    >>> heat.add(np.array([0.5, 1.0]), np.array([[0.0, 0, 40, 40], [9, 9, 50, 50]]))
    >>> heat.to_dict()["counts"][3]
    [0, 0, 0, 2, 0, 0, 0, 0]
    """

    counts: NDArray[np.int64] = field(default_factory=_zeros)
    totals: NDArray[np.int64] = field(default_factory=_zeros)

    def add(self, values: NDArray[Any], corners: NDArray[Any]) -> None:
        """Add values, each in the bin of its box of the (n, 4) corners; those that are nan are left out."""
        given = np.flatnonzero(~np.isnan(values))
        x0, y0, x1, y1 = corners[given].astype(np.float64).T
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            wide, high = x1 - x0, y1 - y0
            place = _bin(wide / high, ASPECT_EDGES), _bin(np.sqrt(wide) * np.sqrt(high), SIDE_EDGES)
        np.add.at(self.counts, place, 1)
        np.add.at(self.totals, place, np.rint(values[given].astype(np.float64) * _FIXED).astype(np.int64))

    def __add__(self, other: Heat) -> Heat:
        """Return the map of both."""
        return Heat(self.counts + other.counts, self.totals + other.totals)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it; rows of aspect, None for an empty bin."""
        with np.errstate(invalid="ignore"):
            means = (self.totals / _FIXED / self.counts).tolist()
        return {
            "sides": SIDE_EDGES.tolist(),
            "aspects": ASPECT_EDGES.tolist(),
            "counts": self.counts.tolist(),
            "means": [[mean if mean == mean else None for mean in row] for row in means],
        }


def _bin(values: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bin of each value, the nearest one beyond the ends; nan counts as 1."""
    found: NDArray[np.int64] = np.searchsorted(edges, np.nan_to_num(values, nan=1.0), side="right") - 1
    return found.clip(0, len(edges) - 2)


class Look:
    """Views of pairs, collected chunk by chunk: IoU by the target's size and shape, and the worst of a metric."""

    def __init__(self, metric: str, greatest: bool) -> None:
        self.heat = Heat()
        self.worst = Worst(metric, greatest)

    def add(
        self,
        values: Mapping[str, NDArray[Any]],
        pred: NDArray[Any],
        target: NDArray[Any],
        rows: NDArray[np.int64],
        images: NDArray[Any] | None = None,
        outlines: Outlines = (None, None),
    ) -> None:
        """Add more pairs, as :meth:`Worst.add` does; ``values`` has the values of IoU and of the metric."""
        self.heat.add(values["iou"], target)
        self.worst.add(values[self.worst.metric], pred, target, rows, images, outlines)
