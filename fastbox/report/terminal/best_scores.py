"""The score where F is highest, in a terminal: the figures there, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.best_scores import best_score, intervals_of_best
from fastbox.report.terminal.console import Console, Text

__all__ = ["show_best_scores"]


def show_best_scores(console: Console, found: Mapping[str, Any]) -> None:
    """Print the best score over all classes, given the operating points as JSON holds them; nothing without one."""
    said = best_score(found)
    if not said:
        return
    console.print()
    console.print(Text(said))
    for line in intervals_of_best(found):
        console.print(Text(line, style="dim"))
