"""LVIS' protocol: COCO's figures with federated annotations, and AP of rare, common and frequent classes (Gupta et al.,
CVPR 2019); the option ``fixed`` limits detections by class instead of by image (Dave et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import NOTHING, Floats, Ranked, Traced
from fastbox.evaluation.params import OF_CLASS, Params
from fastbox.evaluation.protocols.coco import ALONE, COCO
from fastbox.evaluation.registry import Statistic

__all__ = ["PROTOCOLS"]

GROUPS = {"APr": 0, "APc": 1, "APf": 2}


class Lvis(Traced):
    """The statistics of one model."""

    def __init__(
        self,
        detections: Ranked,
        truths: NDArray[np.int64],
        params: Params,
        images: int = 0,
        facts: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        super().__init__(_first_of_class(detections) if params.options["fixed"] else detections, truths, params, images)
        frequencies = (facts or {}).get("frequency", ())
        self._frequencies = np.asarray(frequencies if len(frequencies) else np.full(len(truths), -1))

    def stats(self) -> dict[str, float]:
        """Return the statistics, -1 without truths."""
        found = super().stats()
        own = self._frequencies[np.flatnonzero(self.truths[:, 0])]
        chosen = {name: own == place for name, place in GROUPS.items() if name in found and (own == place).any()}
        parts: dict[str, list[Floats]] = {name: [] for name in chosen}
        for part in self._slices(0) if chosen else ():
            for name, classes in chosen.items():
                parts[name].append(part.precision[..., classes].reshape(-1))
        alone = {name: float(np.concatenate(values).mean()) for name, values in parts.items()}
        return found | {name: alone.get(name, NOTHING) for name in GROUPS if name in found}


def _first_of_class(detections: Ranked) -> Ranked:
    """Return the detections of each class with the highest scores."""
    places = np.arange(len(detections.scores)) - np.repeat(detections.bounds[:-1], np.diff(detections.bounds))
    kept = places < OF_CLASS
    bounds = np.concatenate(([0], np.cumsum(kept)))[detections.bounds]
    return Ranked(detections.words[kept], detections.scores[kept], detections.ranks[kept], bounds)


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return AP, AP50, AP75, AP by range of areas and by frequency, AR, and AR by range of areas.

    >>> [found.name for found in statistics(["all", "small"], [300])]
    ['AP', 'AP50', 'AP75', 'AP_small', 'APr', 'APc', 'APf', 'AR300', 'AR_small']
    """
    others = list(enumerate(areas))[1:]
    return [
        Statistic("AP"),
        *(Statistic(f"AP{threshold * 100:.0f}", threshold=threshold) for threshold in ALONE),
        *(Statistic(f"AP_{name}", area=place) for place, name in others),
        *(Statistic(name) for name in GROUPS),
        *(Statistic(f"AR{limit}", recall=True, limit=place) for place, limit in enumerate(limits)),
        *(Statistic(f"AR_{name}", recall=True, area=place) for place, name in others),
    ]


LVIS = replace(
    COCO,
    name="lvis",
    max_dets=(300,),
    crowd=None,
    statistics=statistics,
    options={"fixed": False},
    says="as coco; 300 detections of an image, unknown classes left out",
    traced=Lvis,
    federated=True,
)

PROTOCOLS = (LVIS,)
