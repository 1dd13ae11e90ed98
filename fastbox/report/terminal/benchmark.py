"""The figures that only one benchmark has, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table

__all__ = ["ASIDE", "ASIDE_SAID", "outcomes_said", "show_benchmark"]

ASIDE = ("ignored_truths", "on_ignored", "on_regions", "small")
ASIDE_SAID = (
    "of all detections of the class: on ignored truths, on regions (DontCare) and small (below the least height) are "
    "neither true nor false"
)


def show_benchmark(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the outcomes of detections, and tables of the benchmark, if it has any."""
    if summary.get("difficulties"):
        console.print()
        _show_difficulties(console, summary["difficulties"])
    if "outcomes" not in summary:
        return
    console.print()
    if "jaccard" in summary:
        _show_crowds(console, summary)
    console.print(Text(outcomes_said(summary["outcomes"]), style="dim"))


def outcomes_said(outcomes: Mapping[str, int]) -> str:
    """Return a sentence on the numbers of detections that are true, false and ignored.

    >>> outcomes_said({"true": 1200, "false": 3, "ignored": 0})
    'detections: true 1,200 · false 3 · ignored 0'
    """
    return f"detections: {' · '.join(f'{name} {count:,}' for name, count in outcomes.items())}"


def _show_difficulties(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    counts = ("truths", "true", "false", "missed", *ASIDE)
    rows: list[tuple[str, ...]] = [
        ("class", "difficulty", "AP40", "AP11", *(name.replace("_", " ") for name in counts))
    ]
    for row in found:
        figures = (NONE if row[name] < 0 else f"{row[name]:.3f}" for name in ("AP40", "AP11"))
        rows.append((row["class"], row["difficulty"], *figures, *(f"{row[name]:,}" for name in counts)))
    show_table(console, rows, ("AP40",))
    console.print(Text(ASIDE_SAID, style="dim"))


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
    misses = [(f"{found['false_per_image']:.4g}", f"{found['miss_rate']:.3f}") for found in summary["miss_rates"]]
    show_table(console, [("false positives per image", "miss rate"), *misses])
