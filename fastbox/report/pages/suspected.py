"""The page of `fastbox suspects`: counts by kind, and drawings of the suspects to look at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE, counted, decimals
from fastbox.report.page.cells import counts, figures
from fastbox.report.page.contents import Box, Column, Example, Examples, Figure, Page, Section, Table
from fastbox.report.page.plots import bars
from fastbox.report.rules import suspected_rules
from fastbox.report.suspicions import MEANINGS, class_of, evidence, invalid_of

__all__ = ["suspected_page"]


def suspected_page(summary: Mapping[str, Any]) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.suspects`, given its ``to_dict``."""
    sides = [counted(summary[kind], kind) for kind in ("detections", "truths", "images")]
    lead = ", ".join([f"{sides[0]} against {sides[1]} in {sides[2]}", *invalid_of(summary)])
    lead = ". Warning: ".join([lead, *summary["warnings"]])
    total = sum(found["count"] for found in summary["kinds"])
    shown = [
        Figure("suspects", f"{total:,}", "truths, and objects without a truth"),
        *(Figure(found["kind"], f"{found['count']:,}", MEANINGS[found["kind"]]) for found in summary["kinds"]),
    ]
    sections = [_kinds(summary["kinds"]), *_drawn(summary)]
    return Page("Suspects among the truths", lead, shown, sections, suspected_rules(summary["rules"]))


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> Section:
    names = [found["kind"] for found in kinds]
    table = Table(
        "Suspects by kind",
        [
            Column("kind", names),
            Column("definition", [MEANINGS[name] for name in names]),
            counts("suspects", [found["count"] for found in kinds]),
            figures("highest suspicion", [found["highest"] for found in kinds], 2),
        ],
    )
    plot = bars("Suspects by kind", {found["kind"]: float(found["count"]) for found in kinds}, role="problem")
    text = (
        "The suspicion of a suspect is from 0 to 1: score times IoU (wrong class, duplicate), score (missing, badly "
        "placed), or the share of such objects that is found (spurious); of several models the mean."
    )
    return Section("Kinds", text, [plot, table])


def _drawn(summary: Mapping[str, Any]) -> list[Section]:
    """The suspects with the highest suspicion, drawn to scale and as rows to look up."""
    suspects, models = summary["suspects"], summary["rules"]["models"]
    if not suspects:
        return []
    count = {found["kind"]: found["count"] for found in summary["kinds"]}
    drawn = [
        Examples(f"{kind}: {MEANINGS[kind]} ({count[kind]:,})", examples)
        for kind in count
        if (examples := [_example(one, models) for one in suspects if one["kind"] == kind])
    ]
    text = (
        "Of each kind the suspects with the highest suspicion, drawn to scale. The truth in question is red, the "
        "detection with the strongest claim is orange, the other truth of a duplicate is green."
    )
    return [Section("Examples", text, drawn), Section("Rows", "The same suspects, to look them up.", [_table(summary)])]


def _example(one: Mapping[str, Any], models: int) -> Example:
    boxes = []
    if one["other_box"] is not None:
        boxes.append(_box(one["other_box"], f"truth {one['other']:,}", "truth"))
    if one["truth_box"] is not None:
        boxes.append(_box(one["truth_box"], f"truth: {class_of(one, 'truth_class')}", "problem"))
    if one["detection_box"] is not None:
        side = "truth_class" if one["suggested_class"] is None else "suggested_class"
        boxes.append(_box(one["detection_box"], f"{class_of(one, side)} {one['score']:.2f}", "detection"))
    row = f"detection {one['detection']:,}" if one["truth"] is None else f"truth {one['truth']:,}"
    said = evidence(one, models)
    caption = f"image {one['image_id']}, {row}: suspicion {one['suspicion']:.2f}{f', {said}' if said else ''}"
    return Example(caption, boxes, str(one["image_id"]))


def _box(corners: Sequence[float], label: str, role: str) -> Box:
    x0, y0, x1, y1 = corners
    return Box((x0, y0, x1, y1), label, role)


def _table(summary: Mapping[str, Any]) -> Table:
    suspects, models = summary["suspects"], summary["rules"]["models"]
    rows = [one["truth"] for one in suspects]
    return Table(
        counted(len(suspects), "suspects"),
        [
            Column("kind", [one["kind"] for one in suspects]),
            Column("image", [str(one["image_id"]) for one in suspects]),
            Column("truth", [NONE if row is None else f"{row:,}" for row in rows], rows),
            Column("class", [class_of(one, "truth_class") for one in suspects]),
            Column("suggested", [class_of(one, "suggested_class") for one in suspects]),
            Column(
                "suspicion", [decimals(one["suspicion"], 2) for one in suspects], [one["suspicion"] for one in suspects]
            ),
            Column("evidence", [evidence(one, models) for one in suspects]),
        ],
        "suspects",
    )
