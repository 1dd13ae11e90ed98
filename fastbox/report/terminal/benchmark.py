"""The figures that only one benchmark has, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from fastbox.report.terminal.summary import show_table

__all__ = ["show_benchmark"]


def show_benchmark(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the outcomes of detections, and tables of the benchmark, if it has any."""
    if "outcomes" not in summary:
        return
    console.print()
    if "jaccard" in summary:
        _show_crowds(console, summary)
    counts = " · ".join(f"{name} {count:,}" for name, count in summary["outcomes"].items())
    console.print(Text(f"detections: {counts}", style="dim"))


def _show_crowds(console: Console, summary: Mapping[str, Any]) -> None:
    counts = ("matches", "truths", "detections")
    best = f"{summary['stats']['JI_score']:.1f}"
    rows: list[tuple[str, ...]] = [("score above", "JI", *counts, "")]
    for found in summary["jaccard"]:
        score = f"{found['score']:.1f}"
        figures = f"{found['JI']:.3f}", *(f"{found[name]:,}" for name in counts)
        rows.append((score, *figures, "best" if score == best else ""))
    show_table(console, rows, ("JI",))
    console.print(Text("truths and detections in ignored regions are left out if they match nothing", style="dim"))
    console.print()
    misses = summary["miss_rates"]
    show_table(
        console,
        [
            ("false positives per image", *(f"{found['false_per_image']:.4g}" for found in misses)),
            ("miss rate", *(f"{found['miss_rate']:.3f}" for found in misses)),
        ],
    )
