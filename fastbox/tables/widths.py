"""Row groups cut by rows and by the bytes of values of no fixed width: texts, bytes and lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.tables.footers import is_fixed

__all__ = ["GroupEnds"]

pc = deferred("pyarrow.compute")


class GroupEnds:
    """The ends of row groups: after a number of rows, or of bytes in values of no fixed width.

    The same rows give the same ends, however they come in batches. ``wide`` are the places of the columns of no fixed
    width.
    """

    def __init__(self, wide: Sequence[int], most_rows: int, most_bytes: int) -> None:
        self._wide, self._most_rows, self._most_bytes = wide, most_rows, most_bytes
        self.rows = 0
        self._bytes = 0

    def ended_by(self, table: pa.Table) -> list[int]:
        """Add rows, and return the number of rows of each group that ends among them."""
        ends: list[int] = []
        taken = np.cumsum(_lengths(table, self._wide)) if self._wide else np.zeros(len(table), np.int64)
        first = 0
        while True:
            begun = int(taken[first - 1]) if first else 0
            last = first + self._most_rows - self.rows
            if self._wide:
                last = min(last, int(np.searchsorted(taken, begun + self._most_bytes - self._bytes)) + 1)
            if last > len(table):
                break
            ends.append(last - first + self.rows)
            first, self.rows, self._bytes = last, 0, 0
        self.rows += len(table) - first
        self._bytes += int(taken[-1]) - (int(taken[first - 1]) if first else 0) if len(table) else 0
        return ends


def _lengths(table: pa.Table, columns: Sequence[int]) -> NDArray[np.int64]:
    """Return the bytes of no fixed width of each row."""
    total = np.zeros(len(table), np.int64)
    for k in columns:
        done = 0
        for chunk in table.column(k).chunks:
            total[done : done + len(chunk)] += _array_lengths(chunk)
            done += len(chunk)
    return total


def _array_lengths(array: Any) -> NDArray[np.int64]:
    kind = array.type
    if pa.types.is_struct(kind):
        return sum((_array_lengths(child) for child in array.flatten()), np.zeros(len(array), np.int64))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        counts = np.asarray(pc.fill_null(pc.list_value_length(array), 0), np.int64)
        inside = _array_lengths(array.flatten())
        ends = np.cumsum(counts)
        sums = np.concatenate(([0], np.cumsum(inside)))
        return np.asarray(counts * 8 + sums[ends] - sums[ends - counts])
    if hasattr(array, "storage"):
        return _array_lengths(array.storage)
    if is_fixed(kind):
        return np.zeros(len(array), np.int64)
    try:
        return np.asarray(pc.fill_null(pc.binary_length(array), 0), np.int64)
    except pa.ArrowNotImplementedError:
        return np.full(len(array), 16, np.int64)
