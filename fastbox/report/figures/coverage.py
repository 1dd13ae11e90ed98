"""The figure of `fastbox assign`: the coverage of ground truth."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbox.report.figures.base import GRID, INK, new_figure, save, tidy
from fastbox.report.palette import light

__all__ = ["plot_coverage"]


def plot_coverage(coverage: Mapping[str, Any], path: str | os.PathLike[str], title: str) -> None:
    """Draw the best IoU by size and aspect ratio of the truths, their number, and recall by IoU.

    ``coverage`` is that of :meth:`fastbox.jobs.Assigned.to_dict`; the format follows the path's extension.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    figure = new_figure((12, 6.4))
    found = coverage["map"]
    means = np.array([[np.nan if v is None else v for v in row] for row in found["mean_best_iou"]], float)
    counts = np.array(found["truths"])
    sides, aspects = np.log2(found["sides"]), np.log2(found["aspect_ratios"])
    columns = np.flatnonzero(counts.any(axis=0))
    shown = slice(columns[0], columns[-1] + 1) if columns.size else slice(0, 1)
    edges = sides[shown.start : shown.stop + 1]

    heat, tall, curve = _axes(figure)
    mesh = heat.pcolormesh(edges, aspects, np.ma.masked_invalid(means[:, shown]), cmap="viridis", vmin=0, vmax=1)
    bar = figure.colorbar(mesh, ax=heat, pad=0.015, aspect=30)
    bar.set_label("mean best IoU", color=INK)
    bar.outline.set_visible(False)
    heat.set_ylabel("height / width, log scale")
    heat.set_yticks(aspects[::2], [_ratio(a) for a in aspects[::2]])
    tall.stairs(counts[:, shown].sum(axis=0), edges, fill=True, color=light("truth"))
    tall.set_ylabel("truths")
    for axis in (heat, tall):
        axis.set_xlim(edges[0], edges[-1])
        axis.set_xticks(edges[::2], [f"{2**e:g}" for e in edges[::2]])
    tall.set_xlabel("√area in pixels of the resized image, log scale")
    thresholds = [float(t) for t in coverage["recall"]]
    parts = {"all": coverage, **coverage["by_size"]}
    fullness = dict(zip(("small", "medium", "large"), (1.0, 0.7, 0.4), strict=True))
    for name, part in parts.items():
        recall = [np.nan if r is None else r for r in part["recall"].values()]
        curve.plot(
            thresholds,
            recall,
            color=light("ink" if name == "all" else "truth"),
            alpha=fullness.get(name, 1.0),
            linewidth=2.4 if name == "all" else 1.6,
            label=f"{name} ({part['truths']:,})",
        )
    curve.set_ylim(0, 1.02)
    curve.set_xlim(thresholds[0], thresholds[-1])
    curve.set_xlabel("IoU")
    curve.set_title("share of truths with at least this best IoU", loc="left", fontsize=10, color=INK)
    curve.grid(color=GRID)
    curve.legend(frameon=False, fontsize=9, loc="lower left")
    for axis in (heat, tall, curve):
        tidy(axis)
    figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold", color=INK)
    save(figure, path)


def _axes(figure: Any) -> tuple[Any, Any, Any]:
    """A wide map with the counts below it, and the curves on the right."""
    grid = figure.add_gridspec(2, 2, width_ratios=(2, 1), height_ratios=(2.2, 1))
    return figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[:, 1])


def _ratio(exponent: float) -> str:
    return f"{2**exponent:g}" if exponent >= 0 else f"1/{2**-exponent:g}"
