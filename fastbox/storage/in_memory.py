"""Tables in memory that are read as Parquet files are, though none is written unless more than the rows is wanted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred

__all__ = ["Footer", "InMemory", "InMemoryFile"]

pq = deferred("pyarrow.parquet")


class InMemory:
    """The rows of a table in memory, in groups, and the metadata that a Parquet file would have.

    Parameters
    ----------
    schema : pyarrow.Schema
    groups : sequence of pyarrow.Table
        None of them without rows.
    metadata : mapping of str to str
        More of it than the schema has.
    """

    def __init__(self, schema: pa.Schema, groups: Sequence[pa.Table], metadata: Mapping[str, str]) -> None:
        self.schema, self.groups = schema, groups
        more = {key.encode(): value.encode() for key, value in metadata.items()}
        self.metadata: dict[bytes, bytes] = {**(schema.metadata or {}), **more}

    @property
    def state(self) -> tuple[int, ...]:
        """Values that change with the content: the number of rows, and a checksum."""
        found = zlib.crc32(repr(sorted(self.metadata.items())).encode(), zlib.crc32(self.schema.serialize()))
        for group in self.groups:
            for batch in group.to_batches():
                found = zlib.crc32(batch.serialize(), found)
        return sum(group.num_rows for group in self.groups), found

    @cached_property
    def footer(self) -> Any:
        """The footer of a Parquet file with these groups."""
        stream = pa.BufferOutputStream()
        with pq.ParquetWriter(stream, self.schema, compression="none", use_dictionary=False) as writer:
            for group in self.groups:
                writer.write_table(group, group.num_rows)
        return pq.read_metadata(pa.BufferReader(stream.getvalue()))


class InMemoryFile:
    """A table in memory with the methods of an open Parquet file that its readers use."""

    def __init__(self, table: InMemory, state: tuple[int, ...], coded: Sequence[str] = ()) -> None:
        self._table, self._coded = table, coded
        self.state, self.schema_arrow, self.metadata = state, table.schema, Footer(table)

    def __enter__(self) -> InMemoryFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: the table stays in memory for the next reader."""

    def iter_batches(
        self,
        batch_size: int,
        *,
        row_groups: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        use_threads: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some groups, all by default, in batches of at most ``batch_size`` rows."""
        for place in range(len(self._table.groups)) if row_groups is None else row_groups:
            yield from self.read_row_group(place, columns).to_batches(batch_size)

    def read_row_group(self, place: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a group."""
        group = self._table.groups[place]
        if columns is not None:
            group = group.select([name for name in dict.fromkeys(columns) if name in group.column_names])
        for name in self._coded:
            if pa.types.is_string(group.schema.field(name).type):
                group = group.set_column(group.column_names.index(name), name, group[name].dictionary_encode())
        return group

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows."""
        empty = self.schema_arrow.empty_table()
        groups = [self.read_row_group(place, columns) for place in range(len(self._table.groups))]
        return pa.concat_tables(groups) if groups else empty if columns is None else empty.select(list(columns))


class Footer:
    """The metadata of a Parquet file; what only a file has is looked up in the footer of one."""

    def __init__(self, table: InMemory) -> None:
        self._table = table
        self.metadata = table.metadata
        self.num_rows, self.num_row_groups = sum(group.num_rows for group in table.groups), len(table.groups)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table.footer, name)
