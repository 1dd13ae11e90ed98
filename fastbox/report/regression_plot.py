"""What became of boxes that followed the losses, as a picture."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report.plots import COLORS, FAINT, GRID, INK, new_figure, save, tidy

__all__ = ["plot_regression"]

LEAST = 1e-3  # errors below are drawn as this


def plot_regression(
    summary: Mapping[str, Any], columns: Mapping[str, NDArray[np.float64]], path: str | os.PathLike[str]
) -> None:
    """Draw the error of each loss step by step, and where in the circle boxes began that have not arrived.

    ``summary`` and ``columns`` are those of :class:`fastbox.jobs.Regression`; the format follows the path's extension.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    from matplotlib.colors import LogNorm

    losses = summary["losses"]
    figure = new_figure((12, 5.6))
    curves, *maps = _axes(figure, len(losses))
    _draw_curves(curves, losses, summary["steps"])
    top = max(found["curve"][0] for found in losses.values())
    norm = LogNorm(LEAST, 10 ** math.ceil(math.log10(top)))
    for axes, name in zip(maps, losses, strict=True):
        mesh = _draw_map(axes, summary, columns, name, norm)
    bar = figure.colorbar(mesh, ax=maps, pad=0.015, aspect=40)
    bar.set_label("mean error at the end, by where the box began", color=INK)
    bar.outline.set_visible(False)
    title = f"{summary['cases']:,} boxes on their way to their targets, {summary['steps']:,} steps"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    save(figure, path)


def _axes(figure: Any, maps: int) -> list[Any]:
    """The curves on the left, the maps beside them in two rows, or in one if they are two or fewer."""
    rows = 1 if maps <= 2 else 2
    across = -(-maps // rows)
    grid = figure.add_gridspec(rows, 1 + across, width_ratios=[0.9 * rows] + [1] * across)
    places = [grid[k // across, 1 + k % across] for k in range(maps)]
    return [figure.add_subplot(grid[:, 0]), *(figure.add_subplot(place) for place in places)]


def _draw_curves(axes: Any, losses: Mapping[str, Any], steps: int) -> None:
    """One line a loss, its name at its end; names that would lie on one another make room."""
    ends = {}
    for (name, found), color in zip(losses.items(), COLORS, strict=False):
        curve = np.maximum(found["curve"], LEAST)
        axes.plot(curve, color=color, linewidth=1.8)
        ends[name] = math.log10(curve[-1]), color
    axes.set_yscale("log")
    axes.set_xlim(0, steps)
    axes.set_xlabel("step")
    axes.set_title("mean error |B - target| of a case", loc="left", fontsize=10, color=INK)
    axes.grid(color=GRID)
    tidy(axes)
    height = -math.inf
    for name, (end, color) in sorted(ends.items(), key=lambda item: item[1][0]):
        height = max(end, height + 0.16)
        axes.annotate(
            name, (steps, 10**height), (4, 0), textcoords="offset points", va="center", color=color, fontsize=9
        )


def _draw_map(axes: Any, summary: Mapping[str, Any], columns: Mapping[str, Any], name: str, norm: Any) -> Any:
    """The mean error in each hexagon of the plane, with the circle and the target's place."""
    (x, y), radius = summary["centre"], summary["radius"]
    across = max(6, min(40, round(math.sqrt(summary["points"]) / 2.6)))
    mesh = axes.hexbin(
        columns["x"],
        columns["y"],
        np.maximum(columns[name], LEAST),
        gridsize=across,
        extent=(x - radius, x + radius, y - radius, y + radius),
        norm=norm,
        cmap="viridis",
        linewidths=0.2,
    )
    angles = np.linspace(0, 2 * math.pi, 200)
    axes.plot(x + radius * np.cos(angles), y + radius * np.sin(angles), color=FAINT, linewidth=0.8)
    axes.plot(x, y, "+", color="white", markersize=7, markeredgewidth=1.2)
    axes.set_aspect("equal")
    axes.set_xlim(x - 1.06 * radius, x + 1.06 * radius)
    axes.set_ylim(y - 1.06 * radius, y + 1.06 * radius)
    axes.set_axis_off()
    axes.set_title(f"{name}  {summary['losses'][name]['final_error']:.2g}", fontsize=10, color=INK)
    return mesh
