"""COCO's protocol: the parameters and the twelve statistics of ``COCOeval`` (Lin et al., ECCV 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fastbox.evaluation.registry import Default, Protocol, Statistic
from fastbox.values.coco import AREA_BOUNDS, SIZES, UNBOUNDED

__all__ = ["AREA_RANGES", "COCO", "PROTOCOLS"]

AREA_RANGES = {
    "all": (0.0, UNBOUNDED),
    **dict(zip(SIZES, pairwise((0.0, *AREA_BOUNDS, UNBOUNDED)), strict=True)),
}
ALONE = (0.5, 0.75)  # thresholds with a statistic of their own


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return AP, AP50, AP75, AP by range of areas, AR by limit, and AR by range of areas.

    >>> [found.name for found in statistics(["all", "small"], [1, 100])]
    ['AP', 'AP50', 'AP75', 'AP_small', 'AR1', 'AR100', 'AR_small']
    """
    others = list(enumerate(areas))[1:]
    return [
        Statistic("AP"),
        *(Statistic(f"AP{threshold * 100:.0f}", threshold=threshold) for threshold in ALONE),
        *(Statistic(f"AP_{name}", area=place) for place, name in others),
        *(Statistic(f"AR{limit}", recall=True, limit=place) for place, limit in enumerate(limits)),
        *(Statistic(f"AR_{name}", recall=True, area=place) for place, name in others),
    ]


COCO = Protocol(
    name="coco",
    iou_thresholds=tuple(np.linspace(0.5, 0.95, 10).tolist()),
    recalls=tuple(np.linspace(0, 1, 101).tolist()),
    area_ranges=AREA_RANGES,
    max_dets=(1, 10, 100),
    greatest_threshold=1 - 1e-10,  # an IoU of 1 that lost its last bits still reaches it
    crowd=Default("iscrowd"),
    ignore=Default("ignore"),
    area=Default("area"),
    statistics=statistics,
    says="best free truth, mean precision at 101 recalls",
)

PROTOCOLS = (COCO,)
