"""The figures of torchmetrics' mean average precision, from arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.boxes.container import Boxes
from fastbox.compat.torchmetrics.overlaps import ious
from fastbox.evaluation.core import Evaluation
from fastbox.evaluation.given import coded
from fastbox.evaluation.params import Params

__all__ = ["BACKENDS", "Found", "Rules", "Wanted", "figures"]

BACKENDS = ("pycocotools", "faster_coco_eval")
OF_PYCOCOTOOLS = 100  # the limit on detections whose AP pycocotools reports as `map`, whatever the limits are
AT_ONCE = 262_144  # boxes that are matched at once
NOTHING = -1.0
SIZES = ("small", "medium", "large")

Floats = NDArray[np.float64]


class Found(NamedTuple):
    """Detections image by image: x, y, w and h, labels, the first row of each image and the end, and scores."""

    boxes: Floats
    labels: NDArray[Any]
    offsets: NDArray[np.int64]
    scores: Floats


class Wanted(NamedTuple):
    """Truths image by image, as :class:`Found`; flags of crowds, and areas, of which 0 or less stands for w times h."""

    boxes: Floats
    labels: NDArray[Any]
    offsets: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: Floats


@dataclass(frozen=True)
class Rules:
    """Thresholds, recalls and limits as the metric has them, and the figures that it returns."""

    iou_thresholds: list[float]
    recalls: list[float]
    limits: list[int]
    micro: bool
    class_metrics: bool
    extended: bool
    backend: str

    def __post_init__(self) -> None:
        self.params  # noqa: B018 - refuses rules out of bounds

    @property
    def params(self) -> Params:
        """The rules for an evaluation, each threshold once and ascending."""
        return Params(np.unique(self.iou_thresholds).tolist(), self.recalls, max_dets=self.limits)

    @property
    def limit_of_map(self) -> int | None:
        """The limit on detections within which AP is computed; None if it is not computed."""
        if self.backend == "pycocotools":
            return OF_PYCOCOTOOLS if OF_PYCOCOTOOLS in self.limits else None
        return self.limits[-1]


def figures(found: Found, wanted: Wanted, rules: Rules) -> dict[str, Any]:
    """Return the entries of torchmetrics in its order: arrays, and a dict of ``ious`` by image and class."""
    classes = np.unique(np.concatenate((found.labels, wanted.labels)))
    named = {"classes": classes.astype(np.int32)}
    if len(found.offsets) < 2:
        return {**_stats({}, NOTHING, rules), **named}
    made = _evaluated(found, wanted, rules, per_class=not rules.micro)
    figures = _stats(made.stats(), _map(made, rules), rules)
    if rules.extended:
        figures["ious"] = ious(found, wanted, None if rules.micro else classes, rules.limits[-1])
        figures |= _extended(made, rules)
    last = f"mar_{rules.limits[-1]}_per_class"
    if rules.class_metrics:
        apart = _evaluated(found, wanted, rules, per_class=True) if rules.micro else made
        figures["map_per_class"] = _maps(apart, rules).astype(np.float32)
        figures[last] = apart.stats_by_class()[f"AR{rules.limits[-1]}"].astype(np.float32)
    else:
        figures["map_per_class"] = figures[last] = np.array([NOTHING], np.float32)
    return {**figures, **named}


def _evaluated(found: Found, wanted: Wanted, rules: Rules, *, per_class: bool) -> Evaluation:
    made = Evaluation(rules.params)
    labels = {"classes": found.labels, "truth_classes": wanted.labels} if per_class else {}
    given: dict[str, Any] = dict.fromkeys(("classes", "truth_classes", "models", "ignore", "numbers")) | labels
    given |= {"crowd": wanted.crowd, "areas": np.where(wanted.areas > 0, wanted.areas, np.nan)}
    own, its = (Boxes.of(tuple(side.boxes.T), "xywh", side.offsets) for side in (found, wanted))
    made.add_sets(*coded(made.collected, own, found.scores, its, given), AT_ONCE)
    return made


def _stats(stats: dict[str, float], ap: float, rules: Rules) -> dict[str, Any]:
    """Return COCO's twelve by the names of torchmetrics."""
    names = {"map_50": "AP50", "map_75": "AP75"}
    names |= {f"map_{size}": f"AP_{size}" for size in SIZES}
    names |= {f"mar_{limit}": f"AR{limit}" for limit in rules.limits}
    names |= {f"mar_{size}": f"AR_{size}" for size in SIZES}
    values = {"map": ap} | {name: stats.get(own, NOTHING) for name, own in names.items()}
    return {name: np.array([value], np.float32) for name, value in values.items()}


def _map(made: Evaluation, rules: Rules) -> float:
    limit = rules.limit_of_map
    if limit is None:
        return NOTHING
    if limit == rules.limits[-1]:
        return made.stats()["AP"]
    return _mean(_within(made, rules, limit))


def _maps(made: Evaluation, rules: Rules) -> Floats:
    """Return the AP of each class."""
    limit = rules.limit_of_map
    if limit is None:
        return np.full(len(made.classes), NOTHING)
    if limit == rules.limits[-1]:
        return made.stats_by_class()["AP"]
    precision = _within(made, rules, limit)
    return np.array([_mean(precision[..., place]) for place in range(precision.shape[-1])])


def _within(made: Evaluation, rules: Rules, limit: int) -> Floats:
    """Return precision (thresholds, recalls, classes) of boxes of any size, within a limit on detections."""
    precision: Floats = made.coco_arrays().precision[..., 0, made.params.max_dets.index(limit)]
    return precision


def _mean(values: Floats) -> float:
    there = values[values > NOTHING]
    return float(np.mean(there)) if len(there) else NOTHING


def _extended(made: Evaluation, rules: Rules) -> dict[str, Floats]:
    """Return the arrays of ``COCOeval.eval`` with an entry for each threshold and limit as they were given."""
    arrays, params = made.coco_arrays(), made.params
    t, m = np.searchsorted(params.iou_thresholds, rules.iou_thresholds), np.searchsorted(params.max_dets, rules.limits)
    return {name: getattr(arrays, name)[t][..., m] for name in ("precision", "recall", "scores")}
