"""Sentences on the score where F is highest, for a terminal and a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import limits

__all__ = ["best_score", "intervals_of_best", "name_of"]


def name_of(found: Mapping[str, Any]) -> str:
    """Return the name of F.

    >>> name_of({"beta": 0.5})
    'F0.5'
    """
    return f"F{found['beta']:g}"


def best_score(found: Mapping[str, Any]) -> str:
    """Return the best score over all classes, and the figures there; empty without one.

    >>> best_score({"beta": 1.0, "best": {"score": 0.5, "precision": 0.8, "recall": 0.8, "f": 0.8}})
    'F1 is highest, 0.800, for score ≥ 0.500: precision 0.800, recall 0.800'
    """
    best = found["best"]
    if best["score"] is None:
        return ""
    if not best["f"]:
        return f"{name_of(found)} is 0 for every score: no detection matches"
    figures = f"precision {best['precision']:.3f}, recall {best['recall']:.3f}"
    return f"{name_of(found)} is highest, {best['f']:.3f}, for score ≥ {best['score']:.3f}: {figures}"


def intervals_of_best(found: Mapping[str, Any]) -> list[str]:
    """Return two lines with the intervals of the best score over all classes and of the figures there, if drawn.

    >>> best = {"score": [0.1, 0.3], "precision": [0.6, 0.7], "recall": [0.5, 0.7], "f": [0.6, 0.7]}
    >>> intervals_of_best({"beta": 1.0, "intervals": {"level": 0.95, "best": best}})[0]
    '95% intervals: score 0.100 to 0.300 · F1 0.600 to 0.700'
    """
    if "intervals" not in found:
        return []
    best = {name: limits(pair) for name, pair in found["intervals"]["best"].items()}
    return [
        f"{found['intervals']['level']:.0%} intervals: score {best['score']} · {name_of(found)} {best['f']}",
        f"precision {best['precision']} · recall {best['recall']}",
    ]
