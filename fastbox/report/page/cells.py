"""Columns of tables that several pages have."""

from __future__ import annotations

from collections.abc import Sequence

from fastbox.report import numbers
from fastbox.report.page.contents import Column

__all__ = ["counts", "figures", "places", "shares"]


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
