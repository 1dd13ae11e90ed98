"""What a page is made of. All text in it is plain, and escaped where it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Box", "Column", "Example", "Examples", "Figure", "Page", "Part", "Plot", "Section", "Table"]


@dataclass(frozen=True)
class Figure:
    """A number that is read first: what it is, how it reads, and what helps to understand it."""

    label: str
    value: str
    hint: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its cells as they read, and what they sort by, where that is another thing."""

    title: str
    cells: Sequence[str]
    keys: Sequence[float | str | None] | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which stand on the right."""
        return self.keys is not None


@dataclass(frozen=True)
class Table:
    """A table that sorts."""

    caption: str
    columns: Sequence[Column]

    @property
    def rows(self) -> list[list[tuple[str, float | str | None]]]:
        """The cells row by row, each with what it sorts by."""
        keyed = [
            list(zip(column.cells, column.keys if column.keys is not None else column.cells, strict=True))
            for column in self.columns
        ]
        return [list(row) for row in zip(*keyed, strict=True)]


@dataclass(frozen=True)
class Plot:
    """A picture as SVG, made by a library, and what it shows for those who can't see it."""

    svg: str
    title: str
    description: str


@dataclass(frozen=True)
class Box:
    """A box in an example: corners in pixels, what it says, and its part in it: ``truth``, ``found`` or ``wrong``."""

    corners: tuple[float, float, float, float]
    label: str
    part: str


@dataclass(frozen=True)
class Example:
    """Some boxes of an image, drawn to scale."""

    caption: str
    boxes: Sequence[Box]

    @property
    def view(self) -> tuple[float, float, float, float]:
        """Where to look: x, y, width and height around all boxes, with room for their labels."""
        x0, y0 = (min(box.corners[k] for box in self.boxes) for k in (0, 1))
        x1, y1 = (max(box.corners[k] for box in self.boxes) for k in (2, 3))
        side = max(x1 - x0, y1 - y0, 1e-6)
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        return middle[0] - 0.6 * side, middle[1] - 0.6 * side, 1.2 * side, 1.2 * side

    def placed(self) -> list[tuple[Box, float, float, float, float]]:
        """The boxes as x, y, width and height in a view 100 wide and high."""
        x, y, side, _ = self.view
        scale = 100 / side
        return [
            (
                box,
                round((box.corners[0] - x) * scale, 2),
                round((box.corners[1] - y) * scale, 2),
                round(max(box.corners[2] - box.corners[0], 0) * scale, 2),
                round(max(box.corners[3] - box.corners[1], 0) * scale, 2),
            )
            for box in self.boxes
        ]


@dataclass(frozen=True)
class Examples:
    """Examples side by side."""

    title: str
    examples: Sequence[Example]


Part: TypeAlias = Plot | Table | Examples


@dataclass(frozen=True)
class Section:
    """Parts that answer one question, and a sentence or two about them."""

    title: str
    text: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A whole page: the figures first."""

    title: str
    lead: str
    figures: Sequence[Figure]
    sections: Sequence[Section] = field(default_factory=tuple)
    made_by: str = ""
