"""The figure of `fastbox experiment disagreement`: distances against overlap."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report.figures.base import FAINT, GRID, INK, new_figure, save, tidy
from fastbox.report.numbers import counted
from fastbox.report.palette import SERIES, light
from fastbox.report.terminal.disagreement import distance_title

__all__ = ["plot_disagreement"]

TARGET, PREDICTED = light("truth"), light("detection")
SIZE_COLORS = dict(zip(("all", "small", "medium", "large"), map(light, SERIES), strict=False))
FEW = 20  # pairs at a distance, below which their quantiles are not drawn


def plot_disagreement(
    summary: Mapping[str, Any], density: Mapping[str, NDArray[Any]], path: str | os.PathLike[str]
) -> None:
    """Draw IoU over L2 distance, the rank correlations, and the examples to scale.

    ``summary`` and ``density`` are the results of ``to_dict`` and ``density`` of :class:`fastbox.jobs.Disagreement`;
    the format follows the path's extension.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    examples = summary["examples"]
    figure = new_figure((12, 5.6))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), height_ratios=(1, 2.1) if examples else (1, 0.01))
    _draw_density(figure, figure.add_subplot(grid[:, 0]), density)
    _draw_correlations(figure.add_subplot(grid[0, 1]), summary)
    if examples:
        inner = grid[1, 1].subgridspec(2, len(examples))
        for k, example in enumerate(examples):
            for row, name in enumerate(("near", "far")):
                _draw_example(figure.add_subplot(inner[row, k]), example, name)
    title = f"{counted(summary['pairs'], 'pairs')}: equal distance, different overlap"
    figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold", color=INK)
    save(figure, path)


def _draw_density(figure: Any, axes: Any, density: Mapping[str, NDArray[Any]]) -> None:
    """Draw the number of pairs by distance and IoU, with the quantiles of IoU at each distance."""
    from matplotlib.colors import LogNorm
    from matplotlib.patheffects import withStroke

    counts, edges = density["counts"], density["distances"]
    filled = np.flatnonzero(counts.sum(axis=1))
    shown = slice(filled[0], filled[-1] + 1) if filled.size else slice(0, 1)
    mesh = axes.pcolormesh(
        edges[shown.start : shown.stop + 1],
        density["values"],
        np.ma.masked_equal(counts[shown], 0).T,
        norm=LogNorm(1, max(int(counts.max()), 2)),
        cmap="Blues",
    )
    middle = np.sqrt(edges[:-1] * edges[1:])
    enough = counts.sum(axis=1) >= FEW
    for band, style, width in zip(density["bands"], ("--", "-", "--"), (1.3, 2.2, 1.3), strict=True):
        axes.plot(middle[enough], band[enough], style, color=INK, linewidth=width)
    if enough.any():
        drawn = np.flatnonzero(enough)
        for share, band, name in zip((0.25, 0.6, 0.75), density["bands"], ("5%", "median", "95%"), strict=True):
            k = drawn[int(share * (len(drawn) - 1))]
            halo = [withStroke(linewidth=3, foreground="white")]
            near = {"xytext": (5, 5), "textcoords": "offset points", "fontsize": 9, "fontweight": "bold"}
            axes.annotate(name, (middle[k], band[k]), color=INK, path_effects=halo, **near)
    axes.set_xscale("log")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(lambda pixels, _: f"{pixels:g}")
    axes.set_xlabel("L2 distance of the corners, in pixels, log scale")
    axes.set_title("IoU of pairs, by their distance", loc="left", fontsize=10, color=INK)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=40)
    bar.set_label("pairs", color=INK)
    bar.outline.set_visible(False)
    tidy(axes)


def _draw_correlations(axes: Any, summary: Mapping[str, Any]) -> None:
    """A row for each distance, a dot for each size: filled for IoU, open for GIoU."""
    names = list(reversed(summary["rank_correlation"]))
    for y, distance in enumerate(names):
        for metric, found in summary["rank_correlation"][distance].items():
            for size, color in SIZE_COLORS.items():
                if found[size] is not None:
                    axes.plot(
                        found[size],
                        y + (0.13 if metric == "iou" else -0.13),
                        "o",
                        markersize=8 if size == "all" else 6,
                        markerfacecolor=color if metric == "iou" else "white",
                        markeredgecolor=color,
                        markeredgewidth=1.5,
                    )
    for size, color in SIZE_COLORS.items():
        axes.plot([], [], "o", color=color, label=size, markersize=6)
    axes.plot([], [], "o", color=FAINT, label="with IoU", markersize=6)
    axes.plot([], [], "o", markerfacecolor="white", markeredgecolor=FAINT, label="with GIoU", markersize=6)
    axes.set_xlim(-1.02, 0.02)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.set_yticks(range(len(names)), [distance_title(name) for name in names])
    axes.grid(axis="x", color=GRID)
    axes.set_title("rank correlation: -1 agreement, 0 no relation", loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=8, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.12), handletextpad=0.1)
    tidy(axes)


def _draw_example(axes: Any, example: Mapping[str, Any], name: str) -> None:
    """A target in green and its prediction in orange, in the same scale as the pair above or below."""
    from matplotlib.patches import Rectangle

    pair = example[name]
    spans = []
    for one in (example["near"], example["far"]):
        corners = np.array([one["pred"], one["target"]])
        spans.append(corners[:, 2:].max(axis=0) - corners[:, :2].min(axis=0))
    reach = 0.54 * float(np.max(spans))
    corners = np.array([pair["pred"], pair["target"]])
    x, y = (corners[:, 2:].max(axis=0) + corners[:, :2].min(axis=0)) / 2
    for box, edge, fill in ((pair["target"], TARGET, "none"), (pair["pred"], PREDICTED, PREDICTED)):
        size = {"width": box[2] - box[0], "height": box[3] - box[1]}
        axes.add_patch(Rectangle((box[0], box[1]), **size, facecolor=fill, alpha=0.25, edgecolor="none"))
        axes.add_patch(Rectangle((box[0], box[1]), **size, facecolor="none", edgecolor=edge, linewidth=1.8))
    axes.set_xlim(x - reach, x + reach)
    axes.set_ylim(y + reach, y - reach)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(f"L2 {pair['l2']:.1f} px, IoU {pair['iou']:.2f}", fontsize=9, fontweight="bold", color=INK, pad=2)
