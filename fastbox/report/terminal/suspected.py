"""The result of `fastbox suspects` in a terminal: counts by kind, and the suspects to look at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from fastbox.report.numbers import NONE, counted
from fastbox.report.rules import suspected_rules
from fastbox.report.suspicions import MEANINGS, class_of, evidence, invalid_of
from fastbox.report.terminal.summary import show_rules, show_table

__all__ = ["show_suspected"]

SHOWN = 3  # suspects of each kind


def show_suspected(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.suspects`, given its ``to_dict``."""
    total = sum(found["count"] for found in summary["kinds"])
    console.print(Text(f"{counted(total, 'suspects')} among {counted(summary['truths'], 'truths')}", style="bold"))
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
    """Print the suspects of each kind with the highest suspicion."""
    rows = [("kind", "image", "truth", "class", "suspicion", "evidence")]
    shown = dict.fromkeys(MEANINGS, 0)
    for one in summary["suspects"]:
        shown[one["kind"]] += 1
        if shown[one["kind"]] <= SHOWN:
            side = "suggested_class" if one["truth"] is None else "truth_class"
            truth = NONE if one["truth"] is None else f"{one['truth']:,}"
            said = evidence(one, summary["rules"]["models"])
            rows.append(
                (one["kind"], str(one["image_id"]), truth, class_of(one, side), f"{one['suspicion']:.2f}", said)
            )
    show_table(console, rows, ("suspicion",))
    ended = f"the first {SHOWN} of each kind; --json has 12, -o writes all, --report draws them"
    console.print(Text(ended, style="dim"))
