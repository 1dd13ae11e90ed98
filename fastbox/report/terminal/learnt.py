"""Points assigned to truths in a terminal: positives by level, and truths without a positive point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import count, counted, decimals
from fastbox.report.rules import learnt_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_invalid, show_rules, show_table
from fastbox.values.coco import SIZES

__all__ = ["show_learnt"]

CLASSES_SHOWN = 5


def show_learnt(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.assign_points`, given its ``to_dict``."""
    head = f"{counted(summary['positives'], 'positive points')} of {counted(summary['truths'], 'truths')}"
    console.print(Text(head, style="bold"))
    facts = [counted(summary["images"], "images")]
    facts += [f"{counted(summary['ignore_regions'], 'regions')} left out"] if summary["ignore_regions"] else []
    facts += [f"mean value {decimals(summary['mean_value'], 3)}"] if summary["positives"] else []
    facts += [f"mean IoU {decimals(summary['mean_iou'], 3)}"] if summary["mean_iou"] is not None else []
    console.print(Text(" · ".join(facts), style="dim"))
    show_rules(console, learnt_rules(summary["rules"]))
    show_invalid(console, summary["invalid"])
    for key, what in (("images_without_predictions", "predictions"), ("images_without_truths", "truths")):
        if summary[key]:
            console.print(Text(f"{counted(summary[key], f'images without {what}')} left out", style="yellow"))
    if not summary["truths"]:
        return
    console.print()
    show_table(console, _levels(summary), ("positives",))
    console.print()
    show_table(console, _truths(summary), ("0",))
    console.print(Text("truths by their number of positive points; lost: without one, though it has candidates", "dim"))
    share = f" ({summary['unlearnt_share']:.2%})" if summary["unlearnt"] else ""
    console.print()
    style = "yellow" if summary["unlearnt"] else "dim"
    console.print(Text(f"{counted(summary['unlearnt'], 'truths')}{share} without a positive point", style))


def _levels(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("stride", "points", "positives", *SIZES)]
    for level in summary["by_level"]:
        own = [level[name] for name in SIZES]
        rows.append((str(level["stride"]), count(level["points"]), count(sum(own)), *map(count, own)))
    return rows


def _truths(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The truths by size, and those of the classes that lose most."""
    names = list(summary["positives_of_truths"])
    rows: list[tuple[str, ...]] = [("truths", "count", *(name.replace("-", "–") for name in names), "lost")]
    worst = sorted(summary["by_class"].items(), key=lambda own: -own[1]["unlearnt"])
    hard = [(f"class {name}", own) for name, own in worst if own["unlearnt"]][:CLASSES_SHOWN]
    for name, own in [("all", summary), *summary["by_size"].items(), *hard]:
        bins = (count(number) for number in own["positives_of_truths"].values())
        rows.append((name, count(own["truths"]), *bins, count(own["lost"])))
    return rows
