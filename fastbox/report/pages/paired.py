"""What `fastbox measure` and `fastbox pairs` found, as pages: predicted boxes and their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastbox.report.page.contents import Box, Column, Example, Examples, Figure, Page, Section, Table
from fastbox.report.page.plots import heat_map, histogram
from fastbox.report.rules import NAMES, measured_rules, paired_rules
from fastbox.report.terminal.summary import counted

__all__ = ["measured_page", "paired_page"]

REASONS = {"not_finite": "not finite", "inverted": "inverted"}


def measured_page(summary: Mapping[str, Any], look: Any = None) -> Page:
    """Make the page of what :func:`fastbox.jobs.measure` found: its ``to_dict``, and what it looked at besides."""
    metrics = summary["metrics"]
    figures = [Figure("rows", f"{summary['rows']:,}"), *_means(metrics), _invalid_figure(summary["invalid"])]
    sections = [
        *_distributions(metrics, "rows"),
        *_size_and_shape(look, "rows"),
        *_worst(look, "rows", lambda pair: f"row {pair.row[0]:,}"),
        *_invalid(summary["invalid"]),
    ]
    lead = f"{counted(summary['rows'], 'rows')}, each with a predicted box and its target"
    rules = measured_rules(summary["rules"])
    return Page("Predicted boxes and their targets", lead, figures, sections, rules)


def paired_page(summary: Mapping[str, Any], look: Any = None) -> Page:
    """Make the page of what :func:`fastbox.jobs.pairs` found: its ``to_dict``, and what it looked at besides."""
    alone = "truths" not in summary
    boxes = "boxes" if alone else "detections"
    total, unmatched = summary["detections"], summary["unmatched"]
    share = f"{unmatched / total:.1%} of all" if total else ""
    figures = [
        Figure("pairs", f"{summary['pairs']:,}"),
        Figure(f"unmatched {boxes}", f"{unmatched:,}", share),
        *_means(summary["metrics"]),
        _invalid_figure(summary["invalid"]),
    ]
    names = ("row", "other") if alone else ("detection", "truth")

    def caption(pair: Any) -> str:
        return f"image {pair.about['image']}, {names[0]} {pair.row[0]:,}, {names[1]} {pair.row[1]:,}"

    labels = (("box", "match"), ("other", "box")) if alone else (("detection", "detection"), ("truth", "truth"))
    sections = [
        *_distributions(summary["metrics"], "pairs"),
        *_size_and_shape(look, "pairs"),
        *_worst(look, "pairs", caption, labels),
        *_invalid(summary["invalid"]),
    ]
    kinds = [counted(total, boxes), *([] if alone else [counted(summary["truths"], "truths")])]
    lead = f"{' and '.join(kinds)} in {counted(summary['images'], 'images')}"
    return Page("Pairs of boxes", lead, figures, sections, paired_rules(summary["rules"]))


def _means(metrics: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    figures = []
    for name, metric in metrics.items():
        median = metric["quantiles"]["p50"]
        unit = f" {metric['unit']}" if metric["unit"] else ""
        hint = "" if median is None else f"median {_number(median)}{unit}"
        figures.append(Figure(f"mean {_label(name)}", f"{_number(metric['mean'])}{unit}", hint))
    return figures


def _invalid_figure(invalid: Mapping[str, Mapping[str, int]]) -> Figure:
    total = sum(count for reasons in invalid.values() for count in reasons.values())
    return Figure("invalid boxes", f"{total:,}", "nan in every metric" if total else "all are valid")


def _distributions(metrics: Mapping[str, Mapping[str, Any]], things: str) -> list[Section]:
    """A histogram of each metric, and all their figures as a table."""
    found = {name: metric for name, metric in metrics.items() if metric["count"]}
    if not found:
        return []
    plots = [_histogram(name, metric, things) for name, metric in found.items()]
    text = f"How the values of all {things} are distributed. Means are exact, quantiles at most 0.1 % off."
    return [Section("Distributions", text, [*plots, _quantiles(found)])]


def _histogram(name: str, metric: Mapping[str, Any], things: str) -> Any:
    edges, counts = metric["histogram"]["edges"], metric["histogram"]["counts"]
    filled = [k for k, count in enumerate(counts) if count] or [0]
    uneven = not np.allclose(np.diff(edges), edges[1] - edges[0])
    if uneven:  # doublings: those without a value at both ends are left out
        edges, counts = edges[filled[0] : filled[-1] + 2], counts[filled[0] : filled[-1] + 1]
    unit = f"{_label(name)}, {metric['unit']}" if metric["unit"] else _label(name)
    return histogram(_label(name), edges, counts, unit=unit, things=things, log=uneven)


def _quantiles(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each metric: its count, mean, extremes and quantiles."""
    found = list(metrics.values())
    shown = found[0]["quantiles"]
    zeros = [Column("exactly 0", [_count(m.get("zero")) for m in found], [m.get("zero") for m in found])]
    return Table(
        "Figures",
        [
            Column("metric", [_label(name) for name in metrics]),
            Column("unit", [metric["unit"] or "–" for metric in found]),
            Column("count", [_count(metric["count"]) for metric in found], [metric["count"] for metric in found]),
            *(_numbers(name, [metric[name] for metric in found]) for name in ("mean", "min")),
            *(_numbers(f"{q[1:]} %", [metric["quantiles"][q] for metric in found]) for q in shown),
            _numbers("max", [metric["max"] for metric in found]),
            *(zeros if any("zero" in metric for metric in found) else []),
        ],
        "metrics",
    )


def _size_and_shape(look: Any, things: str) -> list[Section]:
    """The mean IoU over size and shape of the targets."""
    found = None if look is None else look.heat.to_dict()
    if found is None or not any(map(any, found["counts"])):
        return []
    sides = [f"{side:g}" for side in found["sides"][:-1]]
    edges = [f"{edge:g}" if edge >= 1 else f"1/{1 / edge:g}" for edge in found["aspects"]]
    shapes = [f"{low} to {high}" for low, high in pairwise(edges)]
    means = np.array([[np.nan if mean is None else mean for mean in row] for row in found["means"]])
    counts = np.array(found["counts"], np.float64)
    axes: dict[str, Any] = {"across": "√area from, px, log scale", "up": "width / height"}
    return [
        Section(
            "Size and shape",
            "By the target's size and shape; the outermost cells hold what lies beyond them.",
            [
                heat_map("Mean IoU", means, sides, shapes, **axes),
                heat_map(
                    f"How many {things}", np.where(counts > 0, counts, np.nan), sides, shapes, form="{:,.0f}", **axes
                ),
            ],
        )
    ]


def _worst(
    look: Any,
    things: str,
    caption: Callable[[Any], str],
    labels: Sequence[tuple[str, str]] = (("predicted", "detection"), ("target", "truth")),
) -> list[Section]:
    """The pairs of the worst values, drawn to scale."""
    if look is None or not look.worst.pairs:
        return []
    worst = look.worst
    name = _label(worst.metric)
    end = "greatest" if worst.greatest else "lowest"
    examples = []
    for pair in worst.pairs:
        boxes = [
            Box(corners, f"{label}: {_sides(corners)}", role)
            for corners, (label, role) in ((pair.target, labels[1]), (pair.pred, labels[0]))
        ]
        if np.isfinite([box.corners for box in boxes]).all():
            examples.append(Example(f"{caption(pair)}: {name} {_number(pair.value)}", boxes))
    text = f"The {counted(len(examples), things)} of the {end} {name}, each to its own scale."
    return [Section("Worst", text, [Examples(f"The {end} {name}", examples)])]


def _invalid(invalid: Mapping[str, Mapping[str, int]]) -> list[Section]:
    """The invalid boxes by side and reason; nothing where there are none."""
    rows = [(side, REASONS.get(r, r), n) for side, reasons in invalid.items() for r, n in reasons.items() if n]
    if not rows:
        return []
    sides, reasons, counts = zip(*rows, strict=True)
    columns = [Column("boxes", sides), Column("reason", reasons), Column("count", [_count(n) for n in counts], counts)]
    return [Section("Invalid boxes", "They match nothing and are in no mean.", [Table("By reason", columns)])]


def _label(name: str) -> str:
    """A metric, a loss or a gradient's length as people write it."""
    if name.endswith("_grad"):
        return f"gradient of {_label(name.removesuffix('_grad'))}"
    if name.endswith("_loss"):
        metric = name.removesuffix("_loss")
        return f"{NAMES.get(metric, metric.replace('_', ' ').capitalize())} loss"
    return NAMES.get(name, name)


def _sides(corners: Sequence[float]) -> str:
    return f"{_number(corners[2] - corners[0])} × {_number(corners[3] - corners[1])}"


def _numbers(title: str, values: Sequence[float | None]) -> Column:
    return Column(title, [_number(value) for value in values], list(values))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
