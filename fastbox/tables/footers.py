"""Facts of a column in Parquet footers, read so that a damaged footer does not end the process."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import Place
from fastbox.errors import InputError, brief
from fastbox.storage.in_memory import Footer
from fastbox.storage.opened import ParquetFile, State

__all__ = ["RowGroups", "check_bounds", "check_footer", "is_fixed", "leaves_of", "limits_of", "row_bytes"]

pq = deferred("pyarrow.parquet")

_LOOK = 1024  # rows that are decoded to measure their width
_MOST_GROUPS = 1000  # row groups whose entries are read


@dataclass(frozen=True)
class RowGroups:
    """Adjacent row groups of one file, which are read together.

    Attributes
    ----------
    file : str
    places : (int, int)
        The number of the first row group, and of the one after the last.
    first_row : int
        Counted in the file.
    boxes : int
        The number of their boxes.
    number : int
        The number of the first box, counted in the whole table.
    state : tuple of int
        The state of the file when its footer was read; empty where a change does not matter.
    bounds : tuple of (int, int, id, id)
        Of each row group with statistics: its first row, the row after its last row, and a lower and an upper bound of
        its ids.
    """

    file: str
    places: tuple[int, int]
    first_row: int
    boxes: int
    number: int = 0
    state: State = ()
    bounds: tuple[tuple[int, int, Any, Any], ...] = ()

    @property
    def low(self) -> Any:
        """A lower bound of the ids of the first row group; None without statistics."""
        return self.bounds[0][2] if self.bounds else None

    @property
    def high(self) -> Any:
        """An upper bound of the ids of the last row group; None without statistics."""
        return self.bounds[-1][3] if self.bounds else None


def check_footer(path: str, footer: Any, column: str) -> None:
    """Refuse a footer with damaged entries on a column, on which Arrow would end the process.

    No data are read: Arrow checks all entries before it reads data, and reports damage; here there are no data.

    Raises
    ------
    InputError
        An entry is damaged.
    """
    if isinstance(footer, Footer):  # was not read
        return
    with pq.ParquetFile(pa.PythonFile(_NoData(), mode="r"), metadata=footer, pre_buffer=True) as file:
        try:
            next(file.iter_batches(1, columns=[column]), None)
        except _NoDataError as end:
            # Arrow keeps it; its frames would keep everything that was being read.
            end.__traceback__ = None
            return
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"expected a Parquet file, got {path} with a damaged footer ({brief(error)}): copy or write it again"
            ) from error


def leaves_of(schema: Any, name: str) -> list[int]:
    """Return the places of a column's values among the leaves of a file's Parquet schema.

    A column may have the path of a field: ``meta.id`` beside a struct ``meta`` with a field ``id``.
    """
    places = [(place, schema.column(place)) for place in range(len(schema))]
    flat = [place for place, column in places if column.path == column.name == name]
    return flat or [
        place for place, column in places if column.path.startswith(f"{name}.") and column.path != column.name
    ]


def row_bytes(path: str, file: ParquetFile, names: Sequence[str]) -> int:
    """Return the bytes that the widest rows of a file take in some columns, beside values of fixed width.

    The footer has the stored lengths of values; if a dictionary stores each value once, some rows are read.
    """
    schema = file.schema_arrow
    unfixed = {field.name for field in schema if not is_fixed(field.type)}  # two columns may have one name
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


def is_fixed(kind: pa.DataType) -> bool:
    """Tell whether all values of a type take the same number of bytes."""
    if pa.types.is_struct(kind):
        return all(is_fixed(field.type) for field in kind)
    if pa.types.is_fixed_size_list(kind):
        return is_fixed(kind.value_type)
    return bool(pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_dictionary(kind))


def limits_of(group: Any, schema: Any, name: str) -> tuple[Any, Any]:
    """Return a lower and an upper bound of the ids of a row group; None and None without statistics.

    Bounds of texts may be shorter than the ids: many writers cut long texts off.
    """
    leaves = leaves_of(schema, name)
    if len(leaves) != 1 or schema.column(leaves[0]).path != name:
        return None, None
    # The schema has the file's name for it; a damaged row group may have another name, or bytes that are not text.
    known = group.column(leaves[0])
    # Asked for statistics of another type than the column's, Arrow ends the process.
    limits = known.statistics if schema.column(leaves[0]).physical_type == known.physical_type else None
    try:
        if limits is None or not limits.has_min_max:
            return None, None
        low, high = limits.min, limits.max
    except UnicodeDecodeError:  # texts that are cut in the middle of a character
        return None, None
    told = isinstance(low, int | str) and isinstance(high, int | str)
    return (low, high) if told and low <= high else (None, None)


def check_bounds(groups: RowGroups, ids: pa.Array, place: Place) -> None:
    """Refuse ascending ids beyond the bounds that the file's footer gives for their row groups.

    Raises
    ------
    InputError
        An id is out of bounds, so that the fragment of its image would miss it.
    """
    first_row, end = place.first_row, place.first_row + len(ids)
    for begin, last, low, high in groups.bounds[bisect_right(groups.bounds, first_row, key=lambda bound: bound[1]) :]:
        if begin >= end:
            return
        rows = max(begin, first_row) - first_row, min(last, end) - 1 - first_row
        for row, came in ((row, ids[row].as_py()) for row in rows):
            if not low <= came <= high:
                raise InputError(
                    f"expected ids from {low!r} to {high!r} in {place(row)}, as the footer says, got {came!r}: "
                    "write the file again"
                )


class _NoDataError(Exception):
    """Data were asked for."""


class _NoData:
    """A file of any size of which nothing can be read."""

    closed = False
    _at = 0

    def readable(self) -> bool:
        return True

    def size(self) -> int:
        return 1 << 62

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size())[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> Any:
        raise _NoDataError

    def close(self) -> None:
        pass
