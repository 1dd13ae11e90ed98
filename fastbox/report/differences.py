"""Differences of figures as text: with their sign, their interval, and the names of models cut to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE, counted, share

__all__ = ["LONGEST", "against", "answer", "figure", "short", "signed", "spread", "without"]

LONGEST = 24  # characters of the name of a model
LEAST_SHARE = 0.001  # of samples, in percent with one decimal


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


def against(row: Mapping[str, Any], samples: int) -> str:
    """Return the share of the samples that speak against a difference; a bound where no sample does.

    >>> against({"other_side": 0.0}, 1000), against({"other_side": 0.25}, 1000), against({"other_side": None}, 0)
    ('< 0.1%', '25.0%', '–')
    >>> against({"other_side": 0.0}, 20)
    '< 5.0%'
    """
    found = row["other_side"]
    least = max(LEAST_SHARE, 1 / max(samples, 1))
    return f"< {share(least)}" if found is not None and found < least else share(found)


def answer(found: Mapping[str, Any], most: int = LONGEST) -> list[str]:
    """Return sentences that say which of two models is better, and how sure that is, given their comparison.

    No sentence where a model has no figure.

    >>> row = {"name": "AP", "difference": -0.166, "low": -0.215, "high": -0.11, "other_side": 0.0}
    >>> answer({"model": "a", "other": "b", "samples": 1000, "level": 0.95, "differences": [row]})
    ['b is better than a: AP +0.166 (95%: +0.110 to +0.215)', 'a is ahead in 0 of 1,000 samples of the images']
    >>> row = {"name": "AP", "difference": 0.02, "low": -0.01, "high": 0.05, "other_side": 0.125}
    >>> answer({"model": "a", "other": "b", "samples": 1000, "level": 0.95, "differences": [row]})[0]
    'Not decided: a has the higher AP, +0.020 (95%: -0.010 to +0.050)'
    """
    row, models = found["differences"][0], [short(found[side], most) for side in ("model", "other")]
    gap = row["difference"]
    if gap is None:
        return []
    name, low, high = row["name"], row["low"], row["high"]
    if gap == 0:
        return [f"{models[0]} and {models[1]} have the same {name}"]
    if gap < 0:
        models.reverse()
        low, high = (None, None) if low is None else (-high, -low)
    better, worse = models
    if low is None:
        return [f"{better} is better than {worse}: {name} {signed(abs(gap))}"]
    sure = f"{signed(abs(gap))} ({found['level']:.0%}: {spread({'low': low, 'high': high})})"
    drawn = f"{counted(found['samples'], 'samples')} of the images"
    if row["other_side"]:
        end = f"{worse} is ahead or equal in {against(row, found['samples'])} of {drawn}"
    else:
        end = f"{worse} is ahead in 0 of {drawn}"
    if low <= 0:
        return [f"Not decided: {better} has the higher {name}, {sure}", end]
    return [f"{better} is better than {worse}: {name} {sure}", end]


def short(label: Any, most: int = LONGEST) -> str:
    """Return the name of a model on one line, without control characters, cut in its middle where it is long.

    >>> short("a" * 9 + "b" * 9, 9), short("x\\ty"), short(7)
    ('aaaa…bbbb', 'xy', '7')
    """
    plain = " ".join("".join(letter for letter in str(label) if letter.isprintable()).split())
    half = (most - 1) // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"


def without(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence that says which figures have an interval; empty if all have one, or none has one.

    >>> without([{"name": "AP", "low": 0.1}, {"name": "AR1", "low": None}])
    '–: intervals are given for AP only'
    """
    known = [row["name"] for row in rows if row["low"] is not None]
    return f"{NONE}: intervals are given for {', '.join(known)} only" if 0 < len(known) < len(rows) else ""
