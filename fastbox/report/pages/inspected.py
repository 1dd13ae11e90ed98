"""The page of `fastbox inspect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from fastbox.report.numbers import NONE, are_doublings, counted, filled
from fastbox.report.page.cells import counts, figures, places, shape, shares
from fastbox.report.page.contents import Box, Column, Example, Examples, Figure, Page, Part, Plot, Section, Table
from fastbox.report.page.plots import bars, heat_map, histogram
from fastbox.report.rules import inspected_rules, threshold
from fastbox.report.terminal.inspected import COLOURS, MEASURED, WITHOUT_SIZES
from fastbox.values.coco import SIDE_BOUNDS

__all__ = ["page_of"]

MEANINGS = {
    "angle_beyond_turn": ("the angle is more than a whole turn", "360°"),
    "angle_too_large": ("the angle is too large to have a meaning", ""),
    "class_size": ("size far from the median of the class, in robust deviations", "{class_size:g}"),
    "degrees_as_radians": ("the angle in radians is more than a whole turn: degrees?", "2 π"),
    "duplicate": ("same coordinates and class as an earlier row of the image", ""),
    "edges_cross": ("edges of the quadrilateral cross", ""),
    "extreme_aspect": ("longer side over shorter side above the limit", "{max_aspect:g} : 1"),
    "huge": ("share of the image above the limit", "{huge:.0%}"),
    "inverted": ("the right side left of the left one, or the bottom above the top", ""),
    "near_duplicate": ("nearly the same as another box of the class", "IoU {near:g}"),
    "near_duplicate_other_class": ("nearly the same as a box of another class", "IoU {near:g}"),
    "no_boxes": ("an image without boxes", ""),
    "no_class": ("the class is null", ""),
    "no_image": ("the table of images does not list the image", ""),
    "non_finite": ("a coordinate is nan or infinite", ""),
    "not_a_rectangle": ("the quadrilateral differs from the rectangle around it", "IoU 0.99"),
    "out_of_image": ("partly outside of the image", "{tolerance:g} px"),
    "repeated_corner": ("two corners of the quadrilateral are equal", ""),
    "repeated_id": ("an earlier row has the same id, or the image is listed twice", ""),
    "sub_pixel": ("shorter side below the limit", "{sub_pixel:g} px"),
    "whole_image": ("reaches all borders of the image", "{tolerance:g} px"),
    "zero_side": ("area of 0", ""),
}
FRAMED = ("class_size", "huge", "out_of_image", "whole_image")  # drawn with the border of their image
DRAWN = tuple(
    code for code in MEANINGS if code not in ("no_boxes", "no_class", "no_image", "non_finite", "repeated_id")
)
FARTHEST = 1e30  # a coordinate that can be drawn
HAIR = 0.004  # the drawn width of a box without width, as a share of its other side
TOP_CLASSES = 12
METRICS = {
    "side": ("Sizes: the square root of the area", "√area, px"),
    "aspect": ("Shapes: width over height", "width / height"),
    "boxes_per_image": ("Boxes per image", "boxes of the image"),
    "best_overlap": ("Best IoU with another box of the image", "IoU"),
}


def page_of(summary: Mapping[str, Any]) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.inspect`, given its ``to_dict``."""
    lead = f"{counted(summary['boxes'], 'boxes')} in {counted(summary['images'], 'images')}"
    if not summary["asked"]["sizes"]:
        lead += f"; {WITHOUT_SIZES}"
    sections = [_problems(summary)]
    drawn = [part for found in _worst_first(summary) if (part := _examples(summary, found)) is not None]
    if summary["problems"]:
        text = (
            "The first problems of each code, drawn to scale: the box with the problem in dashed red, the other box in "
            "grey, the border of the image dotted."
        )
        listed = _first(_worst_first(summary))
        sections.append(Section("Examples", text if drawn else "", [*drawn, listed]))
    if summary["classes"]:
        sections.append(Section("Classes", "Click a column title to sort by it.", _classes(summary)))
    if summary["valid"]:
        sections.append(_shapes(summary))
        if summary["place"] is not None:
            sections.append(_places(summary["place"]))
        sections.append(_crowding(summary))
    if summary["fix"] is not None:
        sections.append(_fixed(summary["fix"]))
    rules = inspected_rules(summary["rules"], summary["limits"])
    return Page("Inspection of boxes", lead, _figures(summary), sections, rules)


def _worst_first(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(summary["problems"], key=lambda found: (list(COLOURS).index(found["severity"]), -int(found["count"])))


def _figures(summary: Mapping[str, Any]) -> list[Figure]:
    shown = []
    for severity in COLOURS:
        of_it = [found for found in _worst_first(summary) if found["severity"] == severity]
        hint = f"mostly {of_it[0]['code'].replace('_', ' ')}" if of_it else ""
        shown.append(Figure(f"{severity}s", f"{sum(found['count'] for found in of_it):,}", hint))
    shown.append(Figure("boxes", f"{summary['boxes']:,}", f"{summary['boxes'] - summary['valid']:,} invalid"))
    shown.append(Figure("images", f"{summary['images']:,}", f"{summary['images_without_boxes']:,} without boxes"))
    if summary["classes"] is not None:
        sizes = [found["boxes"] for found in summary["classes"] if found["class"] is not None]
        shown.append(Figure("classes", f"{len(sizes):,}", f"{sizes.count(0):,} without boxes"))
    if summary["valid"]:
        crowded = summary["crowding"]["boxes"] / summary["valid"]
        shown.append(
            Figure(
                "crowded", f"{crowded:.1%}", f"IoU > {threshold(float(summary['crowding']['above']))} with another box"
            )
        )
    return shown


def _problems(summary: Mapping[str, Any]) -> Section:
    found = _worst_first(summary)
    if not found:
        return Section("Problems", "No problems found.", [])
    limits = {name: value or 0 for name, value in summary["limits"].items()}
    whole = max(summary["boxes"], 1)
    parts = [
        Table(
            "Problems by code",
            [
                Column("code", [one["code"] for one in found]),
                Column("severity", [one["severity"] for one in found]),
                counts("count", [one["count"] for one in found]),
                shares("share of boxes", [one["count"] / whole for one in found], 2),
                Column("limit", [MEANINGS[one["code"]][1].format(**limits) or NONE for one in found]),
                Column("meaning", [MEANINGS[one["code"]][0] for one in found]),
            ],
        )
    ]
    text = (
        "Error: the box is invalid, duplicated, or has no image or class. Warning: probably a mistake. "
        "Note: unusual, should be checked."
    )
    return Section("Problems", text, parts)


def _first(found: Sequence[Mapping[str, Any]]) -> Table:
    """The first problems of each code, as rows to look up."""
    rows = [(one["code"], example) for one in found for example in one["examples"]]
    columns = [
        Column("code", [code for code, _ in rows]),
        Column("image", [str(example["image_id"]) for _, example in rows]),
        places("row", [example["row"] for _, example in rows]),
        places("other row", [example["other"] for _, example in rows]),
        Column("measured", [_measured(code, example["value"]) for code, example in rows]),
        Column("corners, px", [_corners(example["box"]) for _, example in rows]),
    ]
    ids = [example["id"] for _, example in rows]
    if any(one is not None for one in ids):
        columns.insert(3, Column("id", [NONE if one is None else str(one) for one in ids]))
    return Table("First problems of each code", columns, "problems")


def _examples(summary: Mapping[str, Any], found: Mapping[str, Any]) -> Examples | None:
    names = {entry["class"]: _name(entry) for entry in summary["classes"] or ()}
    code, shown = found["code"], []
    for example in found["examples"] if found["code"] in DRAWN else ():
        if None in chain(*(example[key] or () for key in ("box", "outline", "other_box", "other_outline"))):
            continue  # a rotated box without an angle has no corners
        boxes = [_box(example["box"], example["outline"], names.get(example["class"], ""), "problem")]
        if example["other_box"] is not None:
            other = example["other_box"], example["other_outline"]
            boxes.insert(0, _box(*other, names.get(example["other_class"], ""), "box"))
        if code in FRAMED and example["image_size"] is not None:
            width, height = example["image_size"]
            boxes.insert(0, Box((0.0, 0.0, width, height), f"image of {width:g} × {height:g}", "frame"))
        if all(abs(side) < FARTHEST for box in boxes for side in box.corners):
            own = f"row {example['row']}" if example["id"] is None else f"id {example['id']}"
            where = f"image {example['image_id']}, {own}"
            measured = _measured(code, example["value"])
            caption = f"{where}: {measured}" if measured != NONE else where
            shown.append(Example(caption, boxes, str(example["image_id"])))
    return Examples(f"{code}, {found['count']:,}", shown) if shown else None


def _box(corners: Sequence[float], outline: Sequence[float] | None, name: str, role: str) -> Box:
    """Return a box that can be drawn: inverted sides are swapped, and a side of 0 gets a small width."""
    x0, y0, x1, y1 = corners
    label = f"{name}{': ' if name else ''}{shape(outline) if outline else f'{x1 - x0:.4g} × {y1 - y0:.4g}'}"
    x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    hair = HAIR * max(x1 - x0, y1 - y0, 1.0)
    return Box((x0, y0, max(x1, x0 + hair), max(y1, y0 + hair)), label, role, tuple(outline or ()))


def _classes(summary: Mapping[str, Any]) -> list[Part]:
    classes = summary["classes"]
    names = [_name(found) for found in classes]
    parts: list[Part] = []
    if len(classes) > 1:
        top = {name: float(found["boxes"]) for name, found in zip(names, classes[:TOP_CLASSES], strict=False)}
        title = "Boxes by class" if len(classes) <= TOP_CLASSES else f"Boxes of the {TOP_CLASSES} largest classes"
        parts.append(bars(title, top, across="boxes"))
    boxes = max(summary["boxes"], 1)
    table = Table(
        counted(len(classes), "classes"),
        [
            Column("class", names),
            counts("boxes", [found["boxes"] for found in classes]),
            shares("share", [found["boxes"] / boxes for found in classes], 2),
            counts("images", [found["images"] for found in classes]),
            figures(
                "boxes per image",
                [found["boxes"] / found["images"] if found["images"] else None for found in classes],
                2,
            ),
            figures("median side, px", [found["median_side"] for found in classes], 1),
        ],
        "classes",
    )
    return [*parts, table]


def _shapes(summary: Mapping[str, Any]) -> Section:
    sizes = {name: float(count) for name, count in summary["sizes"].items()}
    parts = [_histogram(summary, name) for name in ("side", "aspect")]
    text = "Small: area below {:g}² px. Large: area from {:g}² px on (COCO's limits).".format(*SIDE_BOUNDS)
    return Section("Sizes and shapes", text, [*parts, bars("Sizes", sizes, across="boxes")])


def _places(place: Mapping[str, Any]) -> Section:
    heat = np.array(place["heat"], np.float64)
    cells = len(heat)
    across = [f"{k / cells:.0%}" for k in range(cells)]
    # The plot's rows rise, those of an image fall.
    plot = heat_map(
        "Centres of boxes",
        heat[::-1],
        across,
        across[::-1],
        across="share of the image's width",
        up="share of the image's height",
        form="{:,.0f}",
        role="box",
    )
    borders = {side: float(count) for side, count in place["borders"].items()}
    share = f"{place['truncated']:,} of {counted(place['boxes'], 'boxes')} ({place['truncated'] / place['boxes']:.1%})"
    text = f"{share} reach a border of their image, within 1 px; most of them are truncated objects."
    return Section("Places", text, [plot, bars("Boxes at each border", borders, across="boxes")])


def _crowding(summary: Mapping[str, Any]) -> Section:
    text = "NMS with an IoU threshold of 0.50 would drop one of two boxes with IoU > 0.50."
    return Section("Crowding", text, [_histogram(summary, name) for name in ("best_overlap", "boxes_per_image")])


def _fixed(fix: Mapping[str, Any]) -> Section:
    changes = {"clipped": fix["clipped"], **{f"dropped: {code}": count for code, count in fix["dropped"].items()}}
    table = Table("Changes", [Column("change", list(changes)), counts("rows", list(changes.values()))])
    return Section("Cleaned copy", f"The cleaned copy has {counted(fix['rows'], 'rows')}.", [table])


def _histogram(summary: Mapping[str, Any], name: str) -> Plot:
    """A histogram without its empty ends."""
    title, unit = METRICS[name]
    found = summary["metrics"][name]["histogram"]
    edges, values = filled(found["edges"], found["counts"])
    things = "images" if name == "boxes_per_image" else "boxes"
    return histogram(title, edges, values, unit=unit, things=things, role="box", log=are_doublings(found["edges"]))


def _name(found: Mapping[str, Any]) -> str:
    if found["class"] is None:
        return "(none)"
    return str(found["class"]) if found["name"] is None else str(found["name"])


def _measured(code: str, value: float | None) -> str:
    return MEASURED[code].format(value) if value is not None and code in MEASURED else NONE


def _corners(box: Sequence[float | None] | None) -> str:
    return NONE if box is None else " ".join("nan" if side is None else _length(side) for side in box)


def _length(side: float) -> str:
    return f"{side:.5g}"
