"""The result of `fastbox inspect` in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import NONE, counted, decimals
from fastbox.report.rules import inspected_rules, threshold
from fastbox.report.terminal.console import Console, Text, cells
from fastbox.report.terminal.summary import show_rules, show_table

__all__ = ["show_inspected"]

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
MEASURED = {
    "angle_beyond_turn": "{:.4g}°",
    "angle_too_large": "{:.4g}",
    "class_size": "{:.3g} × its class",
    "degrees_as_radians": "{:.4g}",
    "extreme_aspect": "{:.4g} : 1",
    "huge": "{:.1%} of image",
    "inverted": "{:.4g} px",
    "near_duplicate": "IoU {:.3f}",
    "near_duplicate_other_class": "IoU {:.3f}",
    "not_a_rectangle": "IoU {:.3f}",
    "out_of_image": "{:.4g} px outside",
    "repeated_id": "{:,.0f} times",
    "sub_pixel": "{:.3g} px",
}
MOST_CLASSES = 10
MOST_LETTERS = 24
QUANTILES = ("p5", "p50", "p95")
WITHOUT_SIZES = "image sizes are unknown: borders, places and boxes outside of their image are not checked"


def show_inspected(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.inspect`, given its ``to_dict``."""
    problems = summary["problems"]
    severities = {
        severity: sum(found["count"] for found in problems if found["severity"] == severity) for severity in COLOURS
    }
    said = [counted(count, f"{severity}s") for severity, count in severities.items() if count]
    console.print(Text(" · ".join(said) or "no problems", style="bold"))
    counts = [counted(summary["boxes"], "boxes"), counted(summary["images"], "images")]
    if summary["images_without_boxes"]:
        counts.append(f"{summary['images_without_boxes']:,} without boxes")
    if summary["classes"] is not None:
        kinds = [found["boxes"] for found in summary["classes"] if found["class"] is not None]
        counts.append(f"{len(kinds):,} {'class' if len(kinds) == 1 else 'classes'}")
        if not all(kinds):
            counts.append(f"{kinds.count(0):,} without boxes")
    console.print(Text(" · ".join(counts), style="dim"))
    show_rules(console, inspected_rules(summary["rules"], summary["limits"]))
    if not summary["asked"]["sizes"]:
        console.print(Text(WITHOUT_SIZES, style="yellow"))
    if problems:
        console.print()
        _show_problems(console, problems)
    if summary["classes"]:
        console.print()
        _show_classes(console, summary["classes"], summary["boxes"])
    if summary["valid"]:
        console.print()
        _show_shapes(console, summary)
    if summary["fix"] is not None:
        fix, dropped = summary["fix"], summary["fix"]["dropped"]
        changes = [counted(fix["rows"], "rows"), f"{fix['clipped']:,} clipped", f"{sum(dropped.values()):,} dropped"]
        console.print()
        console.print(Text(f"cleaned copy: {' · '.join(changes)}", style="bold"))
        if dropped:
            reasons = ", ".join(f"{count:,} {code}" for code, count in dropped.items())
            console.print(Text(f"dropped: {reasons}", style="dim"))


def _show_problems(console: Console, problems: Sequence[Mapping[str, Any]]) -> None:
    """Print the problems, the worst first, one line each, with the parts of an example that fit."""
    order = sorted(problems, key=lambda found: (list(COLOURS).index(found["severity"]), -found["count"]))
    width = max(len(found["code"]) for found in problems)
    digits = max(len(f"{found['count']:,}") for found in problems)
    for found in order:
        line = Text(f"{found['severity']:7}", style=COLOURS[found["severity"]])
        line.append(f"  {found['code']:{width}}", style="bold not dim")
        line.append(f"  {found['count']:{digits},}  ", style="bold")
        line.append(
            _example(found["code"], found["examples"][0], console.width - len(line)), style="default not bold dim"
        )
        line.rstrip()
        console.print(line, soft_wrap=True)


def _example(code: str, example: Mapping[str, Any], room: int) -> str:
    """Return the image, row, other box, value and box of a problem, as far as they fit."""
    parts = [f"image {_short(example['image_id'])}"]
    for own, row, said in (("id", "row", ""), ("other_id", "other", "as ")):
        if example[own] is not None:
            parts.append(f"{said}id {_short(example[own])}")
        elif example[row] is not None:
            parts.append(f"{said}row {example[row]}")
    if example["value"] is not None and code in MEASURED:
        parts.append(MEASURED[code].format(example["value"]))
    if example["box"] is not None:
        corners = " ".join("nan" if side is None else f"{side:.4g}" for side in example["box"])
        parts.append(f"[{corners}]")
    said = ""
    for part in parts:
        longer = f"{said}, {part}" if said else part
        said = longer if cells(longer) <= room else said
    return said


def _show_classes(console: Console, classes: Sequence[Mapping[str, Any]], boxes: int) -> None:
    rows: list[Sequence[str]] = [("class", "boxes", "share", "images", "median side, px")]
    for found in classes[:MOST_CLASSES]:
        side = decimals(found["median_side"], 1)
        share = f"{found['boxes'] / boxes:.1%}" if boxes else NONE
        rows.append((_named(found), f"{found['boxes']:,}", share, f"{found['images']:,}", side))
    show_table(console, rows, ("boxes",))
    if len(classes) > MOST_CLASSES:
        rest = sum(found["boxes"] for found in classes[MOST_CLASSES:])
        more = counted(rest, "boxes")
        ended = f"{MOST_CLASSES} of {len(classes):,} classes shown; the others have {more}; --json has all"
        console.print(Text(ended, style="dim"))


def _named(found: Mapping[str, Any]) -> str:
    if found["class"] is None:
        return "(none)"
    label = str(found["class"])
    return _short(label if found["name"] in (None, label) else f"{label} {found['name']}")


def _short(name: Any) -> str:
    """Return a name from the data on one line, cut if it is long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name))
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def _show_shapes(console: Console, summary: Mapping[str, Any]) -> None:
    rows: list[Sequence[str]] = [("", "mean", "min", *QUANTILES, "max")]
    for name, title in (
        ("side", "sqrt(area), px"),
        ("aspect", "width / height"),
        ("best_overlap", "best IoU with another box"),
        ("boxes_per_image", "boxes per image"),
    ):
        found = summary["metrics"][name]
        figures = [found["mean"], found["min"], *(found["quantiles"][q] for q in QUANTILES), found["max"]]
        places = 0 if name == "boxes_per_image" else 1 if name == "side" else 2
        rows.append((title, decimals(figures[0], max(places, 1)), *(decimals(value, places) for value in figures[1:])))
    show_table(console, rows, ("p50",))
    console.print()
    sizes = [f"{count:,} {name} ({count / summary['valid']:.0%})" for name, count in summary["sizes"].items()]
    console.print(Text(f"sizes: {' · '.join(sizes)}", style="dim"))
    crowding = summary["crowding"]
    share = f"{crowding['boxes']:,} ({crowding['boxes'] / summary['valid']:.1%})"
    console.print(Text(f"crowded, IoU > {threshold(float(crowding['above']))} with another box: {share}", style="dim"))
    place = summary["place"]
    if place is not None:
        borders = ", ".join(f"{side} {count / place['boxes']:.1%}" for side, count in place["borders"].items())
        share = f"{place['truncated']:,} ({place['truncated'] / place['boxes']:.1%})"
        console.print(Text(f"at an image border: {share}; {borders}", style="dim"))
