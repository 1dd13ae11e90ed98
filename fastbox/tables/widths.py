"""Bytes that rows take in memory beside their fixed width: in texts, bytes and lists."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fastbox.tables.footers import check_footer, leaves_of

__all__ = ["GroupEnds", "row_bytes"]

_LOOK = 1024  # rows that are decoded to measure their width
_MOST_GROUPS = 1000  # row groups whose entries are read


def row_bytes(path: str, file: pq.ParquetFile, names: Sequence[str]) -> int:
    """Return the bytes that the widest rows of a file take in some columns, beside values of fixed width.

    The footer has the stored lengths of values; if a dictionary stores each value once, some rows are read.
    """
    schema = file.schema_arrow
    unfixed = {field.name for field in schema if not _is_fixed(field.type)}  # two columns may have one name
    wide = [name for name in dict.fromkeys(names) if name in unfixed]
    footer = file.metadata
    if not wide or not footer.num_rows:
        return 0
    for name in wide:
        check_footer(path, footer, name)
    leaves = [leaf for name in wide for leaf in leaves_of(footer.schema, name)]
    widest, most, coded = 0, 0, False
    for k in range(0, footer.num_row_groups, -(-footer.num_row_groups // _MOST_GROUPS)):
        group = footer.row_group(k)
        chunks = [group.column(leaf) for leaf in leaves]
        stored = sum(chunk.total_uncompressed_size for chunk in chunks) // max(1, group.num_rows)
        coded |= any("DICTIONARY" in encoding for chunk in chunks for encoding in chunk.encodings)
        if stored > most:
            widest, most = k, stored
    if coded:
        with suppress(OSError, pa.ArrowException, UnicodeDecodeError):  # the reader of all rows reports the error
            seen = next(file.iter_batches(_LOOK, row_groups=[widest], columns=wide), None)
            if seen is not None and seen.num_rows:
                most = max(most, seen.nbytes // seen.num_rows)
    return most


class GroupEnds:
    """The ends of row groups: after a number of rows, or of bytes in values of no fixed width.

    The same rows give the same ends, however they come in batches.
    """

    def __init__(self, schema: pa.Schema, most_rows: int, most_bytes: int) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._wide = [k for k, kind in enumerate(schema.types) if not _is_fixed(kind)]
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


def _is_fixed(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_is_fixed(field.type) for field in kind)
    if pa.types.is_fixed_size_list(kind):
        return _is_fixed(kind.value_type)
    return bool(pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_dictionary(kind))


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
    if _is_fixed(kind):
        return np.zeros(len(array), np.int64)
    try:
        return np.asarray(pc.fill_null(pc.binary_length(array), 0), np.int64)
    except pa.ArrowNotImplementedError:
        return np.full(len(array), 16, np.int64)
