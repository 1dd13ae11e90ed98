"""The result of `fastbox evaluate` in the lines that pycocotools prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastbox.report.terminal.console import Console

__all__ = ["coco_lines", "show_coco"]

LINE = " {:<18} {} @[ IoU={:<9} | area={:>6s} | maxDets={:>3d} ] = {:0.3f}"
TITLES = {"AP": "Average Precision", "AR": "Average Recall"}


def show_coco(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the statistics of each model as :meth:`COCOeval.summarize` of pycocotools prints them, -1 for none."""
    from fastbox.report.terminal.console import Text

    models = {None: summary} if summary["by"] is None else summary["models"]
    for name, found in models.items():
        if name is not None:
            console.print(Text(f"{summary['by']} {name}", style="bold"), soft_wrap=True)
        for line in coco_lines(found["stats"], summary["rules"]):
            console.print(Text(line), soft_wrap=True)


def coco_lines(stats: Mapping[str, float], rules: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one model."""
    thresholds, areas, counts = rules["iou_thresholds"], list(rules["area_ranges"]), rules["max_dets"]
    for name, value in stats.items():
        kind, rest = name[:2], name[2:]
        iou, area, most = f"{thresholds[0]:.2f}:{thresholds[-1]:.2f}", areas[0], counts[-1]
        if rest.startswith("_"):
            area = rest[1:]
        elif rest and kind == "AP":
            iou = f"0.{rest}"
        elif rest:
            most = int(rest)
        yield LINE.format(TITLES[kind], f"({kind})", iou, area, most, value)
