"""The confusion matrix of an evaluation in a terminal: the most frequent confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.confused import BACKGROUND, most_confused, said
from fastbox.report.numbers import NONE
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table

__all__ = ["show_confused"]

SHOWN = 5


def show_confused(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the most frequent pairs of different classes, and those of the background."""
    pairs = most_confused(summary, SHOWN, background=False) + [
        found
        for found in most_confused(summary, 2 * SHOWN, background=True)
        if BACKGROUND in (found.truth, found.detection)
    ]
    rows: list[Sequence[str]] = [("truth", "detection", "count", "of the truths")]
    rows += [
        (found.truth, found.detection, f"{found.boxes:,}", NONE if found.share is None else f"{found.share:.1%}")
        for found in pairs
    ]
    console.print()
    show_table(console, rows, ("count",))
    ended = f"the most frequent confusions at {said(summary)}; background: missed, or nothing is there; --json has all"
    console.print(Text(ended, style="dim"))
    if summary["confusion"]["score"]:
        missed = f"background here: missed at score ≥ {summary['confusion']['score']:.3f}; above, missed at any score"
        console.print(Text(missed, style="dim"))
