"""The figures of groups of images and truths, on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from fastbox.report.differences import figure
from fastbox.report.numbers import NONE
from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Section, Table
from fastbox.report.statistics import first_of
from fastbox.report.terminal.sliced import NO_VALUE

__all__ = ["sections_of_slices", "slices_of_models"]

TEXT = (
    "The figures of a group of images are those of an evaluation of these images alone. For a group of truths, the "
    "truths of all other groups are ignored: detections of them count neither as right nor as wrong."
)


def sections_of_slices(summary: Mapping[str, Any]) -> list[Section]:
    """Return the section of the groups of a model, a table for each column."""
    first = first_of(summary["stats"], summary["rules"])
    tables = []
    for name, group in groupby(summary.get("slices", ()), key=lambda row: str(row["slice"])):
        rows = list(group)
        names = [own for own in first if own in rows[0]]
        columns = [
            Column(name, [_group(row) for row in rows]),
            *(cells.counts(kind, [row[kind] for row in rows]) for kind in ("images", "truths", "detections")),
            *(_figures(own, [row[own] for row in rows]) for own in names),
        ]
        for own in rows[0].get("intervals", {}):
            ends = [row["intervals"][own] for row in rows]
            columns.append(Column(f"{own}, 95%", [_interval(one) for one in ends], [low for low, _ in ends]))
        tables.append(Table(f"By {name}: groups of {rows[0]['of']}", columns, "groups"))
    return [Section("Slices", TEXT, tables)] if tables else []


def slices_of_models(by: str, models: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    """Return the section of the first figure of each group for models side by side."""
    first = next(iter(models.values()), {})
    main = next(iter(first.get("stats", {})), "")
    tables = []
    for name, group in groupby(first.get("slices", ()), key=lambda row: str(row["slice"])):
        rows = list(group)
        found = [
            {row["group"]: row[main] for row in model["slices"] if row["slice"] == name} for model in models.values()
        ]
        columns = [Column(by, list(models))]
        columns += [_figures(_group(row), [own[row["group"]] for own in found]) for row in rows]
        tables.append(Table(f"{main} by {name}: groups of {rows[0]['of']}", columns, "models"))
    return [Section("Slices", TEXT, tables)] if tables else []


def _group(row: Mapping[str, Any]) -> str:
    return NO_VALUE if row["group"] is None else str(row["group"])


def _figures(title: str, values: Sequence[float]) -> Column:
    known = [None if value < 0 else value for value in values]
    return Column(title, [NONE if value is None else figure(value) for value in known], known)


def _interval(limits: Sequence[float | None]) -> str:
    low, high = limits
    return NONE if low is None else f"{low:.3f} to {high:.3f}"
