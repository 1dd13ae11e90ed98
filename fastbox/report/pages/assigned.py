"""What `fastbox assign` found, as a page: how anchors cover truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastbox.report.page.contents import Column, Examples, Figure, Page, Plot, Section, Stroke, Table
from fastbox.report.page.plots import bars, heat_map, lines, shades
from fastbox.report.rules import assigned_rules
from fastbox.report.terminal.summary import counted

__all__ = ["assigned_page"]

KINDS = ("positives", "ignored", "negatives", "anchors")
SHOWN = ("0.3", "0.5", "0.7", "0.9")


def assigned_page(summary: Mapping[str, Any], least: Any = None) -> Page:
    """Make the page of what :func:`fastbox.jobs.assign` found: its ``to_dict``, and the truths covered least."""
    coverage, images = summary["coverage"], summary["images"]
    sections = [_levels(summary)]
    if coverage["truths"]:
        sections += [_reached(coverage), _size_and_shape(coverage["map"])]
        if coverage["by_class"]:
            text = "Sort by any column."
            sections.append(Section("Classes", text, [_covered("class", coverage["by_class"], "classes")]))
        if least is not None and least.examples:
            text = "The truths whose best anchor is worst, in their images as the detector sees them."
            sections.append(Section("Covered least", text, [Examples("The lowest best IoU", least.examples)]))
    lead = f"{counted(summary['truths'], 'truths')} in {counted(images, 'images')}, {summary['anchors']:,} anchors"
    if summary["ignore_regions"]:
        lead += f", {counted(summary['ignore_regions'], 'regions')} to ignore"
    rules = assigned_rules(summary["rules"])
    return Page("Anchors and the truths they cover", lead, _figures(summary), sections, rules)


def _figures(summary: Mapping[str, Any]) -> list[Figure]:
    coverage, images = summary["coverage"], summary["images"]
    per_image = f"{summary['positives'] / images:,.1f} an image" if images else ""
    invalid = sum(summary["invalid"]["truths"].values())
    share = coverage["without_positive"] / coverage["truths"] if coverage["truths"] else 0
    figures = [
        Figure("positive anchors", f"{summary['positives']:,}", per_image),
        Figure("ignored", f"{summary['ignored']:,}"),
        Figure("truths without one", f"{coverage['without_positive']:,}", f"{share:.2%} of all"),
        Figure("mean best IoU", _form(coverage["mean_best_iou"]), "of each truth's best anchor"),
        Figure("reach IoU 0.5", _share(coverage["recall"]["0.5"]), "of truths"),
    ]
    if summary["images_without_positives"]:
        figures.append(Figure("images without positives", f"{summary['images_without_positives']:,}"))
    if invalid:
        figures.append(Figure("invalid truths", f"{invalid:,}", "they get no anchor"))
    return figures


def _levels(summary: Mapping[str, Any]) -> Section:
    levels = summary["by_level"]
    names = [f"stride {level['stride']}" for level in levels]
    return Section(
        "Levels",
        "Which levels of the grid the positive anchors are on.",
        [
            bars(
                "Positive anchors by level",
                dict(zip(names, (level["positives"] for level in levels), strict=True)),
                role="anchor",
            ),
            Table(
                "Anchors by level",
                [
                    _counts("stride", [level["stride"] for level in levels]),
                    *(
                        _counts(k, [level[k] for level in levels])
                        for k in ("positives", "ignored", "negatives", "anchors")
                    ),
                ],
            ),
        ],
    )


def _reached(coverage: Mapping[str, Any]) -> Section:
    parts = {"all": coverage, **coverage["by_size"]}
    thresholds = [float(threshold) for threshold in coverage["recall"]]
    series = {name: list(part["recall"].values()) for name, part in parts.items()}
    plot = lines(
        "Truths whose best anchor reaches an IoU",
        thresholds,
        series,
        across="IoU",
        up="share of truths",
        strokes=[Stroke("ink"), *shades("truth", len(series) - 1)],
    )
    text = "A truth whose best anchor is bad is hard to learn, whatever rule assigns it."
    return Section("Coverage", text, [plot, _covered("size", parts)])


def _covered(title: str, parts: Mapping[str, Mapping[str, Any]], things: str = "sizes") -> Table:
    """One row for each part of the truths, the largest first."""
    found = sorted(parts.items(), key=lambda part: -part[1]["truths"])
    shares = [part["without_positive"] / part["truths"] if part["truths"] else 0.0 for _, part in found]
    means = [part["mean_best_iou"] for _, part in found]
    return Table(
        f"Truths by {title}",
        [
            Column(title, [name for name, _ in found]),
            _counts("truths", [part["truths"] for _, part in found]),
            _counts("without a positive", [part["without_positive"] for _, part in found]),
            Column("share", [_share(share) for share in shares], shares),
            Column("mean best IoU", [_form(mean) for mean in means], means),
            *(
                Column(
                    f"reach {threshold}",
                    [_share(part["recall"][threshold]) for _, part in found],
                    [part["recall"][threshold] for _, part in found],
                )
                for threshold in SHOWN
            ),
        ],
        things,
    )


def _size_and_shape(found: Mapping[str, Any]) -> Section:
    means = np.array([[np.nan if mean is None else mean for mean in row] for row in found["mean_best_iou"]], float)
    counts = np.array(found["truths"], np.float64)
    columns, rows = np.flatnonzero(counts.any(axis=0)), np.flatnonzero(counts.any(axis=1))
    part = np.ix_(range(rows[0], rows[-1] + 1), range(columns[0], columns[-1] + 1))
    sides = [f"{side:.3g}" for side in found["sides"][columns[0] : columns[-1] + 1]]
    aspects = [f"{aspect:.2g}" for aspect in found["aspect_ratios"][rows[0] : rows[-1] + 1]]

    def drawn(title: str, values: Any, form: str, role: str) -> Plot:
        axes: dict[str, Any] = {"across": "√area from, px, log scale", "up": "height / width, log scale"}
        return heat_map(title, values[part], sides, aspects, form=form, role=role, **axes)

    text = "By the truth's size and shape as the detector sees it."
    known = np.where(counts > 0, counts, np.nan)
    maps = [drawn("Mean best IoU", means, "{:.2f}", "match"), drawn("Truths", known, "{:,.0f}", "truth")]
    return Section("Size and shape", text, maps)


def _counts(title: str, counts: Sequence[int]) -> Column:
    return Column(title, [f"{count:,}" for count in counts], list(counts))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _form(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
