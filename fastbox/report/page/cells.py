"""Columns of tables, and labels of boxes, that several pages have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastbox.report import numbers
from fastbox.report.page.contents import Column

__all__ = ["counts", "figures", "places", "shape", "shares"]

STRAIGHT = 1e-3  # the tolerance, as a share of the sides, of corners that make a rectangle


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


def shape(outline: Sequence[float]) -> str:
    """Return the sides and the angle of a rotated rectangle, given its corners; of another shape that it has four."""
    corners = np.reshape(outline, (4, 2))
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    wide, high = np.hypot(*first), np.hypot(*second)
    uneven = np.abs(corners[0] + corners[2] - corners[1] - corners[3]).max()
    if uneven > STRAIGHT * max(wide, high) or abs(first @ second) > STRAIGHT * wide * high:
        return "quadrilateral"
    angle = np.degrees(np.arctan2(first[1], first[0])) if wide else 0.0
    return f"{numbers.number(wide)} × {numbers.number(high)}, {round(float(angle), 1) + 0.0:g}°"
