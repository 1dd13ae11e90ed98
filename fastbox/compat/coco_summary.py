"""COCO's twelve statistics and their lines, from the arrays and the parameters of ``COCOeval``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report.terminal.coco import LINE, TITLES

__all__ = ["summary"]

MOST = 100  # the number of detections of AP in the first line, whatever maxDets are


def summary(evaluation: Mapping[str, Any], p: Any) -> tuple[NDArray[np.float64], list[str]]:
    """Return the statistics, -1 for those without truths, and the lines that pycocotools prints.

    Raises
    ------
    ValueError
        Fewer than three numbers of detections.
    """
    if len(p.maxDets) < 3:
        raise ValueError(f"expected at least 3 maxDets for the summary, got {len(p.maxDets)}: read eval instead")
    first, second, most = list(p.maxDets)[:3]
    sizes = ("small", "medium", "large")
    asked = [
        ("AP", None, "all", MOST),
        ("AP", 0.5, "all", most),
        ("AP", 0.75, "all", most),
        *(("AP", None, size, most) for size in sizes),
        *(("AR", None, "all", limit) for limit in (first, second, most)),
        *(("AR", None, size, most) for size in sizes),
    ]
    stats, lines = np.zeros(len(asked)), []
    for place, (kind, threshold, area, limit) in enumerate(asked):
        values = evaluation["precision" if kind == "AP" else "recall"]
        if threshold is not None:
            values = values[np.asarray(p.iouThrs) == threshold]
        areas = [k for k, label in enumerate(p.areaRngLbl) if label == area]
        limits = [k for k, count in enumerate(p.maxDets) if count == limit]
        values = values[..., areas, :][..., limits]
        values = values[values > -1]
        stats[place] = np.mean(values) if len(values) else -1
        iou = f"{p.iouThrs[0]:.2f}:{p.iouThrs[-1]:.2f}" if threshold is None else f"{threshold:.2f}"
        lines.append(LINE.format(TITLES[kind], f"({kind})", iou, area, limit, stats[place]))
    return stats, lines
