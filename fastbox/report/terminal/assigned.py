"""The result of `fastbox assign` in a terminal: anchors by level, coverage by size and class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import counted
from fastbox.report.rules import RECALLS_SHOWN, assigned_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_invalid, show_rules, show_table

__all__ = ["show_assigned"]

CLASSES_SHOWN = 5


def show_assigned(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.assign`, given its ``to_dict``."""
    images, coverage = summary["images"], summary["coverage"]
    positives, anchors = counted(summary["positives"], "positives"), counted(summary["anchors"], "anchors")
    head = f"{positives} · {summary['ignored']:,} ignored · {anchors}"
    console.print(Text(head, style="bold"))
    regions = f" · {counted(summary['ignore_regions'], 'regions')} to ignore" if summary["ignore_regions"] else ""
    console.print(Text(f"{counted(images, 'images')} · {counted(summary['truths'], 'truths')}{regions}", style="dim"))
    show_rules(console, assigned_rules(summary["rules"]))
    show_invalid(console, summary["invalid"])
    if images:
        console.print()
        show_table(console, _levels(summary), ("positives",))
    if coverage["truths"]:
        console.print()
        show_table(console, _coverage(coverage), ("mean IoU", "≥ 0.50"))
        left, total = coverage["without_positive"], coverage["truths"]
        share = f" ({left / total:.2%})" if left else ""
        console.print(
            Text(
                "mean best IoU of the truths; share of truths whose best IoU is at least this",
                "dim",
            )
        )
        classes = coverage["by_class"]
        shown = min(CLASSES_SHOWN, sum(part["recall"]["0.5"] < 1 for part in classes.values()))
        if shown:
            ended = f"{shown} of {counted(len(classes), 'classes')}, those with the lowest coverage; --json has all"
            console.print(Text(ended, style="dim"))
        console.print()
        style = "yellow" if left else "dim"
        console.print(Text(f"{counted(left, 'truths')}{share} without a positive anchor", style))


def _levels(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    images = summary["images"]
    rows: list[tuple[str, ...]] = [("stride", "positives", "ignored", "negatives", "positives/image", "ignored/image")]
    levels = [*summary["by_level"], {**summary, "stride": "all"}]
    for level in levels:
        counts = [f"{level[name]:,}" for name in ("positives", "ignored", "negatives")]
        means = [f"{level[name] / images:,.2f}" for name in ("positives", "ignored")]
        rows.append((str(level["stride"]), *counts, *means))
    return rows


def _coverage(coverage: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The truths by size, and those of the classes with the lowest coverage."""
    rows: list[tuple[str, ...]] = [
        ("truths", "count", "mean IoU", *(f"≥ {float(t):.2f}" for t in RECALLS_SHOWN), "no positive")
    ]
    worst = sorted(coverage["by_class"].items(), key=lambda found: found[1]["recall"]["0.5"])
    hard = [(name, part) for name, part in worst if part["recall"]["0.5"] < 1][:CLASSES_SHOWN]
    parts = [("all", coverage), *coverage["by_size"].items(), *((f"class {name}", part) for name, part in hard)]
    for name, part in parts:
        recall = [f"{part['recall'][t]:.1%}" for t in RECALLS_SHOWN]
        rows.append(
            (name, f"{part['truths']:,}", f"{part['mean_best_iou']:.4f}", *recall, f"{part['without_positive']:,}")
        )
    return rows
