"""The result of `fastbox experiment disagreement` in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.kernels.metrics import title_of
from fastbox.report.numbers import counted
from fastbox.report.rules import measured_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_invalid, show_rules, show_table

__all__ = ["distance_title", "show_disagreement"]


def show_disagreement(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.experiments.disagreement`, given its ``to_dict``."""
    console.print(Text(counted(summary["pairs"], "pairs"), style="bold"))
    show_rules(console, measured_rules(summary.get("rules", {})))
    show_invalid(console, summary["invalid"])
    if not summary["pairs"]:
        console.print(Text("no pairs to compare", style="dim"))
        return
    dash = "–" if console.encoding.startswith("utf") else "-"
    console.print()
    show_table(console, _correlations(summary, dash), ("all",))
    console.print(Text("rank correlation: -1 if nearer pairs overlap more, 0 if there is no relation", "dim"))
    console.print()
    show_table(console, _spreads(summary, dash), ("IoU 5%", "95%"))
    console.print(Text("quantiles of the pairs within 10% of each L2 distance", "dim"))
    if summary["examples"]:
        console.print()
        show_table(console, _examples(summary), ("IoU", "other IoU"))
        console.print(Text("each line: two pairs with equal L2 distance and targets of one size", "dim"))


def distance_title(name: str) -> str:
    """Return the name of a distance for people; L2 is not one of the metrics."""
    return "L2" if name == "l2" else title_of(name)


def _correlations(summary: Mapping[str, Any], dash: str) -> list[Sequence[str]]:
    sizes = [name for name, pairs in summary["sizes"].items() if pairs]
    rows: list[Sequence[str]] = [("", "all", *sizes)]
    for distance, metrics in summary["rank_correlation"].items():
        for metric, found in metrics.items():
            figures = [dash if found[name] is None else f"{found[name]:.2f}" for name in ("all", *sizes)]
            rows.append((f"{distance_title(distance)} and {title_of(metric)}", *figures))
    rows.append(("pairs", f"{summary['pairs']:,}", *(f"{summary['sizes'][name]:,}" for name in sizes)))
    return rows


def _spreads(summary: Mapping[str, Any], dash: str) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("L2", "pairs", "IoU 5%", "50%", "95%", "GIoU 5%", "50%", "95%")]
    for found in summary["spread"]["l2"]:
        figures = [dash if value is None else f"{value:.2f}" for value in (*found["iou"], *found["giou"])]
        rows.append((f"{found['pixels']} px", f"{found['pairs']:,}", *figures))
    return rows


def _examples(summary: Mapping[str, Any]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("targets", "L2", "IoU", "GIoU", "row", "other IoU", "GIoU", "row")]
    for example in summary["examples"]:
        pairs = (example["near"], example["far"])
        figures = [text for p in pairs for text in (f"{p['iou']:.2f}", f"{p['giou']:.2f}", f"{p['row']:,}")]
        rows.append((example["size"], f"{example['near']['l2']:.1f} px", *figures))
    return rows
