"""KITTI's protocol for boxes in images: AP at 40 and at 11 recalls, by difficulty (Geiger et al., CVPR 2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.curves import NOTHING, Floats, Traced
from fastbox.evaluation.matching import Found, Wanted
from fastbox.evaluation.params import Params
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.registry import NO_LIMIT, Default, Keeps, Protocol, Statistic
from fastbox.values.coco import UNBOUNDED

__all__ = ["PROTOCOLS"]

STEPS = 41  # recalls: 0 to 1
LOWEST = np.finfo(np.float64).min  # a level of scores that all detections reach
COUNTED, ASIDE, OUT = 0, 1, -1  # roles of boxes: they count, are ignored, or belong to another class
TYPES = ("car", "van", "truck", "pedestrian", "person_sitting", "cyclist", "tram", "misc", "dontcare")
OVERLAPS = {"car": 0.7, "pedestrian": 0.5, "cyclist": 0.5}
NEIGHBOURS = {"car": "van", "pedestrian": "person_sitting"}
COUNTS = ("true", "false", "on_ignored", "on_regions", "missed")
SIDES = ("x", "y", "w", "h")


class Difficulty(NamedTuple):
    """The least height of boxes in pixels, and the greatest occlusion and truncation of truths."""

    height: float
    occluded: float
    truncated: float


DIFFICULTIES = {
    "easy": Difficulty(40, 0, 0.15),
    "moderate": Difficulty(25, 1, 0.30),
    "hard": Difficulty(25, 2, 0.50),
}


class Measured(NamedTuple):
    """Precision at 41 recalls, and counts of truths and of all detections of a class."""

    precision: Floats
    counts: dict[str, int]

    @property
    def ap40(self) -> float:
        """The mean of precision at 40 recalls, all but 0."""
        return float(np.cumsum(self.precision[1:])[-1]) / 40

    @property
    def ap11(self) -> float:
        """The mean of precision at 11 recalls."""
        return float(np.cumsum(self.precision[::4])[-1]) / 11


class Side(NamedTuple):
    """The boxes of detections or of truths, image by image, with their types and further columns."""

    boxes: tuple[Floats, ...]
    types: NDArray[Any]
    bounds: NDArray[np.int64]
    columns: dict[str, Floats]

    @classmethod
    def of(cls, facts: Mapping[str, NDArray[Any]], truths: bool, types: NDArray[Any]) -> Side:
        """Take one side of the facts."""
        rows = np.flatnonzero(facts["shared"] == truths)
        images = facts["image"][rows]
        bounds = np.searchsorted(images, np.append(np.unique(facts["image"]), np.iinfo(np.int32).max))
        columns = {name: facts[name][rows] for name in ("score", "occluded", "truncated")}
        boxes = tuple(facts[name][rows] for name in SIDES)
        return cls(boxes, types[facts["kind"][rows]], bounds.astype(np.int64), columns)


def keep(found: Found, wanted: Wanted, params: Params) -> dict[str, NDArray[Any]]:
    """Return a row for each box of detections and truths; those of truths are shared by all models."""
    n, m = len(found.scores), len(wanted.kinds)
    images = np.arange(len(found.bounds) - 1)
    none = np.full(n, np.nan)
    sides = zip(SIDES, found.boxes, wanted.boxes, strict=True)
    return {
        "image": np.concatenate([np.repeat(images, np.diff(side.bounds)) for side in (found, wanted)]),
        "model": np.concatenate((found.codes >> 32, np.zeros(m, np.int64))),
        "kind": np.concatenate((found.codes & 0xFFFFFFFF, wanted.kinds)),
        "shared": np.arange(n + m) >= n,
        "score": np.concatenate((found.scores, np.full(m, np.nan))),
        **{name: np.concatenate((none, wanted.numbers[name])) for name in ("occluded", "truncated")},
        **{name: np.concatenate((own, its)) for name, own, its in sides},
    }


def levels_of(scores: Floats, truths: int) -> Floats:
    """Choose at most 41 of the scores of matches, those nearest to recalls 0, 1/40, 2/40, …

    >>> levels_of(np.array([0.2, 0.9, 0.6]), 4)
    array([0.9, 0.6, 0.2])
    """
    ordered = np.sort(scores)[::-1].tolist()
    recall, chosen = 0.0, []
    for place, score in enumerate(ordered):
        last = place == len(ordered) - 1
        here, after = (place + 1) / truths, (place + 2) / truths
        if not last and after - recall < recall - here:
            continue
        chosen.append(score)
        recall += 1.0 / (STEPS - 1.0)
    return np.array(chosen[:STEPS])


class Kitti(Traced):
    """The statistics of cars, pedestrians and cyclists."""

    @cached_property
    def measured(self) -> dict[tuple[int, str], Measured]:
        """The figures of each evaluated class, by its place, and each difficulty."""
        types = np.array([_type(label) for label in self.facts["names"].tolist()], object)
        places = {kind: np.flatnonzero(types == kind) for kind in OVERLAPS}
        if len(types) and not any(len(found) for found in places.values()):
            raise ValueError(
                f"expected classes Car, Pedestrian or Cyclist with rule 'kitti', got {', '.join(map(str, types[:5]))}: "
                "name the classes so"
            )
        found, wanted = (Side.of(self.facts, truths, types) for truths in (False, True))
        return {
            (int(place[0]), name): measure(found, wanted, kind, limits)
            for kind, place in places.items()
            if len(place)
            for name, limits in DIFFICULTIES.items()
        }

    def stats(self) -> dict[str, float]:
        """Return the means over the classes with truths, -1 without truths."""
        found = {}
        for name, values in self.stats_by_class().items():
            known = values[values != NOTHING]
            found[name] = float(np.mean(known)) if len(known) else NOTHING
        return found

    def stats_by_class(self) -> dict[str, Floats]:
        """Return the same statistics for each class separately, arrays of shape (classes,)."""
        found = {statistic.name: np.full(len(self.truths), NOTHING) for statistic in self.params.statistics}
        for (place, difficulty), own in self.measured.items():
            if own.counts["truths"]:
                found[f"AP40_{difficulty}"][place] = own.ap40
                found[f"AP11_{difficulty}"][place] = own.ap11
        return found

    def ap_by_iou(self) -> dict[str, Floats]:
        """Return nothing: each class has one threshold."""
        return {}

    def further(self) -> dict[str, Any]:
        """Return the counts and the 41 precisions of each class and difficulty."""
        names = self.facts["names"].tolist()
        rows = [
            {
                "class": str(names[place]),
                "difficulty": difficulty,
                "AP40": own.ap40 if own.counts["truths"] else NOTHING,
                "AP11": own.ap11 if own.counts["truths"] else NOTHING,
                **own.counts,
                "precision": own.precision.tolist(),
            }
            for (place, difficulty), own in self.measured.items()
        ]
        return {"difficulties": rows}


def measure(found: Side, wanted: Side, kind: str, limits: Difficulty) -> Measured:
    """Match the detections of a class with its truths, and count those above the score of each recall."""
    columns, high = wanted.columns, wanted.boxes[3]
    mine, near = wanted.types == kind, wanted.types == NEIGHBOURS.get(kind, "")
    hidden = (columns["occluded"] > limits.occluded) | (columns["truncated"] > limits.truncated)
    hidden |= high < limits.height
    roles = np.where(mine & ~hidden, COUNTED, np.where(mine | near, ASIDE, OUT)).astype(np.int8)
    small = np.trunc(np.abs(found.boxes[3])) < limits.height  # of any class, as in the devkit
    own = np.where(small, ASIDE, np.where(found.types == kind, COUNTED, OUT)).astype(np.int8)
    truths = int(np.count_nonzero(roles == COUNTED))
    kernels, f8, overlap = parallel.kernels("evaluate.kitti"), np.dtype(np.float64), OVERLAPS[kind]
    detections, bounds = (found.boxes, found.columns["score"], own), (found.bounds, wanted.bounds)
    targets = wanted.boxes, roles, wanted.types == "dontcare"
    scores = np.empty(len(roles))
    kernels.MATCH_SCORES[f8, ""](detections, bounds, targets, overlap, scores)
    levels = levels_of(scores[~np.isnan(scores)], truths)
    counts = np.zeros((len(levels) + 1, len(COUNTS)), np.int64)
    kernels.MATCH_COUNTS[f8, ""](detections, bounds, targets, (overlap, np.append(levels, LOWEST)), counts)
    precision = np.zeros(STEPS)
    true, false = counts[:-1, 0], counts[:-1, 1]
    precision[: len(levels)] = true / np.maximum(true + false, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    counted = (found.types == kind) & small & (found.columns["score"] >= LOWEST)
    every = {"truths": truths, "ignored_truths": int(np.count_nonzero(roles == ASIDE))}
    every |= dict(zip(COUNTS, counts[-1].tolist(), strict=True))
    return Measured(precision, every | {"small": int(np.count_nonzero(counted))})


def _type(label: Any) -> str:
    """Return the type of a class in lower case: its name, or the devkit's type of a number without a name."""
    number = isinstance(label, int | np.integer) and 0 <= label < len(TYPES)
    return TYPES[label] if number else str(label).lower()


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return AP at 40 and at 11 recalls by difficulty, first the one by which the benchmark ranks.

    >>> [found.name for found in statistics(["all"], [100])][:3]
    ['AP40_moderate', 'AP40_easy', 'AP40_hard']
    """
    return [Statistic(f"{kind}_{name}") for kind in ("AP40", "AP11") for name in ("moderate", "easy", "hard")]


KITTI = Protocol(
    name="kitti",
    iou_thresholds=(0.5,),  # of curves; each class has its own for AP
    recalls=COCO.recalls,
    area_ranges={"all": (0.0, UNBOUNDED)},
    max_dets=(NO_LIMIT,),
    greatest_threshold=1.0,
    crowd=None,
    ignore=Default("ignore"),
    area=None,
    statistics=statistics,
    says="the detection of the best IoU for each truth, at 41 scores",
    options={"strict": True},
    traced=Kitti,
    numbers=("occluded", "truncated"),
    keeps=Keeps(
        {
            **dict.fromkeys(("image", "model", "kind"), np.int32),
            "shared": np.bool_,
            **dict.fromkeys(("score", "occluded", "truncated", *SIDES), np.float64),
        },
        keep,
    ),
)

PROTOCOLS = (KITTI,)
