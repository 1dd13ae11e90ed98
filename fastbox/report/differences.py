"""Differences of figures as text: with their sign, their interval, and the names of models cut to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import NONE

__all__ = ["LONGEST", "figure", "short", "signed", "spread"]

LONGEST = 24  # characters of the name of a model


def figure(value: float) -> str:
    """Return a statistic with three decimals; a dash for -1."""
    return NONE if value < 0 else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign.

    >>> signed(0.0123), signed(-0.5), signed(None)
    ('+0.012', '-0.500', '–')
    """
    return NONE if value is None else f"{value:+.3f}"


def spread(row: Mapping[str, Any]) -> str:
    """Return the interval of a difference.

    >>> spread({"low": -0.01, "high": 0.03}), spread({"low": None, "high": None})
    ('-0.010 to +0.030', '–')
    """
    return NONE if row["low"] is None else f"{signed(row['low'])} to {signed(row['high'])}"


def short(label: Any, most: int = LONGEST) -> str:
    """Return the name of a model on one line, without control characters, cut in its middle where it is long.

    >>> short("a" * 9 + "b" * 9, 9), short("x\\ty"), short(7)
    ('aaaa…bbbb', 'xy', '7')
    """
    plain = " ".join("".join(letter for letter in str(label) if letter.isprintable()).split())
    half = (most - 1) // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"
