"""Models compared on the same images, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.differences import LONGEST, against, answer, figure, short, signed, spread, without
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table

__all__ = ["show_compared"]

CLASSES_SHOWN = 5
TWO, MANY = 60, 71  # characters of the tables without the names of models
LEAST_NAME = 9


def show_compared(console: Console, comparisons: Sequence[Mapping[str, Any]]) -> None:
    """Print the comparisons of a model with others, given their ``to_dict``."""
    if not comparisons:
        return
    first = comparisons[0]
    console.print()
    if len(comparisons) == 1:
        _show_two(console, first)
    else:
        _show_many(console, comparisons)
    console.print(Text("difference: the first minus the other model; truths are found at IoU ≥ 0.50", style="dim"))
    if first["samples"]:
        samples = f"{first['level']:.0%} of {first['samples']:,} samples of the images, the same for all models"
        console.print(Text(samples, style="dim"))
        side = "samples against: the share of samples whose difference is 0 or of the other sign"
        console.print(Text(side, style="dim"))


def _show_two(console: Console, found: Mapping[str, Any]) -> None:
    most = min(LONGEST, max(LEAST_NAME, (console.width - TWO) // 2))
    own, its = short(found["model"], most), short(found["other"], most)
    console.print(Text(f"{own} compared with {its}", style="bold"))
    for sentence in answer(found, most):
        console.print(Text(sentence))
    rows: list[Sequence[str]] = [("figure", own, its, "difference", *_interval_heads([found]))]
    for row in found["differences"]:
        values = figure(row["model"]), figure(row["other"]), signed(row["difference"])
        rows.append((row["name"], *values, spread(row), against(row, found["samples"]))[: len(rows[0])])
    show_table(console, rows, ("difference",))
    if said := without(found["differences"]):
        console.print(Text(said, style="dim"))
    console.print()
    ranked = sorted(found["by_class"], key=lambda row: -abs(row["only_model"] - row["only_other"]))
    classes = ranked[:CLASSES_SHOWN] if len(ranked) > 1 else []
    counts: list[Sequence[str]] = [("truths found", "by both", f"only by {own}", f"only by {its}", "by neither")]
    for name, row in [("all classes", found["truths"]), *((_name(row), row) for row in classes)]:
        counts.append((name, *(f"{row[key]:,}" for key in ("both", "only_model", "only_other", "neither"))))
    show_table(console, counts)
    if len(ranked) > len(classes) > 0:
        console.print(Text("the classes where the models differ most; --json has all", style="dim"))


def _show_many(console: Console, comparisons: Sequence[Mapping[str, Any]]) -> None:
    main, own = comparisons[0]["differences"][0]["name"], short(comparisons[0]["model"])
    most = min(LONGEST, max(LEAST_NAME, console.width - MANY))
    console.print(Text(f"{own} compared with {len(comparisons):,} models by {main}", style="bold"))
    rows: list[Sequence[str]] = [("other", "only first", "only other", "difference", *_interval_heads(comparisons))]
    for found in comparisons:
        row, counts = found["differences"][0], found["truths"]
        figures = signed(row["difference"]), spread(row), against(row, found["samples"])
        alone = f"{counts['only_model']:,}", f"{counts['only_other']:,}"
        rows.append((short(found["other"], most), *alone, *figures)[: len(rows[0])])
    show_table(console, rows, ("difference",))


def _interval_heads(comparisons: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the titles of the columns of intervals, the last ones of a table; none if no figure has an interval."""
    known = any(row["low"] is not None for found in comparisons for row in found["differences"])
    return ("95%", "samples against") if known else ()


def _name(row: Mapping[str, Any]) -> str:
    return short(row["name"] or f"class {row['class']}", 2 * LEAST_NAME)
