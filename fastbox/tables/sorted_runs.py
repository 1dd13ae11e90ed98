"""Rows in the order of a column, more than fit in memory: sorted runs on disk, merged as they are read."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastbox.arrow.arrays import one_chunk, plain
from fastbox.storage.temporary import TemporaryFolder

__all__ = ["SortedRuns"]

_RUN_BYTES = 48 << 20  # of a run that is put in order at once: what is much larger than the caches takes longer
_PIECES = 64  # that a run is laid down in: of each run one is in memory while all are merged
_LEAST_ROWS = 4096  # of a piece
_CHUNK_ROWS = 262_144  # of what comes out


class SortedRuns:
    """Takes rows in any order and gives them in that of one column, equal ones as they came; a context manager.

    Parameters
    ----------
    place : int
        The column to sort by, of integers or strings without null.
    limit : int
        How many bytes of rows to hold; where there are more, they are laid down on disk.
    folder : str or None
        Where the temporary folder may be; that of the system when None.

    Examples
    --------
    >>> with SortedRuns(0, 1 << 20, None) as runs:
    ...     runs.add(pa.record_batch({"id": [2, 1, 2], "row": [0, 1, 2]}))
    ...     [rows.to_pydict() for rows in runs.merged()]
    [{'id': [1, 2, 2], 'row': [1, 0, 2]}]
    """

    def __init__(self, place: int, limit: int, folder: str | None) -> None:
        self._place, self._limit, self._folder = place, limit, folder
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0  # of the rows that are held
        self._kept = 0  # of the runs that are in memory
        self._runs: list[_Run] = []
        self._schema: pa.Schema | None = None
        self._moved: pa.Schema | None = None  # what rows have while they are put in order
        self._disk: TemporaryFolder | None = None

    def __enter__(self) -> SortedRuns:
        return self

    def __exit__(self, *error: object) -> None:
        self._runs.clear()
        if self._disk is not None:
            self._disk.remove()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        if self._schema is None:
            self._schema = batch.schema
            self._moved = pa.schema([field.with_type(_movable(field.type)) for field in batch.schema])
        if self._moved != self._schema:
            batch = batch.cast(self._moved)
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > min(_RUN_BYTES, self._limit // 2):
            self._lay_down()

    def merged(self) -> Iterator[pa.Table]:
        """Yield all rows in order, and take no more."""
        if self._runs and self._held:
            self._lay_down()
        for rows in self._merged() if self._runs else self._sorted(self._held) if self._held else ():
            yield rows if self._moved == self._schema else rows.cast(self._schema)

    def _sorted(self, batches: list[pa.RecordBatch], at_once: int = _CHUNK_ROWS) -> Iterator[pa.Table]:
        """Yield the rows of some batches in order, some at once, so that others work on them in the meantime."""
        rows = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
        ids = plain(one_chunk(rows.column(self._place)))
        falls = len(ids) > 1 and pc.any(pc.less(ids[1:], ids[:-1])).as_py()
        order = pc.sort_indices(ids) if falls else None
        for first in range(0, len(rows), at_once):
            yield rows.slice(first, at_once) if order is None else rows.take(order.slice(first, at_once))

    def _lay_down(self) -> None:
        """Sort the rows that are held and write them to a file."""
        at_once = max(_LEAST_ROWS, -(-sum(batch.num_rows for batch in self._held) // _PIECES))
        schema = self._held[0].schema
        pieces = (rows.combine_chunks().to_batches()[0] for rows in self._sorted(self._held, at_once))
        if self._kept + self._bytes <= self._limit // 2:
            self._kept += self._bytes
            in_memory = deque(pieces)
            self._runs.append(_Run(len(in_memory), in_memory.popleft, self._place))
        else:
            if self._disk is None:
                self._disk = TemporaryFolder(".fastbox-sort-", self._folder)
            path = os.path.join(self._disk.path, f"{len(self._runs)}.arrow")
            with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
                for piece in pieces:
                    writer.write_batch(piece)
            reader = pa.ipc.open_file(pa.memory_map(path))
            count = reader.num_record_batches
            self._runs.append(_Run(count, map(reader.get_batch, range(count)).__next__, self._place))
        self._held, self._bytes = [], 0

    def _merged(self) -> Iterator[pa.Table]:
        runs = self._runs
        while True:
            for run in runs:
                run.load()
            more = [run.last() for run in runs if run.goes_on]
            if not more:
                yield from self._sorted([batch for run in runs for batch in run.take(len(run))])
                return
            # Nothing that is still to come is below this id; of those that have it, only the first run's are all here.
            end = min(more)
            first = next(number for number, run in enumerate(runs) if run.goes_on and run.last() == end)
            ready = [batch for number, run in enumerate(runs) for batch in run.take(run.until(end, number <= first))]
            yield from self._sorted(ready)


class _Run:
    """A sorted run: the piece of it that is in memory, and what is to come."""

    def __init__(self, count: int, following: Callable[[], pa.RecordBatch], place: int) -> None:
        self._left, self._following, self._place = count, following, place
        self._piece: pa.RecordBatch | None = None

    def __len__(self) -> int:
        return 0 if self._piece is None else int(self._piece.num_rows)

    @property
    def goes_on(self) -> bool:
        """Whether there is more of it than is here."""
        return self._left > 0

    def load(self) -> None:
        """Read the next piece where nothing is left of the last."""
        while not len(self) and self.goes_on:
            self._piece = self._following()
            self._left -= 1

    def last(self) -> Any:
        """The last id that is here."""
        assert self._piece is not None
        return self._piece.column(self._place)[-1].as_py()

    def until(self, end: Any, included: bool) -> int:
        """How many rows that are here come before an id, or have it."""
        if self._piece is None:
            return 0
        ids = self._piece.column(self._place)
        find = bisect_right if included else bisect_left
        return find(range(len(ids)), end, key=lambda row: ids[row].as_py())

    def take(self, count: int) -> list[pa.RecordBatch]:
        """The first rows that are here, and are no more."""
        if self._piece is None or not count:
            return []
        taken, self._piece = self._piece.slice(0, count), self._piece.slice(count)
        return [taken]


def _movable(kind: pa.DataType) -> pa.DataType:
    """A type whose values Arrow can put in order, for one that it can't: views and runs are what they stand for."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_run_end_encoded(kind):
        return _movable(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_movable(field.type)) for field in kind])
    if pa.types.is_large_list(kind):  # views of lists it can order as they are, and can't cast: see arrays.plain
        return pa.large_list(kind.value_field.with_type(_movable(kind.value_type)))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_movable(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_movable(kind.value_type)), kind.list_size)
    if pa.types.is_map(kind):
        key, item = (part.with_type(_movable(part.type)) for part in (kind.key_field, kind.item_field))
        return pa.map_(key, item, kind.keys_sorted)
    return kind
