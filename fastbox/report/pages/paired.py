"""The pages of `fastbox measure` and `fastbox pairs`: predicted boxes and their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastbox.kernels.metrics import FACTS, title_of
from fastbox.report.numbers import NONE, are_doublings, counted, filled, number
from fastbox.report.page.cells import counts, figures, shape
from fastbox.report.page.contents import Box, Column, Example, Examples, Figure, Page, Plot, Section, Table
from fastbox.report.page.plots import histogram, shape_maps
from fastbox.report.rules import measured_rules, paired_rules

__all__ = ["measured_page", "paired_page"]

REASONS = {"not_finite": "not finite", "inverted": "inverted"}


def measured_page(summary: Mapping[str, Any], look: Any = None) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.measure`, given its ``to_dict`` and its ``look``."""
    metrics = summary["metrics"]
    first = [Figure("rows", f"{summary['rows']:,}"), *_means(metrics), _invalid_figure(summary["invalid"])]
    sections = [
        *_distributions(metrics, "rows"),
        *_size_and_shape(look, "rows", "target box"),
        *_worst(look, "rows", _row),
        *_invalid(summary["invalid"]),
    ]
    lead = f"{counted(summary['rows'], 'rows')}, each with a predicted box and its target"
    rules = measured_rules(summary["rules"])
    return Page("Predicted boxes and their targets", lead, first, sections, rules)


def paired_page(summary: Mapping[str, Any], look: Any = None) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.pairs`, given its ``to_dict`` and its ``look``."""
    alone = "truths" not in summary
    boxes = "boxes" if alone else "detections"
    total, unmatched = summary["detections"], summary["unmatched"]
    share = f"{unmatched / total:.1%} of {boxes}" if total else ""
    first = [
        Figure("pairs", f"{summary['pairs']:,}"),
        Figure(f"unmatched {boxes}", f"{unmatched:,}", share),
        *_means(summary["metrics"]),
        _invalid_figure(summary["invalid"]),
    ]
    names = ("row", "other") if alone else ("detection", "truth")

    def caption(pair: Any) -> str:
        return f"image {pair.image}, {names[0]} {pair.row[0]:,}, {names[1]} {pair.row[1]:,}"

    labels = (("box", "match"), ("other", "box")) if alone else (("detection", "detection"), ("truth", "truth"))
    sections = [
        *_distributions(summary["metrics"], "pairs"),
        *_size_and_shape(look, "pairs", "other box" if alone else "ground-truth box"),
        *_worst(look, "pairs", caption, labels),
        *_invalid(summary["invalid"]),
    ]
    kinds = [counted(total, boxes), *([] if alone else [counted(summary["truths"], "truths")])]
    lead = f"{' and '.join(kinds)} in {counted(summary['images'], 'images')}"
    return Page("Pairs of boxes", lead, first, sections, paired_rules(summary["rules"]))


def _row(pair: Any) -> str:
    """Return the caption of a row, with its image if that is known."""
    return f"row {pair.row[0]:,}" if pair.image is None else f"image {pair.image}, row {pair.row[0]:,}"


def _means(metrics: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    means = []
    for name, metric in metrics.items():
        median = metric["quantiles"]["p50"]
        unit = f" {metric['unit']}" if metric["unit"] else ""
        hint = "" if median is None else f"median {number(median)}{unit}"
        means.append(Figure(f"mean {_label(name)}", f"{number(metric['mean'])}{unit}", hint))
    return means


def _invalid_figure(invalid: Mapping[str, Mapping[str, int]]) -> Figure:
    total = sum(count for reasons in invalid.values() for count in reasons.values())
    return Figure("invalid boxes", f"{total:,}", "nan in every metric" if total else "all boxes are valid")


def _distributions(metrics: Mapping[str, Mapping[str, Any]], things: str) -> list[Section]:
    """A histogram of each metric, and all their figures as a table."""
    found = {name: metric for name, metric in metrics.items() if metric["count"]}
    if not found:
        return []
    plots = [_histogram(name, metric, things) for name, metric in found.items()]
    text = f"Values of all {things}. Means are exact; quantiles are within 0.1% of the exact value."
    return [Section("Distributions", text, [*plots, _quantiles(found)])]


def _histogram(name: str, metric: Mapping[str, Any], things: str) -> Plot:
    edges, values = metric["histogram"]["edges"], metric["histogram"]["counts"]
    log = are_doublings(edges)
    if log:
        edges, values = filled(edges, values)
    unit = f"{_label(name)}, {metric['unit']}" if metric["unit"] else _label(name)
    return histogram(_label(name), edges, values, unit=unit, things=things, log=log)


def _quantiles(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each metric: its count, mean, extremes and quantiles."""
    found = list(metrics.values())
    shown = found[0]["quantiles"]
    zeros = [counts("exactly 0", [metric.get("zero") for metric in found])]
    return Table(
        "Figures",
        [
            Column("metric", [_label(name) for name in metrics]),
            Column("unit", [metric["unit"] or NONE for metric in found]),
            counts("count", [metric["count"] for metric in found]),
            *(figures(name, [metric[name] for metric in found]) for name in ("mean", "min")),
            *(figures(f"{q[1:]}%", [metric["quantiles"][q] for metric in found]) for q in shown),
            figures("max", [metric["max"] for metric in found]),
            *(zeros if any("zero" in metric for metric in found) else []),
        ],
        "metrics",
    )


def _size_and_shape(look: Any, things: str, of: str) -> list[Section]:
    """The mean IoU by size and shape of a box of each pair."""
    found = None if look is None else look.heat.to_dict()
    if found is None or not any(map(any, found["counts"])):
        return []
    sides = [f"{side:g}" for side in found["sides"][:-1]]
    edges = [f"{edge:g}" if edge >= 1 else f"1/{1 / edge:g}" for edge in found["aspects"]]
    shapes = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [
        Section(
            "Size and shape",
            f"Mean IoU and number of {things} by size and shape of the {of}. The outermost cells include all larger, "
            "smaller, wider and narrower boxes.",
            shape_maps(
                ("Mean IoU", found["means"]), (f"Number of {things}", found["counts"]), sides, shapes, "width / height"
            ),
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
        drawn = (pair.target, pair.target_outline, *labels[1]), (pair.pred, pair.pred_outline, *labels[0])
        boxes = [
            Box(corners, f"{label}: {shape(outline) if outline else _sides(corners)}", role, outline)
            for corners, outline, label, role in drawn
        ]
        if np.isfinite([box.corners for box in boxes]).all():
            image = None if pair.image is None else str(pair.image)
            examples.append(Example(f"{caption(pair)}: {name} {number(pair.value)}", boxes, image))
    text = f"The {counted(len(examples), things)} with the {end} {name}, each drawn to its own scale."
    return [Section("Worst", text, [Examples(f"{end.capitalize()} {name}", examples)])]


def _invalid(invalid: Mapping[str, Mapping[str, int]]) -> list[Section]:
    """Return the invalid boxes by side and reason; nothing if all boxes are valid."""
    rows = [(side, REASONS.get(r, r), n) for side, reasons in invalid.items() for r, n in reasons.items() if n]
    if not rows:
        return []
    sides, reasons, found = zip(*rows, strict=True)
    columns = [Column("boxes", sides), Column("reason", reasons), counts("count", found)]
    return [Section("Invalid boxes", "Invalid boxes are in no pair, mean or quantile.", [Table("By reason", columns)])]


def _label(name: str) -> str:
    """Return the title of a metric, a loss or a gradient's length."""
    if name.endswith("_grad"):
        return f"gradient of {_label(name.removesuffix('_grad'))}"
    if name.endswith("_loss"):
        metric = name.removesuffix("_loss")
        return f"{title_of(metric) if metric in FACTS else metric.capitalize()} loss"
    return title_of(name)


def _sides(corners: Sequence[float]) -> str:
    return f"{number(corners[2] - corners[0])} × {number(corners[3] - corners[1])}"
