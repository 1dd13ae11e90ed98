"""The contents of a page. All text is plain, and escaped where it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import cached_property
from typing import TypeAlias

from fastbox._record import dataclass
from fastbox.report.page.example import Box, Example

__all__ = [
    "Box",
    "Column",
    "Example",
    "Examples",
    "Figure",
    "Page",
    "Part",
    "Plot",
    "Scale",
    "Section",
    "Stroke",
    "Table",
]

MOST_ROWS = 500  # of a table
LONG_NAME = 24  # characters
WIDE_TABLE, LONG_TABLE = 5, 8  # columns and rows beyond which a table fills a row of the page
NARROW, WIDE, FULL = 3.4, 5.2, 10.9  # inches of a plot; a page scales them, and letters of 10 points are 14 pixels high
ROWS = {"third": 3, "half": 2}  # parts of a share that fill a row
COLUMNS = (6, 4, 3, 2)  # of examples, on wide and on narrow screens


@dataclass(frozen=True)
class Figure:
    """A number at the top of a page: its name, its text, and a note."""

    label: str
    value: str
    hint: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its cells as text, and their sort keys, if these differ from the text."""

    title: str
    cells: Sequence[str]
    keys: Sequence[float | str | None] | None = None

    @property
    def numeric(self) -> bool:
        """True for a column of numbers, which is aligned on the right."""
        return self.keys is not None


@dataclass(frozen=True)
class Table:
    """A table that can be sorted; its rows are ``things``, and the page has at most the first ``MOST_ROWS``."""

    caption: str
    columns: Sequence[Column]
    things: str = "rows"

    @property
    def fills(self) -> bool:
        """True if the table fills a row of the page."""
        return len(self.columns) > WIDE_TABLE or len(self.rows) > LONG_TABLE

    @property
    def named(self) -> bool:
        """True if the first column has long names."""
        first = self.columns[0]
        return not first.numeric and max(map(len, first.cells), default=0) > LONG_NAME

    @property
    def left_out(self) -> str:
        """The sentence about rows that are not on the page."""
        count = len(self.columns[0].cells)
        return (
            "" if count <= MOST_ROWS else f"{MOST_ROWS:,} of {count:,} {self.things} are on this page; --json has all."
        )

    @property
    def rows(self) -> list[list[tuple[str, float | str | None]]]:
        """The cells row by row, each with its sort key."""
        keyed = [
            list(zip(column.cells, column.keys if column.keys is not None else column.cells, strict=True))
            for column in self.columns
        ]
        return [list(row) for row in zip(*keyed, strict=True)][:MOST_ROWS]


@dataclass(frozen=True)
class Stroke:
    """The stroke of a curve: a role of :mod:`fastbox.report.palette`, the opacity of its colour, and its dashes."""

    role: str
    alpha: float = 1.0
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scale:
    """The scale of a heat map: the values at its two ends, and the role whose colour it has."""

    low: str
    high: str
    role: str


@dataclass(frozen=True)
class Plot:
    """A picture as SVG, drawn in the widths that a page has places for, with a description in words."""

    draw: Callable[[float], str]
    title: str
    description: str
    legend: Sequence[tuple[str, Stroke]] = ()
    scale: Scale | None = None

    @cached_property
    def narrow(self) -> str:
        """The drawing for a narrow screen."""
        return self.draw(NARROW)

    @cached_property
    def wide(self) -> str:
        """The drawing for half of a page, or a third."""
        return self.draw(WIDE)

    @cached_property
    def full(self) -> str:
        """The drawing for the whole width of a page."""
        return self.draw(FULL)


@dataclass(frozen=True)
class Examples:
    """Examples side by side, in rows that are full."""

    title: str
    examples: Sequence[Example]

    def placed(self) -> list[tuple[Example, str]]:
        """The examples, each with the numbers of columns at which it would stand in a row that is not full."""
        count = len(self.examples)
        whole = {columns: count - count % columns if count > columns else count for columns in COLUMNS}
        return [
            (example, " ".join(f"not{columns}" for columns, full in whole.items() if place >= full))
            for place, example in enumerate(self.examples)
        ]


Part: TypeAlias = Plot | Table | Examples


@dataclass(frozen=True)
class Section:
    """Parts that answer one question, and a sentence or two about them."""

    title: str
    text: str
    parts: Sequence[Part]

    def placed(self) -> list[tuple[Part, str]]:
        """The parts, each with its share of a row: ``third``, ``half`` or ``full``; no row is left half empty."""
        plots = sum(isinstance(part, Plot) for part in self.parts)
        share = "third" if plots and plots % 3 == 0 else "half"
        placed: list[tuple[Part, str]] = []
        row: list[Part] = []
        for part in self.parts:
            if isinstance(part, Examples) or (isinstance(part, Table) and part.fills):
                placed += [*_in_row(row, share), (part, "full")]
                row = []
                continue
            row.append(part)
            if len(row) == ROWS[share]:
                placed += _in_row(row, share)
                row = []
        return [*placed, *_in_row(row, share)]


def _in_row(parts: Sequence[Part], share: str) -> list[tuple[Part, str]]:
    """The parts of one row with their shares: those that do not fill it share it."""
    if len(parts) == ROWS[share]:
        return [(part, share) for part in parts]
    return [(part, "full" if len(parts) == 1 else "half") for part in parts]


@dataclass(frozen=True)
class Page:
    """A whole page: the figures first, and the rules that they depend on."""

    title: str
    lead: str
    figures: Sequence[Figure]
    sections: Sequence[Section] = field(default_factory=tuple)
    rules: Sequence[str] = ()

    def _repr_html_(self) -> str:
        from fastbox.report.page.write import framed

        return framed(self)
