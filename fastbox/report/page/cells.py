"""Parts that several pages have: columns of a table, and maps by size and shape of a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.report import numbers
from fastbox.report.page.contents import Column, Plot
from fastbox.report.page.plots import heat_map

__all__ = ["counts", "figures", "filled", "known", "places", "shape_maps", "shares"]


def counts(title: str, values: Sequence[int | None]) -> Column:
    """Return a column of counts."""
    return Column(title, [numbers.count(value) for value in values], list(values))


def places(title: str, rows: Sequence[int | None]) -> Column:
    """Return a column of row numbers, without commas."""
    return Column(title, [numbers.NONE if row is None else str(row) for row in rows], list(rows))


def figures(title: str, values: Sequence[float | None], places: int | None = None) -> Column:
    """Return a column of numbers, with this many decimals or with four significant digits."""
    shown = [numbers.number(value) if places is None else numbers.decimals(value, places) for value in values]
    return Column(title, shown, list(values))


def shares(title: str, values: Sequence[float | None], decimals: int = 1) -> Column:
    """Return a column of shares in percent."""
    return Column(title, [numbers.share(value, decimals) for value in values], list(values))


def filled(edges: Sequence[float], counts: Sequence[int]) -> tuple[Sequence[float], Sequence[int]]:
    """Return the edges and counts of a histogram without its empty ends."""
    some = [k for k, count in enumerate(counts) if count] or [0]
    return edges[some[0] : some[-1] + 2], counts[some[0] : some[-1] + 1]


def known(rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """Return a field of values as an array, nan where there is none."""
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)


def shape_maps(
    means: tuple[str, Sequence[Sequence[float | None]]],
    numbers_of: tuple[str, Sequence[Sequence[int]]],
    sides: Sequence[str],
    shapes: Sequence[str],
    up: str,
    role: str = "match",
) -> list[Plot]:
    """Return two heat maps by size and shape: a mean, and the number of boxes that it is of.

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
        heat_map(means[0], known(means[1]), sides, shapes, **axes),
        heat_map(numbers_of[0], np.where(found > 0, found, np.nan), sides, shapes, form="{:,.0f}", role=role, **axes),
    ]
