"""The rules of an evaluation: thresholds, ranges of areas, and limits on detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.protocols.protocol import Protocol
from fastbox.values.arguments import check_types

__all__ = ["Params"]

MOST_RANGES = 31  # one bit each of 32, all of which are set where a truth is ignored in every range
MOST_THRESHOLDS = 1000


@dataclass(frozen=True)
class Params:
    """The rules of an evaluation; those of COCO by default.

    Attributes
    ----------
    iou_thresholds : sequence of float
        What an IoU must reach for a match, above 0 and at most 1; .5 to .95 in steps of .05.
    recalls : sequence of float
        Where precision is read off, ascending; 0 to 1 in steps of .01.
    area_ranges : mapping of str to (float, float)
        Names and least and greatest area in square pixels, both included; the first is that of AP and AR. A truth
        outside is ignored, and so is a detection outside that matches nothing.
    max_dets : sequence of int
        How many detections of an image and class count, the best by score; the greatest for all but the ARs named by
        their own. More cost nothing.
    class_agnostic : bool
        Match boxes of different classes too; by default boxes are matched per class.

    Raises
    ------
    ValueError
        None of one of them, a nan, a threshold or recall above 1, an unordered or negative range, a count below 1.

    Examples
    --------
    >>> Params(max_dets=[1, 10, 300]).max_dets
    (1, 10, 300)
    """

    protocol: ClassVar[Protocol] = COCO

    iou_thresholds: Sequence[float] = field(default_factory=lambda: COCO.iou_thresholds)
    recalls: Sequence[float] = field(default_factory=lambda: COCO.recalls)
    area_ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(COCO.area_ranges))
    max_dets: Sequence[int] = COCO.max_dets
    class_agnostic: bool = False

    def __post_init__(self) -> None:
        check_types(type(self), vars(self))
        areas = {str(name): (float(low), float(high)) for name, (low, high) in self.area_ranges.items()}
        if not 1 <= len(areas) <= MOST_RANGES:
            raise ValueError(f"expected 1 to {MOST_RANGES} ranges of areas, got {len(areas)}")
        for name, (low, high) in areas.items():
            if not 0 <= low <= high:
                raise ValueError(
                    f"expected a range of areas from low to high for {name!r}, 0 or more, got {low:g} to {high:g}"
                )
        for name, value in (
            ("iou_thresholds", _thresholds(self.iou_thresholds)),
            ("recalls", _recalls(self.recalls)),
            ("max_dets", _counts(self.max_dets)),
            ("area_ranges", areas),
        ):
            object.__setattr__(self, name, value)

    @property
    def least(self) -> NDArray[np.float64]:
        """The thresholds as boxes must reach them, none above the protocol's greatest."""
        least: NDArray[np.float64] = np.minimum(np.array(self.iou_thresholds), self.protocol.greatest_threshold)
        return least

    def outside(self, areas: NDArray[np.float64]) -> NDArray[np.uint32]:
        """Return a bit for each range that an area is not in; nan is in every range."""
        bits = np.zeros(len(areas), np.uint32)
        for place, (low, high) in enumerate(self.area_ranges.values()):
            bits |= ((areas < low) | (areas > high)).astype(np.uint32) << np.uint32(place)
        return bits


def _thresholds(given: Sequence[float]) -> tuple[float, ...]:
    thresholds = tuple(float(threshold) for threshold in given)
    said = ",".join(f"{threshold:g}" for threshold in thresholds)
    if not thresholds or np.isnan(thresholds).any():
        raise ValueError(f"expected thresholds of IoU that are numbers, got {list(given)}: give some, as 0.5,0.75")
    if min(thresholds) <= 0 or max(thresholds) > 1:
        fix = "give shares of 1, as 0.5,0.75"
        if min(thresholds) > 1 and max(thresholds) <= 100:
            fix = f"as shares of 1 they are {','.join(f'{threshold / 100:.4g}' for threshold in thresholds)}"
        raise ValueError(f"expected thresholds of IoU above 0 and at most 1, got {said}: {fix}")
    if len(set(thresholds)) < len(thresholds) or len(thresholds) > MOST_THRESHOLDS:
        raise ValueError(f"expected each threshold of IoU once, at most {MOST_THRESHOLDS}, got {said[:80]}")
    return thresholds


def _recalls(given: Sequence[float]) -> tuple[float, ...]:
    recalls = tuple(float(recall) for recall in given)
    if not recalls or not (0 <= min(recalls) <= max(recalls) <= 1) or (np.diff(recalls) < 0).any():
        raise ValueError(f"expected recalls that ascend, from 0 to 1, got {list(given)}")
    return recalls


def _counts(given: Sequence[int]) -> tuple[int, ...]:
    counts = list(given)
    if not counts or not all(float(count).is_integer() and 1 <= count < 2**31 for count in counts):
        raise ValueError(f"expected max_dets of 1 and more, whole numbers, got {counts}")
    return tuple(sorted({int(count) for count in counts}))
