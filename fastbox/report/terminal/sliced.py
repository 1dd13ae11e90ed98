"""The figures of groups of images and truths, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from fastbox.report.differences import figure, short
from fastbox.report.numbers import NONE
from fastbox.report.statistics import first_of
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table, width_of

__all__ = ["NO_VALUE", "show_slices", "show_slices_of_models"]

WIDTH = 18  # characters of the name of a group
NO_VALUE = "no value"
NOTES = {
    "images": "groups of images: as if only these images were evaluated",
    "truths": "groups of truths: truths of other groups are ignored",
}


def show_slices(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the figures of the groups of a model, a table for each column."""
    for name, group in groupby(summary.get("slices", ()), key=lambda row: str(row["slice"])):
        own = list(group)
        names = [one for one in first_of(summary["stats"], summary["rules"]) if one in own[0]]
        sure = names[0] if names[0] in own[0].get("intervals", {}) else None
        head = (short(name, WIDTH), "images", "truths", *names, *([f"{sure} 95%"] if sure else []))
        rows: list[Sequence[str]] = [head]
        for row in own:
            interval = [_interval(row["intervals"][sure])] if sure else []
            counts = f"{row['images']:,}", f"{row['truths']:,}"
            rows.append((_group(row), *counts, *(figure(row[one]) for one in names), *interval))
        console.print()
        show_table(console, rows, names[:1])
        console.print(Text(NOTES[own[0]["of"]], style="dim"))


def show_slices_of_models(console: Console, by: str, models: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the first figure of each group for models side by side, a table for each column."""
    first = next(iter(models.values()), {})
    main = next(iter(first.get("stats", {})), "")
    for name, group in groupby(first.get("slices", ()), key=lambda row: str(row["slice"])):
        own = list(group)
        rows: list[Sequence[str]] = [(short(by), *(_group(row) for row in own))]
        for model, found in models.items():
            values = {row["group"]: row[main] for row in found["slices"] if row["slice"] == name}
            rows.append((short(model), *(figure(values[row["group"]]) for row in own)))
        console.print()
        console.print(Text(f"{main} by {short(name)}", style="bold"))
        shown = len(rows[0])
        while shown > 2 and width_of([row[:shown] for row in rows]) > console.width:
            shown -= 1
        show_table(console, [row[:shown] for row in rows])
        left_out = f"; --json has {len(rows[0]) - shown:,} more" if shown < len(rows[0]) else ""
        console.print(Text(f"{NOTES[own[0]['of']]}{left_out}", style="dim"))


def _group(row: Mapping[str, Any]) -> str:
    return NO_VALUE if row["group"] is None else short(row["group"], WIDTH)


def _interval(limits: Sequence[float | None]) -> str:
    low, high = limits
    return NONE if low is None else f"{low:.3f} to {high:.3f}"
