"""The confusion matrix and the operating points of an evaluation on its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastbox.kernels.metrics import title_of
from fastbox.report.best_scores import best_score, intervals_of_best, name_of
from fastbox.report.confused import most_confused, said, table_of
from fastbox.report.numbers import NONE, limits
from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Section, Table
from fastbox.report.page.plots import heat_map, lines

__all__ = ["confused", "operated"]

CLASSES = 11  # whose counts are drawn
PAIRS = 50


def confused(summary: Mapping[str, Any]) -> list[Section]:
    """Return the section of the confusion matrix, if there is one."""
    if "confusion" not in summary or not summary["confusion"]["counts"]:
        return []
    names, rows = table_of(summary, CLASSES)
    counts = np.array(rows, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=(totals > 0) & (counts > 0))
    plot = heat_map(
        "Shares of the truths of a class",
        shares[::-1],
        names,
        names[::-1],
        across="class of the detection",
        up="class of the truth",
        role="match",
    )
    pairs = most_confused(summary, PAIRS, background=True)
    table = Table(
        "Most frequent confusions",
        [
            Column("truth", [found.truth for found in pairs]),
            Column("detection", [found.detection for found in pairs]),
            cells.counts("count", [found.boxes for found in pairs]),
            cells.shares("of the truths", [found.share for found in pairs]),
        ],
        "pairs",
    )
    fit = title_of(summary["rules"]["metric"])
    text = (
        f"Boxes match one to one by their {fit}, whatever their classes are, at {said(summary)}. The "
        f"{len(names) - 1} classes that are confused most are drawn. Background as truth: nothing is there; as "
        "detection: the truth is missed by detections of this score; errors count truths missed by those of any score."
    )
    return [Section("Confusion of classes", text, [plot, table])]


def operated(summary: Mapping[str, Any]) -> Section:
    """Return the section of precision, recall and F by score."""
    found = summary["operating_points"]
    curves = found["curves"]
    order = slice(None, None, -1)
    name = name_of(found)
    series = {"precision": curves["precision"][order], "recall": curves["recall"][order], name: curves["f"][order]}
    plot = lines("Precision and recall by score", curves["scores"][order], series, across="least score", up="share")
    sentences = [best_score(found), " · ".join(intervals_of_best(found))]
    text = " ".join(f"{sentence}." for sentence in sentences if sentence) or NONE
    return Section("Choice of a score", text, [plot, *_best_scores(summary["by_class"], name)])


def _best_scores(by_class: Sequence[Mapping[str, Any]], name: str) -> list[Table]:
    """Return the table of the best score of each class and the figures there, if there are several classes."""
    if len(by_class) < 2:
        return []
    classes = sorted(by_class, key=lambda found: -found["truths"])
    best = [found["best"] for found in classes]
    table = Table(
        f"Score where {name} of a class is highest",
        [
            Column("class", [found["name"] or str(found["class"]) for found in classes]),
            cells.counts("truths", [found["truths"] for found in classes]),
            *_with_interval("best score", "score", best),
            *_with_interval("precision", "precision", best),
            *_with_interval("recall", "recall", best),
            *_with_interval(name, "f", best),
        ],
        "classes",
    )
    return [table]


def _with_interval(title: str, name: str, best: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the column of a figure of the best score of each class, and that of its interval if there are any."""
    columns = [cells.figures(title, [own[name] for own in best], 3)]
    if "intervals" in best[0]:
        found = [own["intervals"][name] for own in best]
        columns.append(Column("95%", list(map(limits, found)), [low for low, _ in found]))
    return columns
