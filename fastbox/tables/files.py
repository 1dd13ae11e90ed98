"""Parquet files and their rows: find them, open them, and read them batch by batch, one batch ahead."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from fastbox.errors import InputError
from fastbox.memory import check_footer_room, most_of
from fastbox.parallel import alone
from fastbox.tables.locate import Paths, find_files, like
from fastbox.tables.opened import KeptFile, Opened, State, check_state
from fastbox.tables.schema import require
from fastbox.tables.stores import is_stored, local
from fastbox.tables.widths import row_bytes

__all__ = [
    "Paths",
    "Run",
    "ahead",
    "batches_of",
    "column_names",
    "count_rows",
    "filled_files",
    "find_files",
    "open_parquet",
    "read_batches",
    "read_whole",
]

Item = TypeVar("Item")

_DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)  # the last where names are no text


@dataclass(frozen=True)
class Run:
    """A run of row groups of one file.

    Attributes
    ----------
    file : str
    groups : tuple of (int, int)
        The first row group, and the one after the last.
    first_row : int
        Counted in the file.
    boxes : int
        How many it has.
    number : int
        The first box, counted in the whole table.
    state : tuple of int
        What the file was when its footer was read; nothing where that is all the same.
    bounds : tuple of (int, int, id, id)
        Of each row group that tells: its first row, the one after its last, and ids that none is below and above.
    """

    file: str
    groups: tuple[int, int]
    first_row: int
    boxes: int
    number: int = 0
    state: State = ()
    bounds: tuple[tuple[int, int, Any, Any], ...] = ()


def open_parquet(path: str | os.PathLike[str], coded: Sequence[str] = (), opened: Opened | None = None) -> KeptFile:
    """Open a Parquet file, to be read in bounded memory; string columns ``coded`` come as dictionaries.

    Within a job it is opened once, however often this is called; ``opened`` is the job's, where a thread doesn't know.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty, truncated, damaged, or no Parquet.
    """
    name = local(path)
    try:
        home = opened or Opened.now() or Opened.none()
        file = home.open(name, coded)
        _ = file.schema.names
        check_footer_room(name, file.metadata.serialized_size, file.metadata.num_row_groups)
    except MemoryError:
        raise
    except _DAMAGED as error:
        raise InputError(_why_not(name, error)) from error
    return file


def count_rows(path: Paths) -> int:
    """Count the rows of files by their footers, without reading them."""
    return sum(_count(file) for file in find_files(path))


def filled_files(path: Paths) -> list[str]:
    """Return the files that have rows, as those without often have no types; the first where none has."""
    files = find_files(path)
    return files if len(files) == 1 else [file for file in files if _count(file)] or files[:1]


def column_names(path: Paths) -> list[str]:
    """Name the columns of the first of some files."""
    with open_parquet(find_files(path)[0]) as file:
        return list(file.schema_arrow.names)


def batches_of(
    path: str | Run, columns: Sequence[str] | None, rows: int, coded: Sequence[str] = (), opened: Opened | None = None
) -> Generator[tuple[int, pa.RecordBatch]]:
    """Yield ``(first row, batch)`` of one file or a run of its row groups, at most ``rows`` at a time.

    Batches are as :func:`open_parquet` gives them, and rows are counted in the file.
    """
    path, run = (path.file, path) if isinstance(path, Run) else (path, None)
    with open_parquet(path, coded, opened) as file:
        if run is not None and run.state:
            check_state(path, run.state, file.state)
        groups = range(file.metadata.num_row_groups) if run is None else range(*run.groups)
        batches = _batches(file, groups, rows, columns)
        first_row = 0 if run is None else run.first_row
        while True:
            try:
                batch = next(batches, None)
                for column in () if batch is None else batch.columns:
                    if _is_text(column.type):
                        column.validate(full=True)
            except MemoryError:
                raise
            except _DAMAGED as error:
                if isinstance(error, OSError) and error.errno:
                    raise  # the system could not read; what Arrow could not make sense of has no number
                what = f"got damaged data ({_brief(error)}): copy or write it again"
                raise InputError(f"expected rows from {first_row} on in {path}, {what}") from error
            if batch is None:
                return
            if batch.num_rows:
                yield first_row, batch if columns is None else _only(batch, columns)
            first_row += batch.num_rows


def read_whole(file: KeptFile) -> pa.Table:
    """Return all rows of a file."""
    if not _is_read_by_group(file):
        return file.read()
    groups = range(file.metadata.num_row_groups)
    return pa.concat_tables(map(file.read_row_group, groups)) if groups else file.schema_arrow.empty_table()


def _batches(
    file: KeptFile, groups: Sequence[int], rows: int, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Batches of some row groups; none has rows of two where Arrow can't read them at once."""
    for some in ([group] for group in groups) if _is_read_by_group(file) else [groups]:
        yield from file.iter_batches(rows, row_groups=some, columns=None if columns is None else list(columns))


def _is_read_by_group(file: KeptFile) -> bool:
    """Whether a file has dictionaries inside of columns, which Arrow can't read of several row groups at once."""
    return any(pa.types.is_nested(kind) and _has_dictionary(kind) for kind in file.schema_arrow.types)


def _has_dictionary(kind: pa.DataType) -> bool:
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return bool(pa.types.is_dictionary(kind) or any(map(_has_dictionary, inner)))


def _only(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """A batch without what Arrow reads beside the columns asked for: a field of a struct has a dotted name to it."""
    there = batch.schema.names
    inside = [name for name in names if name not in there]  # of structs
    asked = [
        place
        for place, name in enumerate(there)
        if name in names or any(path.startswith(f"{name}.") for path in inside)
    ]
    return batch if len(asked) == batch.num_columns else batch.select(asked)


def read_batches(
    paths: Paths, columns: Sequence[str] | None = None, *, rows: int = 262_144, runs: Sequence[Run] | None = None
) -> Generator[tuple[str, int, pa.RecordBatch]]:
    """Yield ``(file, row in the file, batch)`` for all rows of some files, decoding one batch ahead.

    Parameters
    ----------
    paths : path, glob, directory or a sequence of them
    columns : sequence of str, optional
        The columns to read; all of the first file's when left out.
    rows : int
        Rows per batch, at most.
    runs : sequence of Run, optional
        The row groups to read, of these files; all when left out.

    Raises
    ------
    InputError
        At once: a file can't be opened, lacks a column, or has it in another type than the first. Later: damaged data.
    """
    opened = Opened.now() or Opened()
    own = opened is not Opened.now()
    with opened.active():
        files = filled_files(paths)
        schema, wide = _expected(files, columns)
    most = min(rows, most_of(wide))

    def batches() -> Generator[tuple[str, int, pa.RecordBatch]]:
        try:
            for part in files if runs is None else runs:
                for first_row, batch in batches_of(part, schema.names, most, (), opened):
                    yield part.file if isinstance(part, Run) else part, first_row, batch
            opened.check(files)
        finally:
            if own:
                opened.end()

    return ahead(batches())


def _expected(files: Sequence[str], columns: Sequence[str] | None) -> tuple[pa.Schema, int]:
    """The schema of some columns, which all files must have, and the bytes of no fixed width of the widest rows."""
    schema, wide = _look(files[0], columns)
    if columns is not None:
        schema = pa.schema([require(schema, name, files[0]) for name in columns])
    for file in files[1:]:
        other, width = _look(file, schema.names)
        wide = max(wide, width)
        for field in schema:
            kind = require(other, field.name, file).type
            if kind != field.type:
                where = f"column {field.name!r} of {file}"
                raise InputError(
                    f"expected {field.type} in {where}, as in {files[0]}, got {kind}: write all files alike"
                )
    return schema, wide


def ahead(items: Generator[Item]) -> Generator[Item]:
    """Yield from a generator that runs in a thread, one item ahead; closing this one stops and closes that one."""
    if alone():
        with closing(items):
            yield from items
        return

    taken = threading.Lock()

    def step() -> list[Item]:
        with taken:
            return list(islice(items, 1))

    thread = ThreadPoolExecutor(1, thread_name_prefix="fastbox-reader")
    try:
        coming = thread.submit(step)
        while found := coming.result():
            coming = thread.submit(step)
            yield found.pop()
    finally:
        thread.shutdown(cancel_futures=True)
        with taken:  # an interrupt while the thread starts leaves one that shutdown does not know of and wait for
            items.close()


def _count(file: str) -> int:
    with open_parquet(file) as parquet:
        return int(parquet.metadata.num_rows)


def _look(file: str, columns: Sequence[str] | None) -> tuple[pa.Schema, int]:
    with open_parquet(file) as parquet:
        schema = parquet.schema_arrow
        return schema, row_bytes(file, parquet, schema.names if columns is None else columns)


def _is_text(kind: pa.DataType) -> bool:
    """Whether values are strings, which a file may hold though they are no text."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _why_not(name: str, error: Exception) -> str:
    """Say in one sentence why a file can't be opened as Parquet."""
    if is_stored(name):
        return f"expected a Parquet file, got {name} ({_brief(error)})"
    if isinstance(error, FileNotFoundError) or not os.path.exists(name):
        return f"expected a Parquet file, got no file {name}{like(name)}"
    if os.path.isdir(name):
        return f"expected a Parquet file, got the directory {name}"
    try:
        with open(name, "rb") as file:
            begin = file.read(4)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4))
            end = file.read(4)
    except OSError as refused:
        return f"expected a readable Parquet file, got {name}: {refused.strerror}"
    if size == 0:
        return f"expected a Parquet file, got an empty file (0 bytes), {name}: write it again"
    if begin == b"PAR1" and end != b"PAR1":
        return f"expected a whole Parquet file, got {name} truncated (its footer is missing): copy or write it again"
    if begin != b"PAR1":
        return f"expected a Parquet file, got {name}, which is not Parquet"
    return f"expected a Parquet file, got {name} with a damaged footer ({_brief(error)}): copy or write it again"


def _brief(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
