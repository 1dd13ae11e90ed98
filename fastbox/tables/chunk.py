"""Whole images of one or more tables, in memory together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow.rows import Rows
from fastbox.boxes.container import Boxes

__all__ = ["ROWS", "Chunk"]

ROWS = 262_144  # boxes in memory at a time, if nobody asks for another number


@dataclass(frozen=True, eq=False)
class Chunk:
    """Whole images of one, two or more tables.

    Attributes
    ----------
    images : array of shape (g,), int64 or str, or None
        The ids of the images, ascending; None where the tables are read without ids, as one group.
    a, b : Boxes
        The boxes of these images, ``offsets`` of shape (g + 1,); an image that one table lacks has no boxes there.
        ``b`` is None if there is one table.
    a_start, b_start : int
        The number, in the whole table, of the first box.
    a_columns, b_columns : pyarrow.RecordBatch
        The columns carried along, one row per box.
    more : tuple of (Boxes, pyarrow.RecordBatch, Rows)
        The boxes, columns and rows of the third table and all after it.
    a_order, b_order : array or None
        The places of the table's boxes before it was sorted; None for a table that was not sorted here.
    names : tuple of str
        The names of the tables in messages.
    """

    images: NDArray[Any] | None
    a: Boxes
    b: Boxes | None
    a_start: int
    b_start: int
    a_columns: pa.RecordBatch
    b_columns: pa.RecordBatch | None
    more: tuple[tuple[Boxes, pa.RecordBatch, Rows], ...] = ()
    a_order: NDArray[np.int64] | None = None
    b_order: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ("", "")

    @property
    def a_rows(self) -> Rows:
        """The rows of the boxes of ``a`` in the table as given, counted from 0."""
        return Rows(self.a_start, self.a_order, self.names[0])

    @property
    def b_rows(self) -> Rows:
        """The rows of the boxes of ``b`` in the table as given; those of ``a`` if there is no other table."""
        return Rows(self.b_start, self.b_order, self.names[min(1, len(self.names) - 1)])
