"""By which rules detections are evaluated: thresholds, ranges of areas, and how many detections count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["AREA_RANGES", "Params"]

AREA_RANGES = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
NEARLY_ONE = 1 - 1e-10  # COCO's cap on a threshold: an IoU of 1 but for its last bits still reaches 1
MOST_RANGES = 31  # one bit each of 32, all of which are set where a truth is ignored in every range


@dataclass(frozen=True)
class Params:
    """The rules of an evaluation; COCO's where nothing else is said.

    Attributes
    ----------
    iou_thresholds : sequence of float
        What an IoU must reach for a match; .5 to .95 in steps of .05.
    recalls : sequence of float
        Where precision is read off, ascending; 0 to 1 in steps of .01.
    area_ranges : mapping of str to (float, float)
        Names and least and greatest area in square pixels, both included; the first is that of AP and AR. A truth
        outside is ignored, and so is a detection outside that matches nothing.
    max_dets : sequence of int
        How many detections of an image and class count, the best by score; the greatest for all but the ARs named by
        their own. More cost nothing.
    by_class : bool
        Whether only boxes of one class match.

    Raises
    ------
    ValueError
        None of one of them, a nan, an unordered range, a count below 1.

    Examples
    --------
    >>> Params(max_dets=[1, 10, 300]).max_dets
    (1, 10, 300)
    """

    iou_thresholds: Sequence[float] = field(default_factory=lambda: tuple(np.linspace(0.5, 0.95, 10).tolist()))
    recalls: Sequence[float] = field(default_factory=lambda: tuple(np.linspace(0, 1, 101).tolist()))
    area_ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(AREA_RANGES))
    max_dets: Sequence[int] = (1, 10, 100)
    by_class: bool = True

    def __post_init__(self) -> None:
        thresholds = tuple(float(threshold) for threshold in self.iou_thresholds)
        recalls = tuple(float(recall) for recall in self.recalls)
        most = tuple(sorted(int(count) for count in self.max_dets))
        if not thresholds or np.isnan(thresholds).any():
            raise ValueError(f"expected thresholds of IoU that are numbers, got {list(self.iou_thresholds)}")
        if not recalls or np.isnan(recalls).any() or (np.diff(recalls) < 0).any():
            raise ValueError(f"expected recalls that ascend, got {list(self.recalls)}")
        if not most or most[0] < 1:
            raise ValueError(f"expected max_dets of 1 and more, got {list(self.max_dets)}")
        if not 1 <= len(self.area_ranges) <= MOST_RANGES:
            raise ValueError(f"expected 1 to {MOST_RANGES} ranges of areas, got {len(self.area_ranges)}")
        for name, (low, high) in self.area_ranges.items():
            if not low <= high:
                raise ValueError(f"expected a range of areas from low to high for {name!r}, got {low} to {high}")
        areas = {name: (float(low), float(high)) for name, (low, high) in self.area_ranges.items()}
        for name, value in zip(
            ("iou_thresholds", "recalls", "max_dets", "area_ranges"), (thresholds, recalls, most, areas), strict=True
        ):
            object.__setattr__(self, name, value)

    @property
    def least(self) -> NDArray[np.float64]:
        """The thresholds as boxes must reach them."""
        least: NDArray[np.float64] = np.minimum(np.array(self.iou_thresholds), NEARLY_ONE)
        return least

    def outside(self, areas: NDArray[np.float64]) -> NDArray[np.uint32]:
        """A bit for each range that an area is not in; nan is in all, as where it is compared."""
        bits = np.zeros(len(areas), np.uint32)
        for place, (low, high) in enumerate(self.area_ranges.values()):
            bits |= ((areas < low) | (areas > high)).astype(np.uint32) << np.uint32(place)
        return bits
