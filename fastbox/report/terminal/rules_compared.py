"""The figures of the same detections by the rules of several benchmarks, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from fastbox.report.numbers import NONE, counted
from fastbox.report.terminal.summary import show_table, width_of

__all__ = ["show_rules_compared"]

CLASSES_SHOWN = 5
COUNTS = ("truths", "true", "false", "ignored", "beyond")


def show_rules_compared(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.compare_rules`, given its ``to_dict``."""
    rules = summary["rules"]
    rows: list[Sequence[str]] = [("rule", "first figure", "AP50", *COUNTS, "how AP is computed")]
    for found in rules:
        counts = (f"{found[name]:,}" for name in COUNTS)
        first = f"{found['statistic']} {_figure(found['value'])}"
        rows.append((found["rule"], first, _figure(found["AP50"]), *counts, found["says"]))
    below: list[str] = []
    if width_of(rows) > console.width:
        rows = [row[:-1] for row in rows]
        below = [f"{found['rule']}: {found['says']}" for found in rules]
    show_table(console, rows, ("first figure", "AP50"))
    notes = ["true, false, ignored: at IoU 0.50; beyond: more detections than the rule counts"]
    notes += [
        f"{found['statistic']} of {found['rule']}: the mean over {found['thresholds']} IoU thresholds"
        for found in rules
        if found["thresholds"] > 1
    ]
    for line in [*below, *notes]:
        console.print(Text(line, style="dim"))
    console.print(Text(_matched(summary)))
    apart = sorted(summary["by_class"], key=lambda row: -_spread(row, rules))[:CLASSES_SHOWN]
    if len(summary["by_class"]) > 1 and apart and _spread(apart[0], rules) > 0:
        console.print()
        names = [found["rule"] for found in rules]
        classes: list[Sequence[str]] = [("class", *names)]
        classes += [
            (row["name"] or f"class {row['class']}", *(_figure(row.get(name, -1)) for name in names)) for row in apart
        ]
        show_table(console, classes, names)
        console.print(Text("AP50 of the classes whose figures differ most", style="dim"))


def _matched(summary: Mapping[str, Any]) -> str:
    """Return the sentence that says whether rules differ in matching, or only in the averaging of precision."""
    rules = summary["rules"]
    if summary["same_true"] and len({found["truths"] for found in rules}) == 1:
        return f"the same {counted(rules[0]['true'], 'detections')} are true by all rules: only the averaging differs"
    return "the rules match differently: not only the averaging of precision differs"


def _spread(row: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> float:
    figures = [float(row[found["rule"]]) for found in rules if found["rule"] in row]
    return max(figures) - min(figures)


def _figure(value: float) -> str:
    return NONE if value < 0 else f"{value:.4f}"
