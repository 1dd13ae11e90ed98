"""The classes of an evaluation in a terminal: all of them, or the best and the worst with enough truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.best_scores import name_of
from fastbox.report.differences import figure, short
from fastbox.report.numbers import NONE, counted, decimals
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table, width_of

__all__ = ["show_classes"]

SHOWN = 5
ENOUGH = 10  # truths of a class whose figures are ranked
NAME_WIDTH = 60
LEAST_NAME = 9  # characters of a name that are always shown


def show_classes(console: Console, summary: Mapping[str, Any], names: Sequence[str]) -> None:
    """Print the classes with statistics of these names, the highest first one at the top, if there are several."""
    classes = summary["by_class"]
    if len(classes) < 2:
        return
    known = sorted((found for found in classes if found["truths"]), key=lambda found: -found[names[0]])
    ranked = _ranked(known)
    many = len(known) > 2 * SHOWN
    shown = [*ranked[:SHOWN], None, *ranked[-SHOWN:]] if many else known
    rows: list[Sequence[str]] = [("class", "truths", *names, "missed", "best score", "most common error")]
    rows += [("…", *[""] * (len(rows[0]) - 1)) if found is None else _row(found, names) for found in shown]
    over = width_of(rows) - console.width
    if over > 0:
        most = max(LEAST_NAME, max(len(row[0]) for row in rows) - over)
        rows = [(short(row[0], most), *row[1:]) for row in rows]
    console.print()
    show_table(console, rows, names[:1])
    notes = []
    if many:
        notes.append(f"the best and worst {SHOWN} of {counted(len(known), 'classes')} with truths; --json has all")
        if few := len(known) - len(ranked):
            notes.append(f"{counted(few, 'classes')} with fewer than {ENOUGH} truths are left out here")
    name = name_of(summary["operating_points"])
    notes.append(f"missed: by detections of any score; best score: where {name} of the class is highest")
    for note in notes:
        console.print(Text(note, style="dim"))


def _ranked(known: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the classes with enough truths, or all classes if those are too few to show the best and the worst."""
    enough = [found for found in known if found["truths"] >= ENOUGH]
    return enough if len(enough) >= 2 * SHOWN else known


def _row(found: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    errors = {name: n for name, n in found["errors"].items() if name not in ("matched", "ignored", "missed")}
    worst = max(errors, key=lambda error: int(errors[error]))
    said = f"{worst} {errors[worst]:,}" if errors[worst] else NONE
    title = short(found["name"] or f"class {found['class']}", NAME_WIDTH)
    missed = f"{found['errors']['missed'] / found['truths']:.0%}"
    best = decimals(found["best"]["score"] if found["best"]["f"] else None, 3)  # without a match every score is best
    return title, f"{found['truths']:,}", *(figure(found[name]) for name in names), missed, best, said
