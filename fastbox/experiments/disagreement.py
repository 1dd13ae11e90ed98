"""Agreement of distances between coordinates with overlap, over pairs of a predicted and a target box."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.boxes.container import Boxes
from fastbox.experiments.lookalikes import Lookalikes
from fastbox.kernels.metrics import METRICS
from fastbox.ops.aligned import aligned
from fastbox.result import Invalid, Result, Rules
from fastbox.values.coco import SIDE_BOUNDS, SIZES
from fastbox.values.powers import doublings

__all__ = ["DISTANCES", "Disagreement"]

DISTANCES = ("l1", "l2", "smooth_l1")
OVERLAPS = ("iou", "giou")
SHOWN = (1, 2, 5, 10, 20, 50, 100)  # the distances, in pixels, whose spread is reported
QUANTILES = (0.05, 0.5, 0.95)

LOW, HIGH, PER_DOUBLING = -10, 16, 16  # distances from 2^LOW to 2^HIGH pixels, and the bins of each doubling
DISTANCE_BINS = (HIGH - LOW) * PER_DOUBLING + 2  # and one bin below, which has 0, and one above
VALUE_BINS = {"iou": 512, "giou": 1024}
NEAR = 1.1  # the factor within which distances count for a reported distance

Floats = NDArray[Any]


@dataclass(repr=False)
class Disagreement(Result):
    """The result of :func:`fastbox.jobs.disagreement`.

    Attributes
    ----------
    rows, pairs : int
        All rows, and the rows whose two boxes are valid.
    pred, target : Invalid
        Invalid boxes on either side, by reason.
    counts : dict of (str, str) to array of shape (sizes, distance bins, value bins)
        Pairs by distance and metric, counted by size, distance and value.
    rules : Rules
        The beta of Smooth L1.
    lookalikes : Lookalikes
        Pairs of equal distance that overlap most and least.
    """

    MAIN = "rank_correlation_l2"
    TABLES = (
        "invalid",
        *(f"{table}.{distance}" for table in ("rank_correlation", "spread") for distance in ("l1", "l2", "smooth_l1")),
        "examples",
    )
    FIRST = ("pairs", "rows")

    rules: Rules = field(default_factory=Rules, kw_only=True)
    rows: int = 0
    pred: Invalid = field(default_factory=Invalid)
    target: Invalid = field(default_factory=Invalid)
    counts: dict[tuple[str, str], NDArray[np.int64]] = field(
        default_factory=lambda: {
            (distance, metric): np.zeros((len(SIZES), DISTANCE_BINS, VALUE_BINS[metric]), np.int64)
            for distance in DISTANCES
            for metric in OVERLAPS
        }
    )
    lookalikes: Lookalikes = field(default_factory=Lookalikes)

    @property
    def pairs(self) -> int:
        """Return the number of rows whose two boxes are valid."""
        return int(self.counts["l2", "iou"].sum())

    def add(self, pred: Boxes, target: Boxes, first_row: int, beta: float) -> None:
        """Add rows of predicted and target boxes; ``first_row`` is the number of the first one."""
        self.rows += len(pred)
        reasons = pred.invalid(), target.invalid()
        self.pred.add(reasons[0])
        self.target.add(reasons[1])
        bad = (reasons[0] != 0) | (reasons[1] != 0)
        rows = np.flatnonzero(~bad)
        a, b = (boxes.astype(np.float64).corners()[rows] for boxes in (pred, target))
        values = {metric: aligned(a, b, metric=metric) for metric in OVERLAPS}
        with np.errstate(over="ignore"):  # infinite values are in the last bin
            l2 = np.sqrt(np.square(a - b).sum(axis=1))
            side = np.sqrt((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]))
        distances = {
            "l1": aligned(a, b, metric="l1"),
            "l2": l2,
            "smooth_l1": aligned(a, b, metric="smooth_l1", beta=beta),
        }
        size = np.searchsorted(SIDE_BOUNDS, side, side="right")
        bins = {distance: _bin_of(values) for distance, values in distances.items()}
        for (distance, metric), counts in self.counts.items():
            low, high = METRICS[metric].range
            place = np.floor((values[metric] - low) / (high - low) * VALUE_BINS[metric]).astype(np.int64)
            place = np.minimum(place, VALUE_BINS[metric] - 1)
            flat = (size * DISTANCE_BINS + bins[distance]) * VALUE_BINS[metric] + place
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
        self.lookalikes.add(rows + first_row, a, b, distances["l2"], values["iou"], side)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON holds them; None for a figure that has too few pairs."""
        sizes = dict.fromkeys(SIZES, 0)
        for k, name in enumerate(SIZES):
            sizes[name] = int(self.counts["l2", "iou"][k].sum())
        return {
            "rows": self.rows,
            "pairs": self.pairs,
            "sizes": sizes,
            "rules": self.rules.to_dict(),
            "invalid": {"pred": self.pred.to_dict(), "target": self.target.to_dict()},
            "rank_correlation": {
                distance: {metric: self._correlations(distance, metric) for metric in OVERLAPS}
                for distance in DISTANCES
            },
            "spread": {distance: [self._spread(distance, pixels) for pixels in SHOWN] for distance in DISTANCES},
            "examples": self.lookalikes.to_list(SIZES, SIDE_BOUNDS),
            **self.notes_on_inputs(),
        }

    def density(self) -> dict[str, Floats]:
        """Return pairs by L2 distance and IoU, for a plot: edges, counts, and the quantiles of IoU at each distance."""
        counts = self.counts["l2", "iou"].sum(axis=0)[1:-1]
        by_distance = counts.reshape(-1, 4, counts.shape[1]).sum(axis=1)
        edges = doublings(LOW, HIGH, PER_DOUBLING // 4)
        bands = np.array([[_quantile(row, q, "iou") or np.nan for row in by_distance] for q in QUANTILES])
        shares = by_distance.reshape(len(by_distance), 64, -1).sum(axis=2)
        return {"distances": edges, "values": np.linspace(0, 1, 65), "counts": shares, "bands": bands}

    def _correlations(self, distance: str, metric: str) -> dict[str, float | None]:
        counts = self.counts[distance, metric]
        by_size = {name: rank_correlation(counts[k]) for k, name in enumerate(SIZES)}
        return {"all": rank_correlation(counts.sum(axis=0)), **by_size}

    def _spread(self, distance: str, pixels: float) -> dict[str, Any]:
        ends = _bin_of(np.array([pixels / NEAR, pixels * NEAR]))
        rows = {m: self.counts[distance, m].sum(axis=0)[ends[0] : ends[1] + 1].sum(axis=0) for m in OVERLAPS}
        quantiles = {m: [_quantile(rows[m], q, m) for q in QUANTILES] for m in OVERLAPS}
        return {"pixels": pixels, "pairs": int(rows["iou"].sum()), **quantiles}


def rank_correlation(counts: NDArray[np.int64]) -> float | None:
    """Return Spearman's correlation of the rows and columns of a table of counts; ties share their rank."""
    ranks = []
    for axis in (1, 0):
        total = counts.sum(axis=axis)
        middle = np.cumsum(total) - total / 2.0
        ranks.append(middle - counts.sum() / 2.0)
    down, across = ranks
    spread = float(np.sqrt((counts.sum(axis=1) * down**2).sum() * (counts.sum(axis=0) * across**2).sum()))
    return float((counts * down[:, None] * across).sum()) / spread if spread > 0 else None


def _bin_of(distances: Floats) -> NDArray[np.int64]:
    """Return the bin of each distance: even parts of doublings; the first and last bin have all that is beyond."""
    return np.searchsorted(doublings(LOW, HIGH, PER_DOUBLING), distances, side="right")


def _quantile(counts: NDArray[np.int64], share: float, metric: str) -> float | None:
    """Return the middle of the bin that holds a quantile; None without counts."""
    total = int(counts.sum())
    if not total:
        return None
    low, high = METRICS[metric].range
    k = int(np.searchsorted(np.cumsum(counts), share * total))
    return float(low + (high - low) * (k + 0.5) / len(counts))
