"""Ids that a table holds twice: found in parts that fit in memory, for any type and number of ids."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.hashing import GOLDEN, splitmix64

__all__ = ["Repeats"]

Ints = NDArray[np.int64]

PART_ROWS = 1 << 21  # ids that are compared at once: 32 MiB
MOST_PARTS = 256
KEPT_BYTES = 1 << 25  # of all parts together, before they go to the disk


class Repeats:
    """The ids of a table, then the rows whose id an earlier row has; a context manager that owns its temporary files.

    Ids are divided into parts by their hashes, and each part is sorted separately. Memory holds one part, and 16 bytes
    for each row that is found.
    """

    def __init__(self, rows: int) -> None:
        count = min(MOST_PARTS, 1 + rows // PART_ROWS)
        self._stack = ExitStack()
        spools = map(tempfile.SpooledTemporaryFile, [KEPT_BYTES // count] * count)
        self._parts: list[IO[bytes]] = [self._stack.enter_context(spool) for spool in spools]
        self.rows, self.firsts = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def __enter__(self) -> Repeats:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, column: Any, first_row: int) -> None:
        """Add a batch of ids, an Arrow array of integers or strings; nulls are not repeated ids."""
        rows = np.flatnonzero(np.asarray(column.is_valid()))
        hashes = _hashes(column.drop_null())
        entries = np.stack([hashes.view(np.int64), rows + first_row], axis=1)
        part = ((hashes >> np.uint64(40)) % np.uint64(len(self._parts))).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=len(self._parts)))
        for file, these in zip(self._parts, np.split(order, ends[:-1]), strict=True):
            file.write(entries[these].tobytes())

    def find(self, again: Iterable[tuple[Any, int]] | None) -> None:
        """Find the rows that repeat an id, ascending, and for each the first that has it.

        ``again`` yields all ids a second time, as :meth:`add` took them, to compare ids with equal hashes: two strings
        may have one hash. Two integers never have one hash, so integers need no ``again``.
        """
        found = [self._repeated(file) for file in self._parts]
        rows, firsts = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(rows)
        self.rows, self.firsts = rows[order], firsts[order]
        self._stack.close()
        if again is not None and len(self.rows):
            self._compare(again)

    def _repeated(self, file: IO[bytes]) -> tuple[Ints, Ints]:
        file.seek(0)
        hashes, rows = np.frombuffer(file.read(), np.int64).reshape(-1, 2).T
        # Usually no id repeats: sorting shows that in a tenth of the time that the order of the rows takes.
        ordered = np.sort(hashes)
        these = np.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]])
        hashes, rows = hashes[these], rows[these]
        order = np.argsort(hashes, kind="stable")
        hashes, rows = hashes[order], rows[order]
        fresh = np.ones(len(rows), np.bool_)
        fresh[1:] = hashes[1:] != hashes[:-1]
        firsts = rows[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]] if len(rows) else rows
        return rows[~fresh], firsts[~fresh]

    def _compare(self, again: Iterable[tuple[Any, int]]) -> None:
        """Keep the rows that really repeat an id."""
        wanted = np.union1d(self.rows, self.firsts)
        first_of: dict[Any, int] = {}
        kept: list[tuple[int, int]] = []
        for column, done in again:
            rows = wanted[slice(*np.searchsorted(wanted, [done, done + len(column)]))]
            for row, value in zip(rows.tolist(), column.take(rows - done).to_pylist(), strict=True):
                first = first_of.setdefault(value, row)
                if first != row:
                    kept.append((row, first))
        self.rows, self.firsts = np.array(kept, np.int64).reshape(-1, 2).T


def _hashes(column: Any) -> NDArray[np.uint64]:
    """Hashes of 64 bits: splitmix64, which no two integers share (Steele et al., OOPSLA 2014); Python's of strings."""
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind in "iu":
        return splitmix64(values.astype(np.uint64) + GOLDEN)
    return np.fromiter(map(hash, values), np.int64, len(values)).view(np.uint64)
