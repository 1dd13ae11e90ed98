"""The figures that only one benchmark has, as sections of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Section, Stroke, Table
from fastbox.report.page.plots import lines
from fastbox.report.terminal.benchmark import ASIDE, ASIDE_SAID

__all__ = ["benchmark_sections"]


def benchmark_sections(summary: Mapping[str, Any]) -> list[Section]:
    """Return the sections of the benchmark's own figures: none for COCO's."""
    if summary.get("difficulties"):
        return [_difficulties(summary["difficulties"])]
    return [_crowds(summary)] if "jaccard" in summary else []


def _difficulties(found: Sequence[Mapping[str, Any]]) -> Section:
    recalls = [step / 40 for step in range(41)]
    plots = [
        lines(
            f"{kind}: precision at 41 recalls",
            recalls,
            {row["difficulty"]: row["precision"] for row in found if row["class"] == kind},
            across="recall",
            up="precision",
        )
        for kind in dict.fromkeys(row["class"] for row in found)
    ]
    counts = ("truths", "true", "false", "missed", *ASIDE)
    known = {name: [None if row[name] < 0 else row[name] for row in found] for name in ("AP40", "AP11")}
    table = Table(
        "Classes by difficulty",
        [
            Column("class", [row["class"] for row in found]),
            Column("difficulty", [row["difficulty"] for row in found]),
            *(cells.figures(name, values, 3) for name, values in known.items()),
            *(cells.counts(name.replace("_", " "), [row[name] for row in found]) for name in counts),
        ],
    )
    return Section("Difficulties", f"{ASIDE_SAID[0].upper()}{ASIDE_SAID[1:]}.", [*plots, table])


def _crowds(summary: Mapping[str, Any]) -> Section:
    index, misses, outcomes = summary["jaccard"], summary["miss_rates"], summary["outcomes"]
    score, rate = [found["score"] for found in index], [found["false_per_image"] for found in misses]
    plots = [
        lines(
            "Jaccard index by score",
            score,
            {"JI": [found["JI"] for found in index]},
            across="score above",
            up="JI",
            strokes=[Stroke("match")],
        ),
        lines(
            "Miss rate by false positives per image",
            rate,
            {"miss rate": [found["miss_rate"] for found in misses]},
            across="false positives",
            up="miss rate",
            strokes=[Stroke("problem")],
        ),
    ]
    by_score = Table(
        "Matches by score",
        [
            Column("score above", [f"{value:.1f}" for value in score], score),
            cells.figures("JI", [found["JI"] for found in index], 3),
            *(cells.counts(name, [found[name] for found in index]) for name in ("matches", "truths", "detections")),
        ],
    )
    text = (
        "The Jaccard index is the share of matches among all boxes of an image, averaged over images; boxes in ignored "
        "regions that match nothing are left out. MR-2 is the log-average of the miss rate. Detections: "
        f"{outcomes['true']:,} true, {outcomes['false']:,} false, {outcomes['ignored']:,} ignored."
    )
    return Section("Crowds", text, [*plots, by_score])
