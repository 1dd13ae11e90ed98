"""AI-TOD's protocol: COCO's rules with ranges of tiny areas and up to 1,500 detections (Wang et al., ICPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastbox.evaluation.protocols.coco import ALONE, COCO
from fastbox.evaluation.registry import Statistic
from fastbox.values.coco import UNBOUNDED

__all__ = ["PROTOCOLS"]

AREA_RANGES = {
    "all": (0.0, UNBOUNDED),
    "very-tiny": (0.0, 8.0**2),
    "tiny": (8.0**2, 16.0**2),
    "small": (16.0**2, 32.0**2),
    "medium": (32.0**2, 64.0**2),
}
SHORT = {"very-tiny": "vt", "tiny": "t", "small": "s", "medium": "m"}


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return AP, AP50, AP75, AP by range of areas, and AR by limit.

    >>> [found.name for found in statistics(list(AREA_RANGES), [1, 100, 1500])]
    ['AP', 'AP50', 'AP75', 'APvt', 'APt', 'APs', 'APm', 'AR1', 'AR100', 'AR1500']
    """
    others = list(enumerate(areas))[1:]
    return [
        Statistic("AP"),
        *(Statistic(f"AP{threshold * 100:.0f}", threshold=threshold) for threshold in ALONE),
        *(Statistic(f"AP{SHORT.get(name, f'_{name}')}", area=place) for place, name in others),
        *(Statistic(f"AR{limit}", recall=True, limit=place) for place, limit in enumerate(limits)),
    ]


PROTOCOLS = (replace(COCO, name="ai-tod", area_ranges=AREA_RANGES, max_dets=(1, 100, 1500), statistics=statistics),)
