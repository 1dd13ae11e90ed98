"""Tables that were converted or sorted: called by the name that the user gave, stored as Parquet elsewhere."""

from __future__ import annotations

import os
import shlex
import weakref
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import NamedTuple
from fastbox.errors import InputError
from fastbox.storage.in_memory import InMemory
from fastbox.storage.temporary import TemporaryFolder

__all__ = ["ROW_FORMATS", "Backed", "Original", "Scratch", "parquet_of"]

pq = deferred("pyarrow.parquet")

ROW_FORMATS = ("csv", "jsonl")  # files with one row for each row of a table, and their own columns


class Scratch:
    """A temporary folder, made for the first path in it, removed with this object, at the latest when the process ends.

    It is itself a path: that of a file in the folder.
    """

    def __init__(self) -> None:
        self._path: str | None = None

    def join(self, name: str) -> str:
        """Return the path of a name in the folder."""
        if self._path is None:
            folder = TemporaryFolder("fastbox-")
            self._path = folder.path
            weakref.finalize(self, folder.remove)
        return os.path.join(self._path, name)

    def __fspath__(self) -> str:
        return self.join("table.parquet")


class Original(NamedTuple):
    """The row that each row had before sorting, and the same for boxes; None where the order did not change."""

    rows: NDArray[Any] | None = None
    boxes: NDArray[Any] | None = None


class Backed(str):
    """A path as the user gave it, and the Parquet data that is read in its place.

    Attributes
    ----------
    data : InMemory, pyarrow.Buffer or str
        A table in memory, or Parquet in memory or in a file.
    read_as : str
        The format of the input: ``"parquet"``, ``"csv"``, ``"jsonl"``, ``"coco"``, ``"frame"`` and so on.
    sorted_in : str or None
        ``"memory"`` or ``"files"``: the place where the rows were sorted, if they were.
    original : Original
        The rows and boxes before sorting; they differ where one row holds all boxes of an image.
    images : pyarrow.Table or None
        The images that the input lists beside the boxes, ascending.
    state : tuple of int
        A value that changes with the content.
    """

    data: Any
    read_as: str
    sorted_in: str | None
    original: Original
    images: pa.Table | None
    state: tuple[int, ...]
    _scratch: Scratch | None

    @classmethod
    def of(
        cls,
        name: str,
        data: InMemory | pa.Buffer | str,
        read_as: str,
        *,
        sorted_in: str | None = None,
        original: Original | None = None,
        images: pa.Table | None = None,
        state: tuple[int, ...] = (0, 0),
        scratch: Scratch | None = None,
    ) -> Backed:
        """Return a table with a name; ``scratch``, the folder of its files, is kept as long as the table."""
        made = cls(name)
        made.data, made.read_as, made.sorted_in, made.original = data, read_as, sorted_in, original or Original()
        made.images, made.state, made._scratch = images, state, scratch
        return made

    def open(self) -> Any:
        """Return the file name or the buffer for a Parquet reader."""
        return self.data if isinstance(self.data, str) else pa.BufferReader(self.data)

    def writing(self) -> str:
        """Return the call or the command that writes the table to a Parquet file."""
        if self.read_as == "frame":
            return "fastbox.jobs.sort(table, 'boxes.parquet')"
        return f"`fastbox sort {shlex.quote(self)} -o boxes.parquet`"

    def __reduce__(self) -> tuple[Any, ...]:
        raise InputError(
            f"expected Parquet files that every worker can read, got {self}, which was read on this machine: "
            f"write it as such with {self.writing()}"
        )


def parquet_of(table: pa.Table) -> pa.Buffer:
    """Return a table as Parquet in memory, quick to write and to read.

    Raises
    ------
    InputError
        A column that Parquet has no type for.

    Examples
    --------
    >>> pq.read_table(pa.BufferReader(parquet_of(pa.table({"a": [1, 2]})))).num_rows
    2
    """
    try:
        return _written(table)
    except pa.ArrowException:
        for name in table.column_names:
            try:
                _written(table.select([name]))
            except pa.ArrowException:
                kind = table.schema.field(name).type
                raise InputError(
                    f"expected columns that Parquet holds, got {kind} in column {name!r}: cast or drop it"
                ) from None
        raise


def _written(table: pa.Table) -> pa.Buffer:
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, compression="none", use_dictionary=False, row_group_size=1 << 20)
    return stream.getvalue()
