"""The result of `fastbox anchors` in a terminal: coverage of the boxes, shapes, and configuration lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE, counted
from fastbox.report.rules import fitted_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_rules, show_table

__all__ = ["show_fitted"]

TITLES = {"yolo": "YOLO", "mmdetection": "mmdetection", "detectron2": "detectron2", "torchvision": "torchvision"}

MEANING = (
    "share of boxes whose best IoU with a shape is at least this; mean best IoU",
    "< 4×: share of boxes with both sides within a factor of 4 of the sides of a shape",
)


def show_fitted(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.anchors.fit_anchors`, given its ``to_dict``."""
    anchors, boxes = counted(summary["count"], "anchors"), counted(summary["used"], "boxes")
    console.print(Text(f"{anchors} fitted to {boxes}", style="bold"))
    facts = [f"{summary['sampled']:,} sampled", f"seed {summary['seed']}"]
    console.print(Text(" · ".join(facts), style="dim"))
    show_rules(console, fitted_rules(summary))
    left_out = [f"{count:,} {reason}" for reason, count in _left_out(summary) if count]
    if left_out:
        console.print(Text(f"left out: {', '.join(left_out)}", style="yellow"))
    console.print()
    show_table(console, _coverage(summary["sets"]), last=True)
    for line in MEANING:
        console.print(Text(line, style="dim"))
    console.print()
    show_table(console, _shapes(summary["anchors"]))
    for name, lines in summary["config"].items():
        console.print()
        console.print(Text(TITLES[name], style="bold"))
        console.print(Text(lines), soft_wrap=True)


def _left_out(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    dropped = summary["left_out"]
    return [
        ("not finite", dropped["not_finite"]),
        ("inverted", dropped["inverted"]),
        ("without an area", dropped["no_area"]),
        (f"below {summary['min_side']:g} px on both sides", dropped["small"]),
    ]


def _coverage(sets: Mapping[str, Mapping[str, Any]]) -> list[Sequence[str]]:
    """Return one row for each set of shapes, the fitted shapes last."""
    thresholds = [*next(iter(sets.values()))["recall"]]
    rows: list[Sequence[str]] = [
        ("shapes", "count", *(f"≥ {float(t):.2f}" for t in thresholds), "mean", "< 4×", "resize")
    ]
    for name, found in sets.items():
        recall = [f"{found['recall'][t]:.1%}" for t in thresholds]
        within = f"{found['best_possible_recall']:.1%}"
        rows.append((name, str(found["count"]), *recall, f"{found['mean_iou']:.4f}", within, found["resize"] or NONE))
    return rows


def _shapes(anchors: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("anchor", "width", "height", "area", "h / w", "best for")]
    for k, anchor in enumerate(anchors, 1):
        w, h = anchor["width"], anchor["height"]
        rows.append((str(k), f"{w:.15g}", f"{h:.15g}", f"{w * h:,.0f}", f"{h / w:.2f}", f"{anchor['share']:.1%}"))
    return rows
