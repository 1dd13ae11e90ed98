"""A result in at most twenty lines, the figures to look at first on top: as text, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fastbox._record import dataclass
from fastbox.report.numbers import NONE

__all__ = ["Shown", "html_of", "text_of"]

ROWS = 9  # rows of the table, so that figures, head, rows and notes are at most twenty lines
WIDTH = 100  # characters of a line of text
LONGEST = 60  # characters of a cell
# The colours of the notebook, so that light and dark mode are right.
STYLE = (
    "table.fastbox {border-collapse: collapse; margin: .4em 0} "
    ".fastbox th, .fastbox td {padding: .15em .8em .15em 0; text-align: right; font-variant-numeric: tabular-nums} "
    ".fastbox th:first-child, .fastbox td:first-child {text-align: left} "
    ".fastbox td {white-space: nowrap} "
    ".fastbox tr {border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent)}"
)


@dataclass(frozen=True)
class Shown:
    """The figures and the table of a result that are shown.

    Attributes
    ----------
    title : str
    figures : mapping of str to value
        The figures of the whole, the most important one first.
    rows : sequence of mapping
        The main table; empty if the result has only figures.
    others : sequence of str
        The names of the other tables.
    nothing : sequence of str
        Prefixes of the names of figures in which -1 means that there was nothing to measure.
    """

    title: str
    figures: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()
    others: Sequence[str] = ()
    nothing: Sequence[str] = ()

    def cell(self, name: str, value: Any) -> str:
        """Return a value as text to show: numbers short, a long text cut, a dash for no value."""
        if value is None or value != value or (value == -1 and name.startswith(tuple(self.nothing))):
            return NONE
        if isinstance(value, float):
            return f"{value:,.4g}"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        text = str(value)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

    def table(self) -> list[list[str]]:
        """Return the head and the first rows of the main table as text; nothing without rows."""
        shown = self.rows[:ROWS]
        names = list(dict.fromkeys(name for row in shown for name in row))
        head = [self.cell("", _label(name.removeprefix("stats_"))) for name in names]
        body = [[self.cell(name.removeprefix("stats_"), row.get(name)) for name in names] for row in shown]
        return [head, *body] if names else []

    @property
    def notes(self) -> list[str]:
        """Sentences on the rows and tables that are not shown."""
        more = len(self.rows) - ROWS
        rest = [f"{more:,} more rows: .to_pandas()"] if more > 0 else []
        return [*rest, *([f"more tables: {', '.join(self.others)}"] if self.others else [])]


def text_of(shown: Shown) -> str:
    """Return a result as text: one line of figures, and the main table as wide as a line."""
    figures = " · ".join(f"{_label(name)} {shown.cell(name, value)}" for name, value in shown.figures.items())
    lines = [f"{shown.title}: {figures}" if figures else shown.title]
    rows = shown.table()
    if rows:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        fitting, width = 0, 0
        while fitting < len(widths) and (not fitting or width + 2 + widths[fitting] <= WIDTH):
            width += 2 + widths[fitting]
            fitting += 1
        for row in rows:
            cells = [cell.rjust(wide) for cell, wide in zip(row[1:fitting], widths[1:fitting], strict=True)]
            lines.append("  ".join(["", row[0].ljust(widths[0]), *cells, *(["…"] if fitting < len(widths) else [])]))
    return "\n".join([*lines, *(f"  {note}" for note in shown.notes)])


def html_of(shown: Shown) -> str:
    """Return a result as HTML, every text escaped, with nothing that runs."""
    parts = [f"<style>{STYLE}</style><strong>{escape(shown.title)}</strong>"]
    if shown.figures:
        figures = [[_label(name), shown.cell(name, value)] for name, value in shown.figures.items()]
        parts.append(_table([], figures))
    rows = shown.table()
    if rows:
        parts.append(_table(rows[0], rows[1:]))
    return "".join([*parts, *(f"<div>{escape(note)}</div>" for note in shown.notes)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="fastbox">{f"<thead><tr>{top}</tr></thead>" if head else ""}<tbody>{body}</tbody></table>'


def _label(name: str) -> str:
    return name.replace("_", " ")
