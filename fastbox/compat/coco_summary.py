"""COCO's twelve statistics and their lines, from the arrays and the parameters of ``COCOeval``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.report.terminal.coco import LINE, TITLES

__all__ = ["Line", "summary", "twelve"]

MOST = 100  # the number of detections of AP in the first line, whatever maxDets are


class Line(NamedTuple):
    """A line of a summary: AP or AR, at one threshold of IoU or all, in a range of areas.

    ``limit`` is the number of detections.
    """

    kind: str
    threshold: float | None
    area: str
    limit: int

    def read(self, evaluation: Mapping[str, Any], p: Any) -> float:
        """Return the mean of what has truths in the arrays of ``eval``, -1 of nothing."""
        values = evaluation["precision" if self.kind == "AP" else "recall"]
        if self.threshold is not None:
            values = values[np.asarray(p.iouThrs) == self.threshold]
        areas = [place for place, label in enumerate(p.areaRngLbl) if label == self.area]
        limits = [place for place, limit in enumerate(p.maxDets) if limit == self.limit]
        values = values[..., areas, :][..., limits]
        values = values[values > -1]
        return float(np.mean(values)) if len(values) else -1.0

    def text(self, value: float, p: Any) -> str:
        """Return the line that pycocotools prints."""
        all_of = f"{p.iouThrs[0]:.2f}:{p.iouThrs[-1]:.2f}"
        iou = all_of if self.threshold is None else f"{self.threshold:.2f}"
        return LINE.format(TITLES[self.kind], f"({self.kind})", iou, self.area, self.limit, value)


def twelve(p: Any) -> list[Line]:
    """Return COCO's twelve lines.

    Raises
    ------
    ValueError
        Fewer than three numbers of detections.
    """
    if len(p.maxDets) < 3:
        raise ValueError(f"expected at least 3 maxDets for the summary, got {len(p.maxDets)}: read eval instead")
    first, second, most = list(p.maxDets)[:3]
    sizes = ("small", "medium", "large")
    return [
        Line("AP", None, "all", MOST),
        Line("AP", 0.5, "all", most),
        Line("AP", 0.75, "all", most),
        *(Line("AP", None, size, most) for size in sizes),
        *(Line("AR", None, "all", limit) for limit in (first, second, most)),
        *(Line("AR", None, size, most) for size in sizes),
    ]


def summary(lines: Sequence[Line], evaluation: Mapping[str, Any], p: Any) -> tuple[NDArray[np.float64], list[str]]:
    """Return the figures of lines, and their text."""
    figures = [line.read(evaluation, p) for line in lines]
    return np.array(figures), [line.text(figure, p) for line, figure in zip(lines, figures, strict=True)]
