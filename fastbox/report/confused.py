"""The confusion matrix of an evaluation, in parts for a terminal and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fastbox._record import NamedTuple
from fastbox.kernels.metrics import title_of

__all__ = ["BACKGROUND", "Confused", "most_confused", "said"]

BACKGROUND = "background"


class Confused(NamedTuple):
    """A pair of different classes, or of a class and the background, and the share of the truths of the class."""

    truth: str
    detection: str
    boxes: int
    share: float | None


def said(summary: Mapping[str, Any]) -> str:
    """Return the conditions of the matrix.

    >>> said({"confusion": {"iou": 0.5, "score": 0.25}, "rules": {"metric": "iou"}})
    'IoU ≥ 0.50 and score ≥ 0.250'
    """
    found = summary["confusion"]
    score = "any score" if found["score"] is None else f"score ≥ {found['score']:.3f}"
    return f"{title_of(summary['rules']['metric'])} ≥ {found['iou']:.2f} and {score}"


def names_of(summary: Mapping[str, Any]) -> dict[Any, str]:
    """Return the names of classes by label, and of the background."""
    classes = {found["class"]: found["name"] or f"class {found['class']}" for found in summary["by_class"]}
    return {None: "any class", **classes, BACKGROUND: BACKGROUND}


def most_confused(summary: Mapping[str, Any], most: int, *, background: bool) -> list[Confused]:
    """Return the most frequent pairs of different classes, with or without those of the background."""
    names, counts = names_of(summary), summary["confusion"]["counts"]
    truths: Counter[Any] = Counter()
    for entry in counts:
        truths[entry["truth"]] += entry["count"]
    apart = [
        Confused(
            names[entry["truth"]],
            names[entry["detection"]],
            entry["count"],
            None if entry["truth"] == BACKGROUND else entry["count"] / truths[entry["truth"]],
        )
        for entry in counts
        if entry["truth"] != entry["detection"] and (background or BACKGROUND not in entry.values())
    ]
    return sorted(apart, key=lambda found: -found.boxes)[:most]


def table_of(summary: Mapping[str, Any], most: int) -> tuple[list[str], list[list[int]]]:
    """Return the matrix of the classes that are confused most, and of the background: names, and rows of counts."""
    names, counts = names_of(summary), summary["confusion"]["counts"]
    apart: Counter[Any] = Counter()
    for entry in counts:
        if entry["truth"] != entry["detection"]:
            apart.update({entry["truth"]: entry["count"], entry["detection"]: entry["count"]})
    del apart[BACKGROUND]
    labels = [label for label, _ in apart.most_common(most)]
    order: Sequence[Any] = [*(found["class"] for found in summary["by_class"] if found["class"] in labels), BACKGROUND]
    there = {(entry["truth"], entry["detection"]): entry["count"] for entry in counts}
    rows = [[there.get((truth, detection), 0) for detection in order] for truth in order]
    return [names[label] for label in order], rows
