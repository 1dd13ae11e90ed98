"""Drawings of results for a notebook."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbox.errors import InputError
from fastbox.report.figures.base import FAINT, GRID, INK, new_figure, tidy
from fastbox.report.numbers import are_doublings, edge, filled
from fastbox.report.palette import light
from fastbox.report.rules import threshold

__all__ = ["drawing"]


def drawing(summary: Mapping[str, Any]) -> Any:
    """Draw a summary: its histograms, and curves of precision if it has them.

    Raises
    ------
    InputError
        matplotlib is not installed, or there is nothing to draw.
    """
    drawn = [(name, metric) for name, metric in _metrics(summary) if any(metric["histogram"]["counts"])]
    curves = summary.get("curves")
    count = len(drawn) + (curves is not None)
    if not count:
        raise InputError("expected something to draw, got a result without histograms or curves: show its tables()")
    columns = min(count, 3)
    lines = -(-count // columns)
    figure = new_figure((4.2 * columns, 2.9 * lines))
    _show_itself(figure)
    axes = iter(np.atleast_1d(figure.subplots(lines, columns, squeeze=False).reshape(-1)).tolist())
    if curves is not None:
        _draw_curves(next(axes), curves)
    for name, metric in drawn:
        _draw_histogram(next(axes), name, metric)
    for left in axes:
        left.set_visible(False)
    return figure


def _metrics(summary: Mapping[str, Any], model: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Return every metric that has a histogram, with its title, from all parts of the summary."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name, value in summary.items():
        if not isinstance(value, Mapping):
            continue
        if "histogram" in value:
            found.append((f"{model}{name.replace('_', ' ')}", value))
        elif name == "models":
            found += [metric for own, figures in value.items() for metric in _metrics(figures, f"{own}: ")]
        else:
            found += _metrics(value, model)
    return found


def _draw_histogram(axes: Any, name: str, metric: Mapping[str, Any]) -> None:
    edges, counts = metric["histogram"]["edges"], metric["histogram"]["counts"]
    log = are_doublings(edges)
    if log:
        edges, counts = filled(edges, counts)
    places = np.arange(len(edges)) if log else np.array(edges)
    axes.bar(places[:-1], counts, np.diff(places), align="edge", color=light("match"), edgecolor="white", linewidth=0.8)
    if log:
        step = -(-len(edges) // 9)
        axes.set_xticks(places[::step], [edge(value) for value in edges[::step]])
        axes.set_xlabel("log scale", color=FAINT)
    unit = f", {metric['unit']}" if metric.get("unit") else ""
    axes.set_title(f"{name}{unit}", loc="left", fontsize=10, color=INK, parse_math=False)
    axes.set_ylabel("count", color=FAINT)
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    tidy(axes)


def _draw_curves(axes: Any, curves: Mapping[str, Any]) -> None:
    shown = list(curves["precision"].items())[::3]
    for place, (iou, precision) in enumerate(shown):
        fullness = 1 - 0.7 * place / max(len(shown), 1)
        label = f"IoU {threshold(float(iou))}"
        axes.plot(curves["recall"], precision, color=light("detection"), alpha=fullness, label=label)
    axes.set_xlabel("recall", color=FAINT)
    axes.set_ylabel("precision", color=FAINT)
    axes.set_ylim(0, 1.02)
    axes.grid(color=GRID)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)


def _show_itself(figure: Any) -> None:
    """Make a notebook show the figure without pyplot."""

    def png() -> bytes:
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        return stream.getvalue()

    figure._repr_png_ = png
