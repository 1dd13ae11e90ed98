"""Pascal VOC's protocols of 2007 and of 2010 to 2012: AP at eleven recalls, and AP by area (Everingham et al. 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastbox.evaluation.curves import Floats
from fastbox.evaluation.marks import Marks, Means
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.registry import NO_LIMIT, Default, Protocol, Statistic
from fastbox.values.coco import UNBOUNDED

__all__ = ["PROTOCOLS"]

RECALLS = np.arange(0.0, 1.1, 0.1)  # with the bits of the codes that evaluate by these recalls
EPS = np.finfo(np.float64).eps


def eleven_points(recall: Floats, precision: Floats) -> float:
    """Return the mean, over eleven recalls, of the best precision at this recall or a higher one.

    >>> round(eleven_points(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)
    0.8485
    """
    ap = 0.0
    for least in RECALLS:
        reached = precision[recall >= least]
        ap = ap + (float(np.max(reached)) if len(reached) else 0.0) / 11.0
    return ap


def area_under(recall: Floats, precision: Floats) -> float:
    """Return the area under the best precision at each recall or a higher one.

    >>> round(area_under(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)
    0.8333
    """
    recalls = np.concatenate(([0.0], recall, [1.0]))
    envelope = np.maximum.accumulate(np.concatenate(([0.0], precision, [0.0]))[::-1])[::-1]
    rises = np.flatnonzero(recalls[1:] != recalls[:-1])
    return float(np.sum((recalls[rises + 1] - recalls[rises]) * envelope[rises + 1]))


class ElevenPoints(Means):
    """The statistics of 2007."""

    def figure(self, found: Marks, truths: int) -> float:
        """Return the AP of a class."""
        return eleven_points(*_curve(found, truths))


class AreaUnder(Means):
    """The statistics from 2010 on."""

    def figure(self, found: Marks, truths: int) -> float:
        """Return the AP of a class."""
        return area_under(*_curve(found, truths))


def _curve(found: Marks, truths: int) -> tuple[Floats, Floats]:
    """Return recall and precision after each detection."""
    true, false = np.cumsum(found.true, dtype=np.float64), np.cumsum(~found.true, dtype=np.float64)
    return true / float(truths), true / np.maximum(true + false, EPS)


def statistics(areas: Sequence[str], limits: Sequence[int]) -> list[Statistic]:
    """Return mAP, and mAP by range of areas.

    >>> [found.name for found in statistics(["all", "small"], [100])]
    ['mAP', 'mAP_small']
    """
    others = list(enumerate(areas))[1:]
    return [Statistic("mAP"), *(Statistic(f"mAP_{name}", area=place) for place, name in others)]


VOC07 = Protocol(
    name="voc07",
    iou_thresholds=(0.5,),
    recalls=tuple(RECALLS.tolist()),
    area_ranges={"all": (0.0, UNBOUNDED)},
    max_dets=(NO_LIMIT,),
    greatest_threshold=1.0,
    crowd=Default("iscrowd"),  # of COCO's tables: ignored as difficult truths are
    ignore=Default("difficult"),
    area=None,
    statistics=statistics,
    takes="any",
    options={"strict": False, "legacy_pixels": False, "difficult": "ignore"},
    says="best of all truths, mean precision at 11 recalls",
    traced=ElevenPoints,
    sampled="recalls",
)

VOC12 = replace(
    VOC07,
    name="voc12",
    recalls=COCO.recalls,
    says="best of all truths, area under the envelope of precision",
    traced=AreaUnder,
    sampled="area",
)

PROTOCOLS = (VOC07, VOC12)
