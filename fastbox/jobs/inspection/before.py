"""Facts of a whole table that the problems of a box depend on: the sizes of its class, and repeated ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.jobs.inspection.classes import Classes, Range, outliers
from fastbox.jobs.inspection.problems import Finding, Limits
from fastbox.jobs.inspection.repeats import Repeats
from fastbox.jobs.inspection.table import Table
from fastbox.jobs.inspection.view import View, look
from fastbox.results.merge import Gathered
from fastbox.tables.chunk import ROWS
from fastbox.tables.files import count_rows
from fastbox.tables.source import Source
from fastbox.tables.stream import scan

__all__ = ["Before", "first_pass", "sizes_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Before:
    """The result of a first pass over a table.

    Attributes
    ----------
    ranges : dict
        For each class the least and the largest area that is not suspicious, and the median area.
    again, firsts : arrays of shape (k,), int64
        The rows that repeat an id, ascending, and the first row that has it.
    classes : Classes or None
        Counts by class; None where they were not counted, or are of more than the fragment that is inspected now.
    """

    ranges: Mapping[object, Range] = field(default_factory=dict)
    again: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    firsts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    classes: Classes | None = None

    @classmethod
    def of(cls, table: Table, limits: Limits, rows: int, step: Callable[[int], object] | None = None) -> Before:
        """Read a table for the first time: the sizes of classes and repeated ids, as limits and columns need them."""
        classes = Classes()
        with ExitStack() as stack:
            repeats = None if table.id is None else stack.enter_context(Repeats(count_rows(table.plan.files)))
            for chunk in stack.enter_context(closing(table.chunks(rows))):
                if limits.class_size is not None:
                    classes.add(look(chunk, table.label, None, None))
                if repeats is not None:
                    repeats.add(*table.ids(chunk))
                if step is not None:
                    step(len(chunk.a))
            found = cls() if limits.class_size is None else cls(classes.ranges(limits.class_size), classes=classes)
            if repeats is None:
                return found
            repeats.find(None if table.exact_ids else (table.ids(chunk) for chunk in table.chunks(rows)))
            return replace(found, again=repeats.rows, firsts=repeats.firsts)

    def problems(self, view: View) -> Iterable[Finding]:
        """Yield the problems of a chunk that depend on the whole table."""
        if self.ranges:
            odd, ratios = outliers(view, self.ranges)
            yield Finding("class_size", odd, ratios, np.full(len(odd), -1))
        if len(self.again):
            here = self.within(view.first_row, view.first_row + len(view.image))
            yield Finding("repeated_id", here.again - view.first_row, np.full(len(here.again), np.nan), here.firsts)

    def within(self, first: int, last: int) -> Before:
        """Return the facts on some rows."""
        low, high = np.searchsorted(self.again, [first, last])
        return Before(self.ranges, self.again[low:high], self.firsts[low:high])


def sizes_of(truths: Source, *images: Source, out: None, label: str | None, rows: int) -> Classes:
    """Count the sizes of the boxes in a fragment of a table, by the class in a column."""
    classes = Classes()
    with closing(scan(Source.carrying(truths, label), rows=rows)) as chunks:
        for chunk in chunks:
            classes.add(look(chunk, label, None, None))
    return classes


def first_pass(
    table: Source, fragments: Sequence[Source], options: Mapping[str, Any], everywhere: Callable[..., Any]
) -> list[dict[str, Any]]:
    """Return the facts of a whole table on each of its fragments, as the option ``before`` of their inspection."""
    limits, rows = options.get("limits") or Limits(), options.get("rows", ROWS)
    whole = Table.of(table, None, *(options.get(name) for name in ("class_column", "id_column", "size_columns")))
    known = Before()
    if whole.id is not None:
        known = Before.of(whole, replace(limits, class_size=None), rows)
    if limits.class_size is not None:
        sizes = Gathered()
        for place, found in everywhere(sizes_of, label=whole.label, rows=rows):
            sizes.add(place, found)
        known = replace(known, ranges=sizes.merged().ranges(limits.class_size))
    told = []
    for one in fragments:
        groups = one.fragment.groups if one.fragment else ()
        last = groups[-1].number + groups[-1].boxes if groups else 0
        told.append({"before": known.within(groups[0].number if groups else 0, last)})
    return told
