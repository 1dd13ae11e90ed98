"""Summaries as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["show_counts", "show_measured", "show_paired"]

SHOWN_QUANTILES = ("p5", "p50", "p95")
EIGHTHS = " ▁▂▃▄▅▆▇█"
CHART_ROWS = 4


def show_measured(console: Console, summary: Mapping[str, Any]) -> None:
    """Print what :func:`fastbox.jobs.measure` found, as its ``to_dict`` gives it."""
    console.print(Text(f"{summary['rows']:,} rows", style="bold"))
    _show_invalid(console, summary["invalid"])
    _show_metrics(console, summary["metrics"])


def show_paired(console: Console, summary: Mapping[str, Any]) -> None:
    """Print what :func:`fastbox.jobs.pairs` found, as its ``to_dict`` gives it."""
    kinds = ("images", "detections", "truths") if "truths" in summary else ("images", "detections")
    names = {"detections": "detections" if "truths" in summary else "boxes"}
    counts = " · ".join(f"{summary[kind]:,} {names.get(kind, kind)}" for kind in kinds)
    paired = f"{summary['pairs']:,} pairs · {summary['unmatched']:,} {names['detections']} in none"
    console.print(Text(paired, style="bold"))
    console.print(Text(counts, style="dim"))
    _show_invalid(console, summary["invalid"])
    _show_metrics(console, summary["metrics"])


def show_counts(console: Console, done: str, summary: Mapping[str, Any]) -> None:
    """Print what was made or converted: each figure with its name."""
    figures = [f"{value:,} {name.replace('_', ' ')}" for name, value in summary.items() if isinstance(value, int)]
    what = f" {summary['kind']}" if "kind" in summary else ""
    console.print(Text(f"{done}{what}: {' · '.join(figures)}", style="bold"))


def _show_invalid(console: Console, invalid: Mapping[str, Mapping[str, int]]) -> None:
    found = [
        f"{count:,} {side} {reason.replace('_', ' ')}"
        for side, reasons in invalid.items()
        for reason, count in reasons.items()
        if count
    ]
    if found:
        console.print(Text(f"invalid boxes: {', '.join(found)} (nan in every metric, in no pair)", style="yellow"))


def _show_metrics(console: Console, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    found = {name: metric for name, metric in metrics.items() if metric["count"]}
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", style="bold", no_wrap=True)
    for name in ("count", "mean", "min", *SHOWN_QUANTILES, "max"):
        table.add_column(name, justify="right", style="" if name in ("mean", "p50") else "dim", no_wrap=True)
    for name, metric in found.items():
        quantiles = [_number(metric["quantiles"][q]) for q in SHOWN_QUANTILES]
        figures = [_number(metric["mean"]), _number(metric["min"]), *quantiles, _number(metric["max"])]
        table.add_row(name, f"{metric['count']:,}", *figures)
    console.print(table)
    console.print(Columns([_chart(name, metric["histogram"]) for name, metric in found.items()], padding=(0, 4)))


def _chart(name: str, histogram: Mapping[str, Any]) -> Text:
    """A histogram as columns of blocks over its axis; empty bins at the ends of a distance's are left out."""
    edges, counts = histogram["edges"], histogram["counts"]
    in_pixels = edges[0] == 0 and edges[-1] > 1
    if in_pixels:
        filled = [k for k, count in enumerate(counts) if count] or [0]
        edges, counts = edges[filled[0] : filled[-1] + 2], counts[filled[0] : filled[-1] + 1]
    heights = [_eighths(count, max(counts)) for count in counts]
    width = 2 * len(counts)
    chart = Text(no_wrap=True)
    chart.append(name, style="bold")
    chart.append(", px\n" if in_pixels else "\n", style="dim")
    for row in reversed(range(CHART_ROWS)):
        chart.append("".join(2 * EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights) + "\n", style="cyan")
    low, high = _edge(edges[0]), _edge(edges[-1])
    middle = _edge(edges[len(edges) // 2])
    gap = width - len(low) - len(high) - len(middle)
    if gap >= 4:
        left = width // 2 - len(low) - len(middle) // 2
        chart.append(f"{low}{' ' * left}{middle}{' ' * (gap - left)}{high}", style="dim")
    else:
        chart.append(f"{low} … {high}".ljust(width), style="dim")
    return chart


def _eighths(count: int, most: int) -> int:
    """The height of a column in eighths of a row; whatever is there is seen."""
    return max(round(8 * CHART_ROWS * count / most), 1) if count else 0


def _edge(value: float) -> str:
    return f"{value:,g}" if value < 1e6 else f"{value:.0e}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"
