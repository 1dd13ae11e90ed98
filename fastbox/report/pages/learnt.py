"""The page of `fastbox assign --points --predictions`: the positive points of truths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import counted, decimals, share
from fastbox.report.page.cells import counts, shares
from fastbox.report.page.contents import Column, Examples, Figure, Page, Section, Table
from fastbox.report.page.plots import bars
from fastbox.report.rules import learnt_rules
from fastbox.values.coco import SIZES

__all__ = ["learnt_page"]

DRAWN = {
    "lost": ("Lost truths", "The largest truths that have candidate points and lose all of them."),
    "starved": ("Starved truths", "The largest truths without a candidate point, with the points around them."),
}


def learnt_page(summary: Mapping[str, Any], examples: Any = None) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.assign_points`, given its ``to_dict`` and its ``examples``."""
    sections = []
    if summary["truths"]:
        sections += [_levels(summary), _truths(summary)]
        if summary["by_class"]:
            text = "Click a column title to sort by it."
            sections.append(Section("Classes", text, [_table("class", summary["by_class"], "classes")]))
    for kind, (title, text) in DRAWN.items() if examples is not None else ():
        for key, found in examples.of(kind).items():
            sections.append(Section(title, text, [Examples(key, found)]))
    lead = f"{counted(summary['truths'], 'truths')} in {counted(summary['images'], 'images')}"
    if summary["ignore_regions"]:
        lead += f", {counted(summary['ignore_regions'], 'regions')} left out"
    return Page("Positive points", lead, _figures(summary), sections, learnt_rules(summary["rules"]))


def _figures(summary: Mapping[str, Any]) -> list[Figure]:
    truths = max(summary["truths"], 1)
    shown = [
        Figure("positive points", f"{summary['positives']:,}", f"{summary['positives'] / truths:.1f} per truth"),
        Figure("truths without a positive point", f"{summary['unlearnt']:,}", share(summary["unlearnt"] / truths, 2)),
        Figure("of these with candidates", f"{summary['lost']:,}", share(summary["lost"] / truths, 2)),
        Figure("mean value", decimals(summary["mean_value"], 3), "of positive points"),
    ]
    if summary["mean_iou"] is not None:
        shown.append(Figure("mean IoU", decimals(summary["mean_iou"], 3), "of positive points"))
    for key, what in (("images_without_predictions", "predictions"), ("images_without_truths", "truths")):
        if summary[key]:
            shown.append(Figure(f"images without {what}", f"{summary[key]:,}", "left out"))
    if invalid := sum(summary["invalid"]["truths"].values()):
        shown.append(Figure("invalid truths", f"{invalid:,}", "not counted"))
    return shown


def _levels(summary: Mapping[str, Any]) -> Section:
    levels = summary["by_level"]
    positives = [sum(level[name] for name in SIZES) for level in levels]
    names = [f"stride {level['stride']}" for level in levels]
    table = Table(
        "Positive points by level",
        [
            counts("stride", [level["stride"] for level in levels]),
            counts("points", [level["points"] for level in levels]),
            counts("positive", positives),
            *(counts(name, [level[name] for level in levels]) for name in SIZES),
        ],
        "levels",
    )
    plot = bars("Positive points", dict(zip(names, positives, strict=True)), role="anchor")
    return Section("Levels", "Positive points on each level, by the sizes of their truths.", [plot, table])


def _truths(summary: Mapping[str, Any]) -> Section:
    plot = bars("Truths by number of positive points", summary["positives_of_truths"], role="truth")
    table = _table("size", {"all": summary, **summary["by_size"]}, "sizes")
    text = "A truth is lost if it has candidate points, and none of them is positive."
    return Section("Truths", text, [plot, table])


def _table(title: str, parts: Mapping[str, Mapping[str, Any]], things: str) -> Table:
    """One row for each part of the truths, those with most truths that are not learnt first."""
    found = sorted(parts.items(), key=lambda part: (-part[1]["unlearnt"], -part[1]["truths"]))
    rows = [own for _, own in found]
    bins = list(rows[0]["positives_of_truths"])
    return Table(
        f"Truths by {title}",
        [
            Column(title, [name for name, _ in found]),
            counts("truths", [own["truths"] for own in rows]),
            counts("positives", [own["positives"] for own in rows]),
            counts("without positive", [own["unlearnt"] for own in rows]),
            shares("share", [own["unlearnt_share"] for own in rows], 2),
            counts("lost", [own["lost"] for own in rows]),
            *(counts(name.replace("-", "–"), [own["positives_of_truths"][name] for own in rows]) for name in bins[1:]),
        ],
        things,
    )
