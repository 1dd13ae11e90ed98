"""CrowdHuman's protocol: AP, the log-average miss rate and the Jaccard index (Shao et al. 2018, Chu et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbox.evaluation.curves import NOTHING, Floats, Traced
from fastbox.evaluation.jaccard import LEVELS, count_matches, jaccard
from fastbox.evaluation.marks import Marks, marks, outcomes
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.registry import NO_LIMIT, Default, Keeps, Protocol, Statistic
from fastbox.values.coco import UNBOUNDED

__all__ = ["PROTOCOLS"]

# False positives per image at which the miss rate is read, rounded as in the data set's own code.
REFERENCES = np.array([0.0100, 0.0178, 0.03160, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.000])


class Curve:
    """The curves of detections that are not ignored, by descending score."""

    def __init__(self, found: Marks, truths: int, images: int) -> None:
        true, self.false = np.cumsum(found.true, dtype=np.float64), np.cumsum(~found.true, dtype=np.float64)
        self.recall, self.precision = true / float(truths), true / (true + self.false)
        self.images = images

    def area(self) -> float:
        """Return the area under the straight lines between points of recall and precision, summed in order."""
        height = (self.precision[:-1] + self.precision[1:]) / 2
        summed = np.cumsum((self.recall[1:] - self.recall[:-1]) * height)
        return float(summed[-1]) if len(summed) else 0.0

    def misses(self) -> Floats:
        """Return the miss rate at each of ``REFERENCES``: at the first point that reaches it, or the last point."""
        if not len(self.recall):
            return np.ones(len(REFERENCES))
        places = np.searchsorted(self.false / self.images, REFERENCES)
        missed: Floats = 1.0 - self.recall[np.minimum(places, len(self.recall) - 1)]
        return missed

    def log_average(self) -> float:
        """Return the mean of the miss rates' logarithms as a miss rate."""
        with np.errstate(divide="ignore"):  # a miss rate of 0 makes the mean 0
            return float(np.exp(np.log(self.misses()).mean()))


class CrowdHuman(Traced):
    """The statistics of the only class."""

    def stats(self) -> dict[str, float]:
        """Return the statistics, -1 without truths."""
        found = {}
        for statistic in self.params.statistics:
            kind = statistic.name.split("_")[0]
            if not self.truths[0, statistic.area]:
                found[statistic.name] = NOTHING
            elif kind == "JI":
                index = jaccard(self.facts)
                score = statistic.name.endswith("score")
                found[statistic.name] = float((LEVELS if score else index.means)[index.best])
            else:
                curves = [self._curve(statistic.area, t) for t in range(len(self.params.iou_thresholds))]
                values = [curve.area() if kind == "AP" else curve.log_average() for curve in curves]
                found[statistic.name] = float(np.mean(values))
        return found

    def stats_by_class(self) -> dict[str, Floats]:
        """Return the same statistics as arrays of shape (1,)."""
        return {name: np.array([value]) for name, value in self.stats().items()}

    def ap_by_iou(self) -> dict[str, Floats]:
        """Return AP at each threshold by range of areas, -1 without truths."""
        places = range(len(self.params.iou_thresholds))
        return {
            name: np.array([self._curve(area, t).area() if self.truths[0, area] else NOTHING for t in places])
            for area, name in enumerate(self.params.area_ranges)
        }

    def further(self) -> dict[str, Any]:
        """Return the outcomes of detections, the miss rate by false positives, and the Jaccard index by score."""
        found: dict[str, Any] = {"outcomes": outcomes(self.detections, 0)}
        if not self.truths[0, 0]:
            return found
        misses, index = self._curve(0, 0).misses().tolist(), jaccard(self.facts)
        found["miss_rates"] = [
            {"false_per_image": false, "miss_rate": missed}
            for false, missed in zip(REFERENCES.tolist(), misses, strict=True)
        ]
        columns = zip(LEVELS.tolist(), *(values.tolist() for values in index), strict=True)
        names = ("score", "JI", "images", "matches", "truths", "detections")
        return found | {"jaccard": [dict(zip(names, row, strict=True)) for row in columns]}

    def _curve(self, area: int, threshold: int) -> Curve:
        (found,) = marks(self.detections, area, threshold)
        return Curve(found, int(self.truths[0, area]), self.params.options["images"] or self.images)


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return AP, JI, the score with this JI, and MR⁻²; then AP and MR⁻² by range of areas.

    >>> [found.name for found in statistics(["all", "small"], [100])]
    ['AP', 'JI', 'JI_score', 'MR-2', 'AP_small', 'MR-2_small']
    """
    others = list(enumerate(areas))[1:]
    return [
        *(Statistic(name) for name in ("AP", "JI", "JI_score", "MR-2")),
        *(Statistic(f"{kind}_{name}", area=place) for place, name in others for kind in ("AP", "MR-2")),
    ]


CROWDHUMAN = Protocol(
    name="crowdhuman",
    iou_thresholds=(0.5,),
    recalls=COCO.recalls,
    area_ranges={"all": (0.0, UNBOUNDED)},
    max_dets=(NO_LIMIT,),
    greatest_threshold=1.0,
    crowd=Default("iscrowd"),
    ignore=Default("ignore"),
    area=None,
    statistics=statistics,
    takes="first",
    options={"strict": True, "images": 0, "filter": ""},
    says="best free truth, area between points of recall and precision",
    traced=CrowdHuman,
    class_agnostic=True,
    regions=True,
    keeps=Keeps(
        {
            "image": np.int32,
            "model": np.int32,
            "shared": np.bool_,
            "counts": np.dtype((np.int32, (len(LEVELS), 3))),
        },
        count_matches,
    ),
)

PROTOCOLS = (CROWDHUMAN,)
