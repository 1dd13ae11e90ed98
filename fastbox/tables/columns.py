"""Read columns of Parquet files batch by batch, one batch ahead."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pyarrow as pa

from fastbox.arrow.fields import require
from fastbox.errors import InputError
from fastbox.memory import most_of
from fastbox.storage.locate import Paths
from fastbox.storage.opened import Opened, open_parquet
from fastbox.tables.batches import batches_of
from fastbox.tables.chunk import ROWS
from fastbox.tables.files import filled_files
from fastbox.tables.footers import RowGroups, row_bytes
from fastbox.tables.stream import ahead

__all__ = ["read_batches"]


def read_batches(
    paths: Paths,
    columns: Sequence[str] | None = None,
    *,
    rows: int = ROWS,
    groups: Sequence[RowGroups] | None = None,
) -> Generator[tuple[str, int, pa.RecordBatch]]:
    """Yield ``(file, row in the file, batch)`` for all rows of some files, decoding one batch ahead.

    Parameters
    ----------
    paths : path, glob, directory or a sequence of them
    columns : sequence of str, optional
        The columns to read; all of the first file's when left out.
    rows : int
        Rows per batch, at most.
    groups : sequence of RowGroups, optional
        The row groups of these files to read; all when left out.

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
            for part in files if groups is None else groups:
                for first_row, batch in batches_of(part, schema.names, most, (), opened):
                    yield part.file if isinstance(part, RowGroups) else part, first_row, batch
            opened.check(files)
        finally:
            if own:
                opened.end()

    return ahead(batches())


def _expected(files: Sequence[str], columns: Sequence[str] | None) -> tuple[pa.Schema, int]:
    """Return the schema of columns that all files must have, and the most bytes a row takes beside its fixed width."""
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


def _look(file: str, columns: Sequence[str] | None) -> tuple[pa.Schema, int]:
    with open_parquet(file) as parquet:
        schema = parquet.schema_arrow
        return schema, row_bytes(file, parquet, schema.names if columns is None else columns)
