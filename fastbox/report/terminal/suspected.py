"""The result of `fastbox suspects` in a terminal: counts by kind, and the suspects to look at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import NONE, counted, decimals
from fastbox.report.rules import suspected_rules
from fastbox.report.suspicions import MEANINGS, change_of, invalid_of
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_rules, show_table, width_of

__all__ = ["show_suspected"]

SHOWN = 3  # suspects of each kind
WIDTH = 80  # characters of a line
LONGEST_ID, LEAST_CLASS = 16, 8  # characters


def show_suspected(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.suspects`, given its ``to_dict``."""
    total = sum(found["count"] for found in summary["kinds"])
    console.print(Text(f"{counted(total, 'suspects')} among {counted(summary['truths'], 'truths')}", style="bold"))
    weak = sum(found["count"] for found in summary["kinds"] if found["kind"] == "spurious")
    if weak and summary["rules"]["models"] < 2:
        said = f"{weak:,} of them are truths that nothing is near: weak evidence from one model"
        console.print(Text(said, style="yellow"))
    counts = [counted(summary[name], name) for name in ("images", "detections")]
    if summary["rules"]["models"] > 1:
        counts.append(counted(summary["rules"]["models"], "models"))
    console.print(Text(" · ".join(counts), style="dim"))
    show_rules(console, suspected_rules(summary["rules"]))
    for warning in [
        *summary["warnings"],
        *([f"no part take {', '.join(some)}"] if (some := invalid_of(summary)) else []),
    ]:
        console.print(Text(warning, style="yellow"))
    console.print()
    rows = [("kind", "suspects", "highest", "definition")]
    for found in summary["kinds"]:
        highest = NONE if found["highest"] is None else f"{found['highest']:.2f}"
        rows.append((found["kind"], f"{found['count']:,}", highest, MEANINGS[found["kind"]]))
    show_table(console, rows, ("suspects",))
    if summary["suspects"]:
        console.print()
        _show_first(console, summary)


def _show_first(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the suspects of each kind with the highest suspicion; long ids and names of classes are cut."""
    shown, chosen = dict.fromkeys(MEANINGS, 0), []
    for one in summary["suspects"]:
        shown[one["kind"]] += 1
        if shown[one["kind"]] <= SHOWN:
            chosen.append(one)
    models = summary["rules"]["models"] > 1
    rows = [("kind", "image", "truth", "suspicion", "score", "IoU", *(["models"] if models else []))]
    for one in chosen:
        image, truth = _cut(str(one["image_id"]), LONGEST_ID), NONE if one["truth"] is None else f"{one['truth']:,}"
        figures = [decimals(one[name], 2) for name in ("suspicion", "score", "iou")]
        rows.append((one["kind"], image, truth, *figures, *([f"{one['models']:,}"] if models else [])))
    room = max(WIDTH - width_of(rows) - 2, LEAST_CLASS)
    named = ["class", *(_cut(change_of(one), room) for one in chosen)]
    rows = [(*row[:3], name, *row[3:]) for row, name in zip(rows, named, strict=True)]
    show_table(console, rows, ("suspicion",))
    ended = f"truth: its row, from 0; {SHOWN} of each kind: --json has 12, -o all, --report draws"
    console.print(Text(ended, style="dim"))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"
