"""The page of `fastbox assign`: the coverage of ground truth by anchors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbox.report.numbers import counted, decimals, share
from fastbox.report.page.cells import counts, figures, shares
from fastbox.report.page.contents import Column, Examples, Figure, Page, Section, Stroke, Table
from fastbox.report.page.plots import bars, lines, shades, shape_maps
from fastbox.report.rules import RECALLS_SHOWN, assigned_rules

__all__ = ["assigned_page"]

KINDS = ("positives", "ignored", "negatives", "anchors")


def assigned_page(summary: Mapping[str, Any], least: Any = None) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.assign`, given its ``to_dict`` and its ``least``."""
    coverage, images = summary["coverage"], summary["images"]
    sections = [_levels(summary)]
    if coverage["truths"]:
        sections += [_reached(coverage), _size_and_shape(coverage["map"])]
        if coverage["by_class"]:
            text = "Click a column title to sort by it."
            sections.append(Section("Classes", text, [_covered("class", coverage["by_class"], "classes")]))
        if least is not None and least.examples:
            text = "The truths with the lowest best IoU, in the resized images."
            sections.append(Section("Lowest coverage", text, [Examples("The lowest best IoU", least.examples)]))
    lead = f"{counted(summary['truths'], 'truths')} in {counted(images, 'images')}, {summary['anchors']:,} anchors"
    if summary["ignore_regions"]:
        lead += f", {counted(summary['ignore_regions'], 'regions')} to ignore"
    rules = assigned_rules(summary["rules"])
    return Page("Anchors and ground truth", lead, _figures(summary), sections, rules)


def _figures(summary: Mapping[str, Any]) -> list[Figure]:
    coverage, images = summary["coverage"], summary["images"]
    per_image = f"{summary['positives'] / images:,.1f} per image" if images else ""
    invalid = sum(summary["invalid"]["truths"].values())
    left = coverage["without_positive"] / coverage["truths"] if coverage["truths"] else 0.0
    shown = [
        Figure("positive anchors", f"{summary['positives']:,}", per_image),
        Figure("ignored", f"{summary['ignored']:,}"),
        Figure("truths without a positive anchor", f"{coverage['without_positive']:,}", f"{share(left, 2)} of truths"),
        Figure("mean best IoU", decimals(coverage["mean_best_iou"], 3), "of each truth and its best anchor"),
        Figure("truths with best IoU ≥ 0.50", share(coverage["recall"]["0.5"])),
    ]
    if summary["images_without_positives"]:
        shown.append(Figure("images without positives", f"{summary['images_without_positives']:,}"))
    if invalid:
        shown.append(Figure("invalid truths", f"{invalid:,}", "without an anchor"))
    return shown


def _levels(summary: Mapping[str, Any]) -> Section:
    levels = summary["by_level"]
    names = [f"stride {level['stride']}" for level in levels]
    return Section(
        "Levels",
        "Number of anchors on each level of the grid.",
        [
            bars(
                "Positive anchors by level",
                dict(zip(names, (level["positives"] for level in levels), strict=True)),
                role="anchor",
            ),
            Table(
                "Anchors by level",
                [
                    counts("stride", [level["stride"] for level in levels]),
                    *(counts(kind, [level[kind] for level in levels]) for kind in KINDS),
                ],
            ),
        ],
    )


def _reached(coverage: Mapping[str, Any]) -> Section:
    parts = {"all": coverage, **coverage["by_size"]}
    thresholds = [float(threshold) for threshold in coverage["recall"]]
    series = {name: list(part["recall"].values()) for name, part in parts.items()}
    plot = lines(
        "Truths with at least this best IoU",
        thresholds,
        series,
        across="IoU",
        up="share of truths",
        strokes=[Stroke("ink"), *shades("truth", len(series) - 1)],
    )
    text = (
        "Share of truths whose best IoU with an anchor is at least this value. A truth with a low best IoU is hard to "
        "learn under every rule."
    )
    return Section("Coverage", text, [plot, _covered("size", parts)])


def _covered(title: str, parts: Mapping[str, Mapping[str, Any]], things: str = "sizes") -> Table:
    """One row for each part of the truths, the largest first."""
    found = sorted(parts.items(), key=lambda part: -part[1]["truths"])
    left = [part["without_positive"] / part["truths"] if part["truths"] else 0.0 for _, part in found]
    return Table(
        f"Truths by {title}",
        [
            Column(title, [name for name, _ in found]),
            counts("truths", [part["truths"] for _, part in found]),
            counts("no positive anchor", [part["without_positive"] for _, part in found]),
            shares("share", left),
            figures("mean best IoU", [part["mean_best_iou"] for _, part in found], 3),
            *(
                shares(f"IoU ≥ {float(threshold):.2f}", [part["recall"][threshold] for _, part in found])
                for threshold in RECALLS_SHOWN
            ),
        ],
        things,
    )


def _size_and_shape(found: Mapping[str, Any]) -> Section:
    counts = np.array(found["truths"])
    columns, rows = np.flatnonzero(counts.any(axis=0)), np.flatnonzero(counts.any(axis=1))
    across, down = slice(columns[0], columns[-1] + 1), slice(rows[0], rows[-1] + 1)
    maps = shape_maps(
        ("Mean best IoU", [row[across] for row in found["mean_best_iou"][down]]),
        ("Truths", [row[across] for row in found["truths"][down]]),
        [f"{side:.3g}" for side in found["sides"][across]],
        [f"{aspect:.2g}" for aspect in found["aspect_ratios"][down]],
        "height / width, log scale",
        role="truth",
    )
    return Section(
        "Size and shape", "Mean best IoU and number of truths by size and shape, in the resized images.", maps
    )
