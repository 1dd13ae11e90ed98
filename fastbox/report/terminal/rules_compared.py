"""The figures of the same detections by the rules of several benchmarks or several metrics, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.kernels.metrics import title_of
from fastbox.report.numbers import NONE, counted
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table, width_of

__all__ = ["show_rules_compared"]

CLASSES_SHOWN = 5
COUNTS = ("truths", "true", "false", "ignored", "beyond")


def show_rules_compared(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.compare_rules`, given its ``to_dict``."""
    rules = summary["rules"]
    names = _names(rules)
    rows: list[Sequence[str]] = [
        ("metric" if _of_metrics(rules) else "rule", "first figure", "AP50", *COUNTS, "how AP is computed")
    ]
    for name, found in zip(names, rules, strict=True):
        counts = (f"{found[count]:,}" for count in COUNTS)
        first = f"{found['statistic']} {_figure(found['value'])}"
        rows.append((name, first, _figure(found["AP50"]), *counts, found["says"]))
    below: list[str] = []
    if width_of(rows) > console.width:
        rows = [row[:-1] for row in rows]
        below = list(dict.fromkeys(f"{found['rule']}: {found['says']}" for found in rules))
    show_table(console, rows, ("first figure", "AP50"))
    told = " or ".join(dict.fromkeys(title_of(found["metric"]) for found in rules))
    notes = [f"true, false, ignored: at {told} 0.50; beyond: more detections than the rule counts"]
    notes += [
        f"{found['statistic']} of {found['rule']}: the mean over {found['thresholds']} {told} thresholds"
        for found in rules
        if found["thresholds"] > 1
    ]
    for line in dict.fromkeys([*below, *notes]):
        console.print(Text(line, style="dim"))
    console.print(Text(_matched(summary)))
    apart = sorted(summary["by_class"], key=lambda row: -_spread(row, names))[:CLASSES_SHOWN]
    if len(summary["by_class"]) > 1 and apart and _spread(apart[0], names) > 0:
        console.print()
        classes: list[Sequence[str]] = [("class", *names)]
        classes += [
            (row["name"] or f"class {row['class']}", *(_figure(row.get(name, -1)) for name in names)) for row in apart
        ]
        show_table(console, classes, names)
        console.print(Text("AP50 of the classes whose figures differ most", style="dim"))


def _matched(summary: Mapping[str, Any]) -> str:
    """Return the sentence that says whether rules differ in matching, or only in the averaging of precision."""
    rules = summary["rules"]
    if _of_metrics(rules):
        (first, *others), titles = rules, [title_of(found["metric"]) for found in rules]
        more = (
            f"{other['true'] - first['true']:+,} by {title}" for other, title in zip(others, titles[1:], strict=True)
        )
        return f"{counted(first['true'], 'detections')} are true by {titles[0]}, {', '.join(more)}"
    if summary["same_true"] and len({found["truths"] for found in rules}) == 1:
        return f"the same {counted(rules[0]['true'], 'detections')} are true by all rules: only the averaging differs"
    return "the rules match differently: not only the averaging of precision differs"


def _of_metrics(rules: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether metrics of one rule are compared."""
    return len(rules) > 1 and len({found["rule"] for found in rules}) == 1


def _names(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of rules, of metrics, or of both, as the rows of classes have them."""
    if len({found["metric"] for found in rules}) == 1:
        return [found["rule"] for found in rules]
    return [found["metric"] if _of_metrics(rules) else f"{found['rule']} {found['metric']}" for found in rules]


def _spread(row: Mapping[str, Any], names: Sequence[str]) -> float:
    figures = [float(row[name]) for name in names if name in row]
    return max(figures) - min(figures)


def _figure(value: float) -> str:
    return NONE if value < 0 else f"{value:.4f}"
