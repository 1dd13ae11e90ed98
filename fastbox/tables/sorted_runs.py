"""Sort rows by a column, more than fit in memory: write sorted runs to disk, and merge them."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.arrow.arrays import one_chunk, plain
from fastbox.storage.temporary import TemporaryFolder

__all__ = ["SortedRuns"]

pc = deferred("pyarrow.compute")

_RUN_BYTES = 48 << 20  # of a run: sorting takes longer for one much larger than the caches
_BLOCKS = 64  # of a run on disk: one of each run is in memory while the runs are merged
_LEAST_ROWS = 4096  # of a block
_CHUNK_ROWS = 262_144  # of the sorted rows


class SortedRuns:
    """A stable sort of rows by one column; a context manager.

    Parameters
    ----------
    place : int
        The column to sort by, of integers or strings without null.
    limit : int
        The most bytes of rows to hold in memory; more go to disk.
    folder : str or None
        The parent of the temporary folder; that of the system when None.

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
        self._bytes = 0  # of the rows in memory
        self._kept = 0  # of the runs in memory
        self._runs: list[_Run] = []
        self._schema: pa.Schema | None = None
        self._moved: pa.Schema | None = None  # while rows are sorted
        self._disk: TemporaryFolder | None = None

    def __enter__(self) -> SortedRuns:
        return self

    def __exit__(self, *error: object) -> None:
        self._runs.clear()
        if self._disk is not None:
            self._disk.remove()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if self._schema is None:
            self._schema = batch.schema
            self._moved = pa.schema([field.with_type(_movable(field.type)) for field in batch.schema])
        if self._moved != self._schema:
            batch = batch.cast(self._moved)
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > min(_RUN_BYTES, self._limit // 2):
            self._end_run()

    def merged(self) -> Iterator[pa.Table]:
        """Yield all rows in order; no more can be added."""
        if self._runs and self._held:
            self._end_run()
        for rows in self._merged() if self._runs else self._sorted(self._held) if self._held else ():
            yield rows if self._moved == self._schema else rows.cast(self._schema)

    def _sorted(self, batches: list[pa.RecordBatch], at_once: int = _CHUNK_ROWS) -> Iterator[pa.Table]:
        """Yield the rows of some batches in order, ``at_once`` at a time, so that the caller works meanwhile."""
        rows = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
        ids = plain(one_chunk(rows.column(self._place)))
        falls = len(ids) > 1 and pc.any(pc.less(ids[1:], ids[:-1])).as_py()
        order = pc.sort_indices(ids) if falls else None
        for first in range(0, len(rows), at_once):
            yield rows.slice(first, at_once) if order is None else rows.take(order.slice(first, at_once))

    def _end_run(self) -> None:
        """Sort the rows in memory into a run, in memory or on disk."""
        at_once = max(_LEAST_ROWS, -(-sum(batch.num_rows for batch in self._held) // _BLOCKS))
        schema = self._held[0].schema
        blocks = (rows.combine_chunks().to_batches()[0] for rows in self._sorted(self._held, at_once))
        if self._kept + self._bytes <= self._limit // 2:
            self._kept += self._bytes
            in_memory = deque(blocks)
            self._runs.append(_Run(len(in_memory), in_memory.popleft, self._place))
        else:
            if self._disk is None:
                self._disk = TemporaryFolder(".fastbox-sort-", self._folder)
            path = os.path.join(self._disk.path, f"{len(self._runs)}.arrow")
            with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
                for block in blocks:
                    writer.write_batch(block)
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
            # No block to come has an id below this one; only the first run with it has all its rows in memory.
            end = min(more)
            first = next(number for number, run in enumerate(runs) if run.goes_on and run.last() == end)
            ready = [batch for number, run in enumerate(runs) for batch in run.take(run.until(end, number <= first))]
            yield from self._sorted(ready)


class _Run:
    """A sorted run: its block in memory, and the blocks to come."""

    def __init__(self, count: int, following: Callable[[], pa.RecordBatch], place: int) -> None:
        self._left, self._following, self._place = count, following, place
        self._block: pa.RecordBatch | None = None

    def __len__(self) -> int:
        return 0 if self._block is None else int(self._block.num_rows)

    @property
    def goes_on(self) -> bool:
        """Tell whether blocks are to come."""
        return self._left > 0

    def load(self) -> None:
        """Read the next block if nothing is left of the last."""
        while not len(self) and self.goes_on:
            self._block = self._following()
            self._left -= 1

    def last(self) -> Any:
        """The last id of the block in memory."""
        assert self._block is not None
        return self._block.column(self._place)[-1].as_py()

    def until(self, end: Any, included: bool) -> int:
        """Count the rows in memory that come before an id, or have it."""
        if self._block is None:
            return 0
        ids = self._block.column(self._place)
        find = bisect_right if included else bisect_left
        return find(range(len(ids)), end, key=lambda row: ids[row].as_py())

    def take(self, count: int) -> list[pa.RecordBatch]:
        """Return the first rows in memory, and drop them."""
        if self._block is None or not count:
            return []
        taken, self._block = self._block.slice(0, count), self._block.slice(count)
        return [taken]


def _movable(kind: pa.DataType) -> pa.DataType:
    """Return a type that Arrow can sort, for a type that it can't: of views and run-end encodings their plain types."""
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
