"""The seconds of a command by stage in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import NONE
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table

__all__ = ["show_profiled"]


def show_profiled(console: Console, profile: Mapping[str, Any]) -> None:
    """Print a row for each stage, and the times of the whole."""
    stages = profile["stages"]
    others = sum(own["others"] for own in stages.values())
    rows = [
        ("stage", "main thread", "other threads"),
        *((name, _seconds(own["main"]), _seconds(own["others"])) for name, own in stages.items()),
        ("all", _seconds(profile["elapsed"]), _seconds(others)),
    ]
    show_table(console, rows, ("main thread",), last=True)
    console.print(Text(f"processor time {profile['cpu']:.3f} s; other threads work at the same time", style="dim"))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds else NONE
