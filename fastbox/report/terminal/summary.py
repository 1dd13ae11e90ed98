"""Summaries in a terminal: the counts, one table of figures, and small charts side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE, are_doublings, counted, filled
from fastbox.report.rules import measured_rules, paired_rules, reached
from fastbox.report.terminal.console import Console, Text

__all__ = [
    "EIGHTHS",
    "show_counts",
    "show_invalid",
    "show_measured",
    "show_outputs",
    "show_paired",
    "show_rules",
    "show_table",
    "width_of",
]

Metrics = Mapping[str, Mapping[str, Any]]

SHOWN_QUANTILES = ("p5", "p50", "p95")
EIGHTHS = " ▁▂▃▄▅▆▇█"  # blocks of rising height
CHART_ROWS = 4
GAP = 4
PLAIN = {ord("≥"): ">=", ord("×"): "x", ord("–"): "-"}  # for a terminal with only ASCII
FIGURE_WIDTH = 7


def show_measured(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.measure`, given its ``to_dict``."""
    console.print(Text(counted(summary["rows"], "rows"), style="bold"))
    show_rules(console, measured_rules(summary.get("rules", {})))
    show_invalid(console, summary["invalid"])
    metrics = summary["metrics"]
    gradients = {name.removesuffix("_grad"): metric for name, metric in metrics.items() if "zero" in metric}
    values = {name: metric for name, metric in metrics.items() if "zero" not in metric}
    _show_metrics(console, values, "no row with two valid boxes, so no figures")
    _show_gradients(console, gradients)


def show_paired(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.pairs`, given its ``to_dict``."""
    kinds = ("images", "detections", "truths") if "truths" in summary else ("images", "detections")
    names = {"detections": "detections" if "truths" in summary else "boxes"}
    counts = " · ".join(counted(summary[kind], names.get(kind, kind)) for kind in kinds)
    boxes = counted(summary["detections"], names["detections"])
    rules = summary.get("rules", {})
    said = reached(rules)
    paired = f"{counted(summary['pairs'], 'pairs')}{said and f' {said}'}"
    console.print(Text(f"{paired}; {summary['unmatched']:,} of {boxes} unmatched", style="bold"))
    console.print(Text(counts, style="dim"))
    show_rules(console, paired_rules(rules)[1 if said else 0 :])
    show_invalid(console, summary["invalid"])
    _show_metrics(console, summary["metrics"], "no pairs, so no figures")


def show_rules(console: Console, rules: Sequence[str]) -> None:
    """Print the rules that the figures depend on, in as many lines as they need."""
    line = ""
    for rule in rules:
        longer = f"{line} · {rule}" if line else rule
        if line and len(longer) > console.width:
            console.print(Text(line, style="dim"))
            longer = rule
        line = longer
    if line:
        console.print(Text(line, style="dim"))


def show_counts(done: str, console: Console, summary: Mapping[str, Any]) -> None:
    """Print the counts of a job that makes or converts files: each figure with its name."""
    counts = {name: value for name, value in summary.items() if isinstance(value, int)}
    without, left_out = counts.pop("images_without_boxes", None), counts.pop("images_left_out", 0)
    invalid = counts.pop("invalid_boxes", 0)
    figures = [counted(value, name.replace("_", " ")) for name, value in counts.items()]
    if without is not None:
        figures[list(counts).index("images")] += f" ({without:,} without boxes)"
    if left_out:
        figures.append(counted(left_out, "images left out"))
    what = f" {summary['kind']}" if "kind" in summary else ""
    console.print(Text(f"{done}{what}: {' · '.join(figures)}", style="bold"), soft_wrap=True)
    if invalid:
        console.print(Text(f"invalid boxes: {invalid:,} (written as nan)", style="yellow"), soft_wrap=True)
    if "mean_iou" in summary:
        mean, least = (f"{summary[name]:.4f}" for name in ("mean_iou", "min_iou"))
        console.print(Text(f"IoU of a quadrilateral with its rectangle: mean {mean}, least {least}"), soft_wrap=True)


def show_outputs(console: Console, paths: Sequence[str]) -> None:
    """Print where the output went; a long path stays in one piece."""
    for path in paths:
        console.print(Text(f"→ {path}", style="dim"), soft_wrap=True)


def show_invalid(console: Console, invalid: Mapping[str, Mapping[str, int]]) -> None:
    """Print the number of invalid boxes by reason; nothing if all boxes are valid."""
    found = [
        f"{count:,} {side} {reason.replace('_', ' ')}"
        for side, reasons in invalid.items()
        for reason, count in reasons.items()
        if count
    ]
    if found:
        console.print(Text(f"invalid boxes: {', '.join(found)} (nan in every metric, in no pair)", style="yellow"))


def _show_metrics(console: Console, metrics: Metrics, nothing: str) -> None:
    found = {name: metric for name, metric in metrics.items() if metric["count"]}
    if not found:
        console.print(Text(nothing, style="dim"))
        return
    rows: list[Sequence[str]] = [("metric", "count", "mean", "min", *SHOWN_QUANTILES, "max")]
    for name, metric in found.items():
        quantiles = [metric["quantiles"][q] for q in SHOWN_QUANTILES]
        figures = _figures([metric["mean"], metric["min"], *quantiles, metric["max"]])
        rows.append((_title(name, metric), f"{metric['count']:,}", *figures))
    _show_figures(console, rows, ("mean", "p50"), found)


def _show_gradients(console: Console, gradients: Metrics) -> None:
    """Print the lengths of the gradients of losses, and the number of rows with a gradient of 0."""
    found = {name: metric for name, metric in gradients.items() if metric["count"]}
    if not found:
        return
    rows: list[Sequence[str]] = [("gradient length", "exactly 0", "mean", *SHOWN_QUANTILES, "max")]
    for name, metric in found.items():
        quantiles = [metric["quantiles"][q] for q in SHOWN_QUANTILES]
        share = f"{metric['zero']:,} ({metric['zero'] / metric['count']:.2%})"
        figures = _figures([metric["mean"], *quantiles, metric["max"]], 5)
        rows.append((_title(name, metric), share, *figures))
    _show_figures(console, rows, ("exactly 0", "mean", "p50"), found)


def _show_figures(console: Console, rows: Sequence[Sequence[str]], bright: Sequence[str], metrics: Metrics) -> None:
    """Print a table, and below the table the charts, if the terminal can show them."""
    console.print()
    show_table(console, rows, bright)
    if console.encoding.startswith("utf"):
        console.print()
        _show_charts(console, metrics)


def width_of(rows: Sequence[Sequence[str]]) -> int:
    """Return the characters in a line of a table that :func:`show_table` prints."""
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2


def show_table(
    console: Console, rows: Sequence[Sequence[str]], bright: Sequence[str] = (), *, last: bool = False
) -> None:
    """Print rows below their head, each column as wide as its cells: a narrow terminal wraps lines and cuts no number.

    The columns named in ``bright``, or with ``last`` the last row, are the ones to read first.
    """
    if not console.encoding.startswith("utf"):
        rows = [[cell.translate(PLAIN) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    read_first = [rows[0].index(name) for name in bright]
    rule = "─" if console.encoding.startswith("utf") else "-"
    for row in rows:
        line = Text(row[0].ljust(widths[0]), style="bold")
        for k in range(1, len(row)):
            first = k in read_first or (last and row is rows[-1])
            style = "bold" if row is rows[0] else "not bold" if first else "not bold dim"
            line.append(f"  {row[k].rjust(widths[k])}", style=style)
        console.print(line, soft_wrap=True)
        if row is rows[0]:
            console.print(Text(rule * len(line), style="dim"), soft_wrap=True)


def _show_charts(console: Console, metrics: Metrics) -> None:
    """Print the histograms in rows, with two characters for each bin if all histograms then fit side by side."""
    charts = [_chart(name, metric, 2) for name, metric in metrics.items()]
    if sum(len(chart[0]) + GAP for chart in charts) - GAP > console.width:
        charts = [_chart(name, metric, 1) for name, metric in metrics.items()]
    width = max(len(chart[0]) for chart in charts)
    across = max(1, (console.width + GAP) // (width + GAP))
    for first in range(0, len(charts), across):
        if first:
            console.print()
        for parts in zip(*charts[first : first + across], strict=True):
            line = Text(no_wrap=True)
            for place, part in enumerate(parts):
                line.append(" " * (place * (width + GAP) - len(line)))
                line.append_text(part)
            line.rstrip()
            console.print(line)
    _show_outside(console, metrics)


def _show_outside(console: Console, metrics: Metrics) -> None:
    """Print how many values lie beyond the bins of a chart."""
    beyond = []
    for name, metric in metrics.items():
        edges, counts = metric["histogram"]["edges"], metric["histogram"]["counts"]
        if missing := metric["count"] - sum(counts):
            unit = {"px": " px", "1/px": "/px"}.get(metric["unit"], "")
            end = f"below {_edge(edges[0])}" if edges[0] else f"{_edge(edges[-1])}{unit} and more"
            beyond.append(f"{missing:,} {name} {end}")
    if beyond:
        console.print(Text(f"not in the charts: {', '.join(beyond)}", style="dim"))


def _chart(name: str, metric: Mapping[str, Any], per_bin: int) -> list[Text]:
    """The lines of a histogram of one width: its name, columns of blocks, its axis; doublings without empty ends."""
    edges, counts = metric["histogram"]["edges"], metric["histogram"]["counts"]
    if are_doublings(edges):
        edges, counts = filled(edges, counts)
    heights = [_eighths(count, max(counts)) for count in counts]
    lines = [Text(_title(name, metric), style="bold")]
    for row in reversed(range(CHART_ROWS)):
        blocks = "".join(per_bin * EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights)
        lines.append(Text(blocks, style="cyan"))
    lines.append(Text(_axis(edges, per_bin * len(counts)), style="dim"))
    width = max(len(line) for line in lines)
    for line in lines:
        line.pad_right(width - len(line))
    return lines


def _axis(edges: Sequence[float], width: int) -> str:
    """The first and last edge at the ends and the middle one in the middle, if they have room."""
    low, middle, high = _edge(edges[0]), _edge(edges[len(edges) // 2]), _edge(edges[-1])
    gap = width - len(low) - len(middle) - len(high)
    if len(edges) % 2 and gap >= 4:
        left = width // 2 - len(low) - len(middle) // 2
        return f"{low}{' ' * left}{middle}{' ' * (gap - left)}{high}"
    gap = width - len(low) - len(high)
    return f"{low}{' ' * gap}{high}" if gap >= 3 else f"{low} … {high}"


def _eighths(count: int, most: int) -> int:
    """Return the height of a column in eighths of a row; at least 1 for a count above 0."""
    return max(round(8 * CHART_ROWS * count / most), 1) if count else 0


def _title(name: str, metric: Mapping[str, Any]) -> str:
    return f"{name}, {metric['unit']}" if metric["unit"] else name


def _edge(value: float) -> str:
    if 0 < value < 0.05:
        return f"{value:.2g}"
    return f"{value:,g}" if value < 1e6 else f"{value:.0e}"


def _figures(values: Sequence[float | None], most: int = 4) -> list[str]:
    """Return figures of one metric, all with the same number of decimals, none wider than its column."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    for decimals in range(most, 0, -1):
        if all(len(f"{value:.{decimals}f}") <= FIGURE_WIDTH for value in finite):
            return [_figure(value, f".{decimals}f") for value in values]
    fits = all(len(f"{value:,.0f}") <= FIGURE_WIDTH for value in finite)
    return [_figure(value, ",.0f" if fits else ".2g") for value in values]


def _figure(value: float | None, spec: str) -> str:
    return NONE if value is None else format(value, spec)
