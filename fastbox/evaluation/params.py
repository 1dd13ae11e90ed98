"""The rules of an evaluation: thresholds, ranges of areas, and limits on detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.errors import advice
from fastbox.evaluation.conditions import SIDES, Condition, conditions
from fastbox.evaluation.registry import Protocol, Statistic, protocol, protocols
from fastbox.kernels.codes import PLAIN, QUADS
from fastbox.values.arguments import check_types
from fastbox.values.numbers import as_choice, shown
from fastbox.values.record_text import record_text

__all__ = ["OF_CLASS", "Params", "rules_of"]

MOST_RANGES = 31  # one bit each of 32, all of which are set where a truth is ignored in every range
MOST_THRESHOLDS = 1000
MATCHED_BY = ("iou", "probiou")
DIFFICULT = ("ignore", "count")
OF_CLASS = 10_000  # detections of a class that count by the option `fixed`, in all images together


@dataclass(frozen=True, init=False)
class Params:
    """The rules of an evaluation: those of a benchmark, and the rules that differ from them.

    Parameters
    ----------
    iou_thresholds : sequence of float, optional
        The IoUs from which on a detection matches, above 0 and at most 1; COCO's are 0.50 to 0.95 in steps of 0.05.
    recalls : sequence of float, optional
        The recalls at which precision is read, ascending; COCO's are 0 to 1 in steps of 0.01.
    area_ranges : mapping of str to (float, float), optional
        Names, and least and greatest area in square pixels, both included; the first range is the one of AP and AR. A
        truth outside is ignored, and so is a detection outside that matches nothing.
    max_dets : sequence of int, optional
        The numbers of detections of an image and class that count, those with the highest scores. Statistics use the
        greatest number, except the ARs that have a number in their names.
    class_agnostic : bool
        Match boxes of different classes too; by default boxes are matched per class, if the benchmark has classes.
    rule : str
        The name of the benchmark that has all rules that are left out, and the statistics to report: ``"coco"``,
        ``"voc07"``, and others that the docs list.
    options : mapping of str to bool, int, float or str, optional
        Rules that only this benchmark has, such as ``strict`` of ``"voc07"``; they can be given by their names too.
    metric : {"iou", "probiou"}
        What the thresholds are compared with, ``"probiou"`` for rotated boxes alone. Crowds and ignored regions are
        compared with the share of the detection inside of them in both cases.

    Raises
    ------
    ValueError
        An empty argument, a nan, a threshold or recall above 1, an unordered or negative range, a count below 1, an
        unknown rule, or an option that the rule lacks.

    Examples
    --------
    >>> Params(max_dets=[1, 10, 300]).max_dets
    (1, 10, 300)
    >>> Params(rule="voc07").iou_thresholds
    (0.5,)
    """

    iou_thresholds: tuple[float, ...]
    recalls: tuple[float, ...]
    area_ranges: Mapping[str, tuple[float, float]]
    max_dets: tuple[int, ...]
    class_agnostic: bool
    rule: str
    options: Mapping[str, Any]
    metric: str

    def __repr__(self) -> str:
        return record_text(self)

    def __init__(
        self,
        iou_thresholds: Sequence[float] | None = None,
        recalls: Sequence[float] | None = None,
        area_ranges: Mapping[str, tuple[float, float]] | None = None,
        max_dets: Sequence[int] | None = None,
        class_agnostic: bool = False,
        rule: str = "coco",
        options: Mapping[str, Any] | None = None,
        metric: str = "iou",
        **named: Any,
    ) -> None:
        given: dict[str, Any] = {
            "iou_thresholds": iou_thresholds,
            "recalls": recalls,
            "area_ranges": area_ranges,
            "max_dets": max_dets,
            "class_agnostic": class_agnostic,
            "rule": rule,
            "options": options,
            "metric": metric,
        }
        check_types(Params.__init__, given)
        record = protocol(rule)
        for name, read in READERS.items():
            given[name] = read(getattr(record, name) if given[name] is None else given[name])
        given["class_agnostic"] = class_agnostic or record.class_agnostic
        given["options"] = _options(record, {**(options or {}), **named})
        if given["options"].get("fixed") and max_dets is None:
            given["max_dets"] = (OF_CLASS,)
        conditions(given["options"].get("filter", ""))  # refuses what it can't read
        as_choice(metric, MATCHED_BY, "a metric to match by")
        as_choice(given["options"].get("difficult", "ignore"), DIFFICULT, "a rule for difficult truths")
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def record(self) -> Protocol:
        """The record of the benchmark."""
        return protocol(self.rule)

    @property
    def statistics(self) -> list[Statistic]:
        """The statistics that the benchmark reports by these rules."""
        return self.record.statistics(list(self.area_ranges), self.max_dets)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions that truths have to meet, else they are ignored."""
        return conditions(self.options.get("filter", ""))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The further columns of truths that these rules read."""
        asked = {found.name: None for found in self.conditions if found.name not in SIDES}
        return (*self.record.numbers, *asked)

    @property
    def least(self) -> NDArray[np.float64]:
        """The thresholds that boxes must reach, lowered to the benchmark's greatest."""
        least: NDArray[np.float64] = np.minimum(np.array(self.iou_thresholds), self.record.greatest_threshold)
        return np.nextafter(least, 2) if self.options.get("strict") else least

    @property
    def pixels(self) -> float:
        """The number that is added to the width and height of each box: 1 where corners are the outer pixels."""
        return 1.0 if self.options.get("legacy_pixels") else 0.0

    @property
    def sampled_recalls(self) -> tuple[float, ...] | None:
        """The recalls whose mean precision is the figure of a class in samples of the images; empty where it is the
        area under the curve, and None where figures are not computed from samples.
        """
        record = self.record
        if record.traced is None:
            return self.recalls
        return {"recalls": record.recalls, "area": ()}.get(record.sampled)

    def check_sampled(self) -> None:
        """Refuse rules whose statistics are not computed from samples of the images.

        Raises
        ------
        ValueError
        """
        if self.sampled_recalls is None:
            raise ValueError(
                f"expected no samples with rule {self.rule!r}, whose figures have no intervals: leave samples out"
            )

    @property
    def for_rotated(self) -> Self:
        """The rules as they are for rotated boxes: those of VOC match above the thresholds, as DOTA's code does.

        Rules that count difficult truths match at the thresholds too, as mmrotate does.

        Raises
        ------
        ValueError
            The rules of a benchmark of upright boxes.
        """
        record, given = self.record, vars(self)
        if record.regions or record.group_of or record.federated or record.keeps is not None:
            raise ValueError(
                f"expected plain boxes with rule {self.rule!r}, got rotated ones: "
                + advice("give --rule coco, voc07 or voc12", "give the rule coco, voc07 or voc12, or boxes.hulls()")
            )
        if self.options.get("legacy_pixels"):
            raise ValueError("expected no legacy_pixels with rotated boxes, whose corners are no pixels: leave it out")
        if "strict" not in self.options or self.options["difficult"] == "count":
            return self
        return type(self)(**{name: given[name] for name in FIELDS}, options={**self.options, "strict": True})

    def of_geometry(self, geometry: str) -> Self:
        """Return the rules as they are for boxes of a geometry.

        Raises
        ------
        ValueError
            Rules or a metric that boxes of this geometry can't be matched by.
        """
        if geometry == PLAIN and self.metric != "iou":
            raise ValueError(
                f"expected rotated boxes for metric {self.metric!r}, got plain ones: "
                + advice("leave --metric out", "give RotatedBoxes")
            )
        if geometry == QUADS and self.metric != "iou":
            raise ValueError(
                f"expected rectangles for metric {self.metric!r}, got quadrilaterals: "
                + advice("make both with fastbox convert --rectangles", "give boxes.rectangles()")
            )
        return self if geometry == PLAIN else self.for_rotated

    def outside(self, areas: NDArray[np.float64]) -> NDArray[np.uint32]:
        """Return a bit for each range that an area is not in; nan is in every range."""
        bits = np.zeros(len(areas), np.uint32)
        for place, (low, high) in enumerate(self.area_ranges.values()):
            bits |= ((areas < low) | (areas > high)).astype(np.uint32) << np.uint32(place)
        return bits


FIELDS = ("iou_thresholds", "recalls", "area_ranges", "max_dets", "class_agnostic", "rule", "metric")


def rules_of(params: Params | None, rule: str, metric: str = "iou") -> Params:
    """Return the rules, given some or the name of a benchmark, ``"coco"`` if none was chosen.

    Raises
    ------
    TypeError
        Rules of another type.
    ValueError
        Rules of another benchmark, or with another metric.
    """
    if params is None:
        return Params(rule=rule, metric=metric)
    if not isinstance(params, Params):
        raise TypeError(f"expected params to be a fastbox.Params, got {shown(params)}")
    if rule not in ("coco", params.rule):
        raise ValueError(f"expected params or a rule, got params of {params.rule!r} and rule {rule!r}: leave one out")
    if metric not in ("iou", params.metric):
        raise ValueError(f"expected params or a metric, got params by {params.metric!r} and {metric!r}: leave one out")
    return params


def _options(record: Protocol, given: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in record.options:
            owners = " or ".join(repr(other) for other, its in protocols().items() if name in its.options)
            got = advice(f"--{name.replace('_', '-')}", f"{name}={value!r}")
            fix = f"it is one of rule {owners}" if owners else f"it has {', '.join(record.options) or 'none'}"
            raise ValueError(f"expected an option of rule {record.name!r}, got {got}: {fix}")
        kind = type(record.options[name])
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise TypeError(f"expected {name} as {kind.__name__}, got {shown(value)}")
    return {**record.options, **given}


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
        raise ValueError(f"expected max_dets to be whole numbers of at least 1, got {counts}")
    return tuple(sorted({int(count) for count in counts}))


def _ranges(given: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    areas = {str(name): (float(low), float(high)) for name, (low, high) in given.items()}
    if not 1 <= len(areas) <= MOST_RANGES:
        raise ValueError(f"expected 1 to {MOST_RANGES} ranges of areas, got {len(areas)}")
    for name, (low, high) in areas.items():
        if not 0 <= low <= high:
            raise ValueError(
                f"expected a range of areas from low to high for {name!r}, 0 or more, got {low:g} to {high:g}"
            )
    return areas


READERS: Mapping[str, Callable[[Any], Any]] = {
    "area_ranges": _ranges,
    "iou_thresholds": _thresholds,
    "recalls": _recalls,
    "max_dets": _counts,
}
