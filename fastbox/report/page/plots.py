"""Plots for a page: drawn by matplotlib, as SVG in the page's own colours, as wide as their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report.figures.base import new_figure
from fastbox.report.numbers import edge
from fastbox.report.page.contents import FULL, NARROW, WIDE, Plot, Scale, Stroke
from fastbox.report.page.svg import STAND_INS, svg
from fastbox.report.page.text import plain
from fastbox.report.palette import SERIES

__all__ = ["bars", "heat_map", "histogram", "intervals", "lines", "shades", "shape_maps"]

INK, FAINT, GRID, CARD = (STAND_INS[role] for role in ("ink", "faint", "grid", "card"))
HIGH = 2.6  # inches
NAME, SHORT = 24, 14  # characters of a name beside a wide and a narrow plot
LETTERS = 10
PALE, DEEP = 0.08, 0.88  # opacity of the colours of a heat map at both ends

Drawing = Callable[[Any, float], None]


def shades(role: str, count: int) -> list[Stroke]:
    """Strokes in one role's colour, ever fainter and with ever shorter dashes."""
    dashes = ((), (7.0, 2.0), (4.0, 2.0), (1.5, 1.5))
    return [Stroke(role, 1 - 0.6 * k / max(count, 2), dashes[min(k, 3)]) for k in range(count)]


def histogram(
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    unit: str = "",
    things: str = "values",
    role: str = "match",
    log: bool = False,
) -> Plot:
    """Counts of things between edges; with ``log`` the edges are doublings, and each bin is as wide as the next."""
    shown = np.array(counts, np.float64)
    places = np.arange(len(edges)) if log else np.array(edges)
    across = ", ".join(filter(None, [plain(unit), "log scale" if log else ""]))

    def draw(axes: Any, width: float) -> None:
        axes.bar(places[:-1], shown, np.diff(places), align="edge", color=STAND_INS[role], edgecolor=CARD, linewidth=1)
        if log:
            step = max(1, -(-len(edges) // ({NARROW: 6, WIDE: 9, FULL: 20}[width])))
            axes.set_xticks(places[::step], [edge(value) for value in list(edges)[::step]])
        else:
            axes.locator_params(axis="x", nbins={NARROW: 4, WIDE: 6, FULL: 11}[width])
        axes.locator_params(axis="y", nbins=4, integer=True)
        most = 1.05 * float(shown.max(initial=0))
        axes.yaxis.set_major_formatter("{x:,.0f}" if most < 1e5 else lambda count, _: _count(count))
        axes.set_ylim(0, max(1.0, most))
        axes.set_xlabel(_cut(across, 2 * NAME))
        axes.set_ylabel(_cut(things, NAME))
        axes.grid(axis="y", color=GRID, linewidth=0.8)

    total = int(shown.sum())
    top = int(np.argmax(shown)) if total else 0
    bin_ = f"{edges[top]:g} to {edges[top + 1]:g} {plain(unit)}".strip()
    return _plot(draw, title, f"{total:,} {plain(things)}; most of them, {int(shown[top]):,}, from {bin_}")


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    *,
    across: str,
    up: str,
    strokes: Sequence[Stroke] | None = None,
    diagonal: str = "",
    limits: tuple[float, float] | None = (0, 1),
) -> Plot:
    """Curves over one axis, named in a legend; ``diagonal`` names a broken line from 0 to 1."""
    drawn = strokes or [Stroke(SERIES[k % len(SERIES)]) for k in range(len(series))]
    legend = list(zip(series, drawn, strict=True))

    def draw(axes: Any, width: float) -> None:
        if diagonal:
            axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for values, stroke in zip(series.values(), drawn, strict=True):
            y = np.array([np.nan if value is None else value for value in values])
            style: Any = (0, stroke.dashes) if stroke.dashes else "-"
            mark = "o" if len(x) <= 25 else ""
            color = STAND_INS[stroke.role]
            axes.plot(
                x, y, color=color, alpha=stroke.alpha, linestyle=style, linewidth=1.8, marker=mark, markersize=3.5
            )
        if limits is not None:
            axes.set_ylim(limits[0], limits[1] * 1.02)
        axes.locator_params(axis="x", nbins=10 if width == FULL else 5)
        axes.locator_params(axis="y", nbins=5)
        axes.set_xlabel(_cut(across, NAME))
        axes.set_ylabel(_cut(up, NAME))
        axes.grid(color=GRID, linewidth=0.8)

    says = "; ".join(f"{plain(name)}: {_span(values)}" for name, values in series.items())
    named = [*legend, *([(diagonal, Stroke("faint", 1.0, (4.0, 3.0)))] if diagonal else [])]
    return _plot(draw, title, f"{plain(up)} over {plain(across)}. {says}", legend=named if len(named) > 1 else ())


def bars(
    title: str, values: Mapping[str, float], *, form: str = "{:,.0f}", role: str = "box", across: str = ""
) -> Plot:
    """A bar for each name, the first on top, with its value at the end."""
    places = np.arange(len(values))[::-1]

    def draw(axes: Any, width: float) -> None:
        names = [_cut(name, SHORT if width == NARROW else NAME) for name in values]
        axes.barh(places, list(values.values()), 0.66, color=STAND_INS[role])
        axes.set_yticks(places, names)
        for place, value in zip(places, values.values(), strict=True):
            at = (max(value, 0), place)
            axes.annotate(
                form.format(value), at, (5, 0), textcoords="offset points", va="center", color=INK, fontsize=LETTERS
            )
        axes.set_xticks([])
        axes.set_xlabel(_cut(across, 2 * NAME))
        axes.margins(x=0.22)
        axes.spines["bottom"].set_visible(False)
        axes.axvline(0, color=GRID, linewidth=1)
        axes.tick_params(left=False)

    says = "; ".join(f"{plain(name)}: {form.format(value)}" for name, value in values.items())
    return _plot(draw, title, says, high=max(1.1, 0.31 * len(values) + 0.5))


def intervals(
    title: str, values: Mapping[str, tuple[float, float, float]], *, role: str = "detection", across: str = ""
) -> Plot:
    """A dot for each name, the first on top, with a line from a low to a high value, beside a line at 0."""
    places = np.arange(len(values))[::-1]
    middle, low, high = np.array(list(values.values()), np.float64).reshape(-1, 3).T

    def draw(axes: Any, width: float) -> None:
        axes.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        axes.hlines(places, low, high, color=STAND_INS[role], linewidth=2)
        axes.plot(middle, places, "o", color=STAND_INS[role], markersize=5)
        axes.set_yticks(places, [_cut(name, SHORT if width == NARROW else NAME) for name in values])
        axes.set_ylim(-0.6, len(values) - 0.4)
        axes.locator_params(axis="x", nbins=4 if width == NARROW else 7)
        axes.set_xlabel(_cut(across, 2 * NAME))
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.tick_params(left=False)

    says = "; ".join(
        f"{plain(name)}: {own:+.3f}, from {least:+.3f} to {most:+.3f}" for name, (own, least, most) in values.items()
    )
    return _plot(draw, title, says, high=max(1.4, 0.31 * len(values) + 0.8))


def heat_map(
    title: str,
    values: NDArray[np.float64],
    x: Sequence[str],
    y: Sequence[str],
    *,
    across: str,
    up: str,
    form: str = "{:.2f}",
    role: str = "match",
) -> Plot:
    """A field of values, nan where there is none: the higher, the fuller its colour; x and y name the cells."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)

    def draw(axes: Any, width: float) -> None:
        written = len(x) <= (6 if width == NARROW else 12)
        for row, column in np.argwhere(np.isfinite(values)).tolist():
            value = values[row, column]
            share = (value - low) / (high - low) if high > low else 1.0
            axes.add_patch(_square(column, row, STAND_INS[role], PALE + (DEEP - PALE) * share))
            if written:
                axes.text(column, row, form.format(value), ha="center", va="center", color=INK, fontsize=8)
        axes.set_xlim(-0.5, len(x) - 0.5)
        axes.set_ylim(-0.5, len(y) - 0.5)
        step = max(1, -(-len(x) // (5 if width == NARROW else 9)))
        axes.set_xticks(range(0, len(x), step), [_cut(name, 12) for name in list(x)[::step]])
        axes.set_yticks(range(len(y)), [_cut(name, SHORT if width == NARROW else NAME) for name in y])
        axes.set_xlabel(_cut(across, 2 * NAME))
        axes.set_ylabel(_cut(up, 2 * NAME))
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)

    ends = form.format(low), form.format(high)
    says = f"{plain(up)} and {plain(across)}; from {ends[0]} to {ends[1]}, fuller is higher"
    return _plot(draw, title, says, high=max(2.2, 0.26 * len(y) + 0.8), scale=Scale(*ends, role))


def shape_maps(
    means: tuple[str, Sequence[Sequence[float | None]]],
    numbers_of: tuple[str, Sequence[Sequence[int]]],
    sides: Sequence[str],
    shapes: Sequence[str],
    up: str,
    role: str = "match",
) -> list[Plot]:
    """Return two heat maps by size and shape: a mean, and its number of boxes.

    Parameters
    ----------
    means, numbers_of : (title, rows)
        The cells of each map, a row for each shape, a column for each side.
    sides, shapes : sequence of str
        The names of columns and rows.
    up : str
        The name of the axis of shapes.
    role : str
        The colour of the map of numbers.
    """
    found = np.array(numbers_of[1], np.float64)
    axes: dict[str, Any] = {"across": "√area from, px, log scale", "up": up}
    return [
        heat_map(means[0], _known(means[1]), sides, shapes, **axes),
        heat_map(numbers_of[0], np.where(found > 0, found, np.nan), sides, shapes, form="{:,.0f}", role=role, **axes),
    ]


def _known(rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """A field of values, nan where there is none."""
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)


def _square(column: int, row: int, color: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=color, alpha=alpha, linewidth=0)


def _count(count: float) -> str:
    """Return a count as text for an axis."""
    return f"{count:,.0f}" if count < 1e5 else f"{count / 1e6:,g}M" if count >= 1e6 else f"{count / 1e3:,g}k"


def _axes(width: float, high: float) -> tuple[Any, Any]:
    figure = new_figure((width, high))
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GRID, labelcolor=FAINT, labelsize=LETTERS)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(FAINT)
        axis.label.set_fontsize(LETTERS)
    return figure, axes


def _cut(text: str, most: int) -> str:
    """A text that leaves room for the plot."""
    shown = plain(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _span(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return f"{min(known):.3g} to {max(known):.3g}" if known else "nothing"


def _plot(draw: Drawing, title: str, says: str, *, high: float = HIGH, **more: Any) -> Plot:
    """Return the plot, which is drawn when the page asks for one of its widths."""

    def drawn(width: float) -> str:
        figure, axes = _axes(width, high)
        draw(axes, width)
        return svg(figure, plain(title), says)

    return Plot(drawn, title, says, **more)
