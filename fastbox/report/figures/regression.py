"""The figure of `fastbox experiment regression`: errors by step and by starting point."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.kernels.metrics import regression_losses
from fastbox.report.figures.base import FAINT, GRID, INK, new_figure, save, tidy
from fastbox.report.numbers import counted
from fastbox.report.palette import SERIES, light

__all__ = ["plot_regression"]

# A loss has the same colour in every figure.
LOSS_COLORS = dict(zip(regression_losses(), map(light, SERIES), strict=True))
LEAST = 1e-3  # the error that has the darkest colour, and the lower limit of the curves
APART = 0.16  # of names at the ends of curves, in powers of ten
PER_HEXAGON = 7  # points, about


def plot_regression(
    summary: Mapping[str, Any], columns: Mapping[str, NDArray[np.float64]], path: str | os.PathLike[str]
) -> None:
    """Draw the error of each loss step by step, and the mean error at the end by starting point.

    ``summary`` and ``columns`` are the results of ``to_dict`` and ``columns`` of :class:`fastbox.jobs.Regression`; the
    format follows the path's extension.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    losses = summary["losses"]
    top = 10.0 ** math.ceil(math.log10(max(max(found["curve"]) for found in losses.values())))
    norm, plain = LogNorm(LEAST, top), FuncFormatter(lambda error, _: f"{error:g}")
    figure = new_figure((12, 5.6))
    curves, *maps = _axes(figure, len(losses))
    _draw_curves(curves, summary, top)
    curves.yaxis.set_major_formatter(plain)
    for axes, name in zip(maps, losses, strict=True):
        mesh = _draw_map(axes, summary, columns, name, norm)
        axes.set_title(f"{name}  {_figure(losses[name]['final_error'])}", fontsize=10, color=LOSS_COLORS[name])
    bar = figure.colorbar(mesh, ax=maps, pad=0.02, aspect=40, extend="min", format=plain)
    bar.set_label("mean error at the end, by starting point", color=INK)
    bar.outline.set_visible(False)
    title = f"{counted(summary['cases'], 'boxes')} on the way to their targets in {counted(summary['steps'], 'steps')}"
    figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold", color=INK)
    save(figure, path)


def _axes(figure: Any, maps: int) -> list[Any]:
    """The curves on the left, the maps beside them, in two rows if they are more than two."""
    rows = 1 if maps <= 2 else 2
    across = -(-maps // rows)
    grid = figure.add_gridspec(rows, 1 + across, width_ratios=[2 if maps > 1 else 1, *[1] * across])
    places = [grid[k // across, 1 + k % across] for k in range(maps)]
    return [figure.add_subplot(grid[:, 0]), *(figure.add_subplot(place) for place in places)]


def _draw_curves(axes: Any, summary: Mapping[str, Any], top: float) -> None:
    """One line a loss with its name at its end, or where it leaves the picture; names that would meet make room."""
    steps, ends = summary["steps"], {}
    for first, _ in summary["rates"][1:]:
        axes.axvline(first - 1, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
    for name, found in summary["losses"].items():
        curve = np.array(found["curve"])
        axes.plot(curve, color=LOSS_COLORS[name], linewidth=1.8)
        if curve[-1] >= LEAST:
            ends[name] = math.log10(curve[-1])
        else:
            last = int(np.flatnonzero(curve >= LEAST)[-1])
            _name(axes, name, (last, LEAST), (5, 8), LOSS_COLORS[name])
    height = -math.inf
    for name, end in sorted(ends.items(), key=lambda item: item[1]):
        height = max(end, height + APART)
        _name(axes, name, (steps, 10**height), (4, 0), LOSS_COLORS[name])
    axes.set_yscale("log")
    axes.set_xlim(0, steps)
    axes.set_ylim(LEAST, top)
    axes.set_xlabel("step")
    rates = ", ".join(f"{rate:g}" for _, rate in summary["rates"])
    axes.set_title(
        f"mean error of a box, |B - target|, log scale, at rates {rates}", loc="left", fontsize=10, color=INK
    )
    axes.grid(color=GRID)
    tidy(axes)


def _name(axes: Any, name: str, at: tuple[float, float], off: tuple[int, int], color: str) -> None:
    axes.annotate(name, at, off, textcoords="offset points", va="center", color=color, fontsize=9)


def _draw_map(axes: Any, summary: Mapping[str, Any], columns: Mapping[str, Any], name: str, norm: Any) -> Any:
    """The mean error in each hexagon of the circle; a cross marks the targets' centre."""
    from matplotlib.patches import Circle

    (x, y), radius = summary["centre"], summary["radius"]
    circle = axes.add_patch(Circle((x, y), radius, facecolor=GRID, edgecolor="none", zorder=0))
    mesh = axes.hexbin(
        columns["x"],
        columns["y"],
        columns[name],
        gridsize=min(max(round(math.sqrt(summary["points"] / PER_HEXAGON)), 6), 40),
        extent=(x - radius, x + radius, y - radius, y + radius),
        norm=norm,
        cmap="viridis",
        linewidths=0.2,
    )
    mesh.set_clip_path(circle)
    axes.plot(x, y, "+", color="white", markersize=7, markeredgewidth=1.2)
    axes.set_aspect("equal")
    axes.set_xlim(x - 1.02 * radius, x + 1.02 * radius)
    axes.set_ylim(y - 1.02 * radius, y + 1.02 * radius)
    axes.set_axis_off()
    return mesh


def _figure(error: float) -> str:
    return f"{error:.2g}" if error >= LEAST else f"below {LEAST:g}"
