"""Fitted anchors as a terminal shows them: how well they cover the boxes, the shapes, and configuration lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from fastbox.report.rules import fitted_rules
from fastbox.report.terminal.summary import show_rules

__all__ = ["show_fitted"]

TITLES = {"yolo": "YOLO", "mmdetection": "mmdetection", "detectron2": "detectron2", "torchvision": "torchvision"}


def show_fitted(console: Console, summary: Mapping[str, Any]) -> None:
    """Print what :func:`fastbox.jobs.anchors.fit_anchors` found, as its ``to_dict`` gives it."""
    many = "anchor" if summary["count"] == 1 else "anchors"
    console.print(Text(f"{summary['count']} {many} fitted to {summary['used']:,} boxes", style="bold"))
    facts = [f"{summary['sampled']:,} sampled", f"seed {summary['seed']}"]
    console.print(Text(" · ".join(facts), style="dim"))
    show_rules(console, fitted_rules(summary))
    left_out = [f"{count:,} {reason}" for reason, count in _left_out(summary) if count]
    if left_out:
        console.print(Text(f"left out: {', '.join(left_out)}", style="yellow"))
    console.print()
    _show_table(console, _coverage(summary["sets"]))
    console.print()
    _show_table(console, _shapes(summary["anchors"]))
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
    """One row for each set of shapes; the last, the fitted one, is what the others stand beside."""
    thresholds = [*next(iter(sets.values()))["recall"]]
    rows: list[Sequence[str]] = [
        ("shapes", "for", "count", *(f"IoU ≥ {t}" for t in thresholds), "mean IoU", "sides within 4×")
    ]
    for name, found in sets.items():
        recall = [f"{100 * found['recall'][t]:.1f} %" for t in thresholds]
        within = f"{100 * found['best_possible_recall']:.1f} %"
        rows.append((name, found["resize"] or "", str(found["count"]), *recall, f"{found['mean_iou']:.4f}", within))
    return rows


def _shapes(anchors: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("anchor", "width", "height", "area", "h / w", "best for")]
    for k, anchor in enumerate(anchors, 1):
        w, h = anchor["width"], anchor["height"]
        rows.append(
            (str(k), f"{w:.15g}", f"{h:.15g}", f"{w * h:,.0f}", f"{h / w:.2f}", f"{100 * anchor['share']:.1f} %")
        )
    return rows


def _show_table(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their head, the last one bold where sets are compared; a narrow terminal cuts no number."""
    plain = not console.encoding.startswith("utf")
    rows = [[cell.replace("≥", ">=").replace("×", "x") if plain else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for place, row in enumerate(rows):
        line = "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        style = "bold" if place == 0 or row[0] == "fitted" else ""
        console.print(Text(line, style=style), soft_wrap=True)
        if place == 0:
            console.print(Text(("-" if plain else "─") * len(line), style="dim"), soft_wrap=True)
