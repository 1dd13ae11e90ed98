"""Plots for a page: drawn by matplotlib, as SVG in the page's own colours, light or dark."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report.page.contents import Plot
from fastbox.report.page.write import plain
from fastbox.report.plots import new_figure

__all__ = ["bars", "heat_map", "histogram", "lines"]

# Stand-ins, each the only one of its colour in a plot, that become the page's variables.
INK, FAINT, GRID, CARD = "#010203", "#010204", "#010205", "#010206"
SERIES = tuple(f"#0102{10 + k:02x}" for k in range(5))
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--grid",
    CARD: "--card",
    **{series: f"--c{k}" for k, series in enumerate(SERIES, 1)},
}
WIDE, HIGH = 6.4, 3.4  # inches; a page scales them
SHORT, LONG = 24, 64  # characters of a name that fit beside curves, and below them


def histogram(title: str, edges: Sequence[float], counts: Sequence[int], *, unit: str = "", log: bool = False) -> Plot:
    """Counts between edges; with ``log`` the edges are doublings, and each bin is as wide as the next."""
    figure, axes = _axes(title)
    shown = np.array(counts, np.float64)
    places = np.arange(len(edges)) if log else np.array(edges)
    axes.bar(places[:-1], shown, np.diff(places), align="edge", color=SERIES[1], edgecolor=CARD, linewidth=1)
    if log:
        step = max(1, len(edges) // 8)
        axes.set_xticks(places[::step], [f"{edge:g}" for edge in list(edges)[::step]])
    axes.set_xlabel(_cut(unit, SHORT))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    total = int(shown.sum())
    most = int(np.argmax(shown)) if total else 0
    bin_ = f"{edges[most]:g} to {edges[most + 1]:g} {plain(unit)}".strip()
    return _plot(figure, title, f"{total:,} values; most of them, {int(shown[most]):,}, from {bin_}")


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    *,
    across: str,
    up: str,
    diagonal: bool = False,
    limits: tuple[float, float] | None = (0, 1),
) -> Plot:
    """Curves over one axis, each named at its right end."""
    figure, axes = _axes(title)
    if diagonal:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    marks = "o" if len(x) <= 25 else ""
    for (name, values), color in zip(series.items(), _colors(len(series)), strict=True):
        y = np.array([np.nan if value is None else value for value in values])
        axes.plot(x, y, color=color, linewidth=2, marker=marks, markersize=4, label=_cut(name, LONG))
    if limits is not None:
        axes.set_ylim(limits[0], limits[1] * 1.02)
    axes.set_xlabel(_cut(across, SHORT))
    axes.set_ylabel(_cut(up, SHORT))
    axes.grid(color=GRID, linewidth=0.8)
    if len(series) > 1 or diagonal:
        long = max(map(len, series)) > SHORT
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.17)} if long else {}
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, **below)
    says = "; ".join(f"{plain(name)}: {_span(values)}" for name, values in series.items())
    return _plot(figure, title, f"{plain(up)} over {plain(across)}. {says}")


def bars(title: str, values: Mapping[str, float], *, form: str = "{:,.0f}", color: int = 0) -> Plot:
    """A bar for each name, the first on top, with its value at the end."""
    figure, axes = _axes(title, max(1.2, 0.36 * len(values) + 0.7))
    names = [_cut(name, SHORT) for name in values]
    places = np.arange(len(values))[::-1]
    axes.barh(places, list(values.values()), 0.66, color=SERIES[color])
    axes.set_yticks(places, names)
    for place, value in zip(places, values.values(), strict=True):
        axes.annotate(
            form.format(value), (max(value, 0), place), (5, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_xticks([])
    axes.margins(x=0.16)
    axes.spines["bottom"].set_visible(False)
    axes.axvline(0, color=GRID, linewidth=1)
    axes.tick_params(left=False)
    return _plot(
        figure, title, "; ".join(f"{n}: {form.format(v)}" for n, v in zip(names, values.values(), strict=True))
    )


def heat_map(
    title: str,
    values: NDArray[np.float64],
    x: Sequence[str],
    y: Sequence[str],
    *,
    across: str,
    up: str,
    form: str = "{:.2f}",
) -> Plot:
    """A field of values, nan where there is none: the higher, the fuller its colour; x and y name the cells."""
    figure, axes = _axes(title, max(2.6, 0.34 * len(y) + 1.1))
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    small = len(x) <= 12
    for row in range(len(y)):
        for column in range(len(x)):
            value = values[row, column]
            if not np.isfinite(value):
                continue
            share = (value - low) / (high - low) if high > low else 1.0
            axes.add_patch(_square(column, row, 0.08 + 0.8 * share))
            if small:
                axes.text(column, row, form.format(value), ha="center", va="center", color=INK, fontsize=8)
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.set_ylim(-0.5, len(y) - 0.5)
    stepped = max(1, -(-len(x) // 12))
    axes.set_xticks(range(0, len(x), stepped), [_cut(name, 12) for name in list(x)[::stepped]])
    axes.set_yticks(range(len(y)), [_cut(name, SHORT) for name in y])
    axes.set_xlabel(_cut(across, SHORT))
    axes.set_ylabel(_cut(up, SHORT))
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    return _plot(
        figure,
        title,
        f"{plain(up)} and {plain(across)}; from {form.format(low)} to {form.format(high)}, fuller is higher",
    )


def _square(column: int, row: int, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=SERIES[1], alpha=alpha, linewidth=0)


def _axes(title: str, high: float = HIGH) -> tuple[Any, Any]:
    figure = new_figure((WIDE, high))
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_title(_cut(title, LONG), loc="left", fontsize=11, fontweight="bold", color=INK, pad=10, parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GRID, labelcolor=FAINT, labelsize=9)
    axes.xaxis.label.set_color(FAINT)
    axes.yaxis.label.set_color(FAINT)
    return figure, axes


def _cut(text: str, most: int) -> str:
    """A text that leaves room for the plot."""
    shown = plain(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _colors(count: int) -> list[str]:
    return [SERIES[k % len(SERIES)] for k in range(count)]


def _span(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return f"{min(known):.3g} to {max(known):.3g}" if known else "nothing"


def _plot(figure: Any, title: str, says: str) -> Plot:
    """The figure as SVG that stands in a page: no prologue, ids of its own, the page's colours and fonts."""
    import matplotlib

    target = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "fastbox", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Whoever reads the page sees its text in their own fonts, which may have what ours lack.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        for text in figure.findobj(matplotlib.text.Text):
            text.set_parse_math(False)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    own = f"p{zlib.crc32(svg.encode()):x}-"
    svg = re.sub(r'\bid="', f'id="{own}', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{own}", svg)
    label = f'role="img" aria-labelledby="{own}t {own}d"'
    named = f'<title id="{own}t">{escape(plain(title))}</title><desc id="{own}d">{escape(says)}</desc>'
    svg = re.sub(r"<svg([^>]*)>", lambda found: f"<svg{found[1]} {label}>{named}", svg, count=1)
    return Plot(svg, title, says)
