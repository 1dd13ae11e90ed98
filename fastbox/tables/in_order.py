"""Sort tables by image: small tables in memory, large ones on disk."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.arrays import id_kind, one_chunk, plain, rows_of, sort_command
from fastbox.errors import InputError
from fastbox.memory import get_memory
from fastbox.stages import logger
from fastbox.storage.backed import Backed, Original, Scratch, parquet_of
from fastbox.storage.locate import Listing, find_files
from fastbox.storage.opened import check_state, open_parquet
from fastbox.tables.chunk import ROWS
from fastbox.tables.columns import read_batches
from fastbox.tables.files import read_whole
from fastbox.tables.sort import sort
from fastbox.tables.source import Source, boxes_in
from fastbox.tables.write_back import common_schema, with_schema
from fastbox.values.groups import order_of as order_of_ids

__all__ = ["order_of", "sorted_source", "sorted_table"]

pc = deferred("pyarrow.compute")
pq = deferred("pyarrow.parquet")

COPIES = 4  # of a table that is sorted in memory


def sorted_source(source: Source) -> Source:
    """Return a source with its rows sorted by image; rows of one image keep their order.

    Raises
    ------
    InputError
        Its files can't be used.
    """
    assert source.image is not None
    every = [(file, *_size(file)) for file in find_files(source.path)]
    files, sizes, rows = map(list, zip(*([one for one in every if one[2]] or every[:1]), strict=True))
    memory = get_memory()
    small = memory is None or COPIES * sum(sizes) <= memory
    given = source.path.given if isinstance(source.path, Listing) else source.path
    name = files[0] if len(files) == 1 else given if isinstance(given, str) else f"{files[0]} and more"
    read_as = files[0].read_as if isinstance(files[0], Backed) else "parquet"
    backed = _in_memory(source, files, name, read_as) if small else _on_disk(source, files, name, read_as)
    where = "in memory" if small else "on disk"
    how = f"; {sort_command(name, source.image)} writes a sorted copy" if read_as == "parquet" else ""
    logger().info(
        "%s is not sorted by %s: its %s rows were sorted %s%s", name, source.image, f"{sum(rows):,}", where, how
    )
    return replace(source, path=backed)


def sorted_table(
    table: pa.Table, source: Source, name: str, read_as: str, *, given: NDArray[np.int64] | None = None
) -> Backed:
    """Return a table in memory under a name, sorted by image if it has image ids.

    ``given`` has the original row of each row; by default rows are in their original order.
    """
    order = None
    if source.image is not None and table.column_names.count(source.image) == 1:
        order = order_of(table[source.image], source.image, name)
    rows = given if order is None else order if given is None else given[order]
    boxes = rows
    if rows is not None and (counts := _counts(table, source, name)) is not None:
        boxes = _spread(rows, counts)
    data = parquet_of(table if order is None else _taken(table, pa.array(order)))
    sorted_in = None if order is None else "memory"
    state = data.size, zlib.crc32(data)
    return Backed.of(name, data, read_as, sorted_in=sorted_in, original=Original(rows, boxes), state=state)


def order_of(ids: pa.ChunkedArray, name: str, where: str) -> NDArray[np.int64] | None:
    """Return the rows sorted by their ids, rows of one id in their order; None for ids that ascend already."""
    try:
        id_kind(ids.type, name, where)
    except InputError:
        return None  # the reader of the ids refuses them
    column = plain(one_chunk(ids))
    if pa.types.is_null(column.type):
        return None
    if column.type == pa.int64() and not column.null_count:  # without pyarrow.compute, which takes long to load
        return order_of_ids(column.to_numpy())
    falls = pc.any(pc.less(column[1:], column[:-1])).as_py() if len(column) > 1 else False
    if not falls and not column.null_count:
        return None
    return np.asarray(pc.sort_indices(column).to_numpy(), np.int64)


def _taken(table: pa.Table, rows: pa.Array) -> pa.Table:
    return pa.Table.from_arrays([rows_of(one_chunk(column), rows) for column in table.columns], schema=table.schema)


def _size(file: str) -> tuple[int, int]:
    """Return the uncompressed bytes and the rows of a file."""
    with open_parquet(file) as parquet:
        footer = parquet.metadata
        groups = range(footer.num_row_groups)
        return sum(int(footer.row_group(i).total_byte_size) for i in groups), int(footer.num_rows)


def _in_memory(source: Source, files: list[str], name: str, read_as: str) -> Backed:
    tables, rows, first = [], [], 0
    for file in files:
        with open_parquet(file) as parquet:
            tables.append(read_whole(parquet))
            check_state(file, parquet.state)
        before = file.original.rows if isinstance(file, Backed) else None
        own = np.arange(len(tables[-1])) if before is None else before
        rows.append(own + first)
        first += len(own)
    schema = common_schema([table.schema for table in tables], files)
    tables = [with_schema(table, schema) for table in tables]
    return sorted_table(pa.concat_tables(tables), source, name, read_as, given=np.concatenate(rows))


def _on_disk(source: Source, files: list[str], name: str, read_as: str) -> Backed:
    """Sort on disk; a second sorted table, with only ids and rows, gives the original rows."""
    assert source.image is not None
    scratch = Scratch()
    memory = get_memory()
    limit = None if memory is None else f"{memory // 2 >> 20}MiB"
    paths = [str(file.data) if isinstance(file, Backed) else file for file in files]
    whole, ids, ordered = (scratch.join(f"{part}.parquet") for part in ("sorted", "ids", "rows"))
    sort(paths, whole, by=source.image, memory=limit)
    ragged = _write_rows(source, files, ids)
    sort(ids, ordered, by="image", memory=limit)
    rows = _mapped(ordered, scratch.join("rows"), lambda batch: batch["row"])
    boxes = _mapped(ordered, scratch.join("boxes"), _boxes_of) if ragged else rows
    stats = [os.stat(path) for path in paths]
    state = sum(one.st_size for one in stats), max(one.st_mtime_ns for one in stats)
    original = Original(rows, boxes)
    return Backed.of(name, whole, read_as, sorted_in="files", original=original, state=state, scratch=scratch)


def _write_rows(source: Source, files: list[str], path: str) -> bool:
    """Write the ids, the number of each row and the numbers of its boxes; tell whether a row is an image."""
    assert source.image is not None
    with open_parquet(files[0]) as parquet:
        schema = parquet.schema_arrow
    counted = boxes_in(schema, source, files[0])
    ragged = counted.layout == "ragged"
    kind = pa.string() if id_kind(schema.field(source.image).type, source.image, files[0]) == "string" else pa.int64()
    fields = [("image", kind), ("row", pa.int64()), ("first", pa.int64()), ("count", pa.int64())]
    row = box = 0
    with pq.ParquetWriter(path, pa.schema(fields), use_dictionary=False) as writer:
        names = [source.image, *counted.names[: int(ragged)]]
        for _, _, batch in read_batches(files, names):
            counts = np.ones(batch.num_rows, np.int64)
            if ragged:
                counts = _lengths(batch.column(names[1]))
            ids = batch.column(source.image)
            ids = ids.dictionary_decode() if pa.types.is_dictionary(ids.type) else ids
            firsts = box + np.cumsum(counts) - counts
            columns = [ids.cast(kind), row + np.arange(batch.num_rows), firsts, counts]
            writer.write_table(pa.table(dict(zip([name for name, _ in fields], columns, strict=True))))
            row, box = row + batch.num_rows, box + int(counts.sum())
    return ragged


def _mapped(ordered: str, path: str, numbers: Callable[[pa.RecordBatch], Any]) -> NDArray[np.int64]:
    """Return the numbers of a table's batches, in a file that is mapped into memory."""
    with open(path, "wb") as file, open_parquet(ordered) as parquet:
        for batch in parquet.iter_batches(ROWS, columns=["row", "first", "count"]):
            np.asarray(numbers(batch), np.int64).tofile(file)
    return np.memmap(path, np.int64, "r") if os.path.getsize(path) else np.zeros(0, np.int64)


def _boxes_of(batch: pa.RecordBatch) -> NDArray[np.int64]:
    firsts, counts = (np.asarray(batch[name]) for name in ("first", "count"))
    begins = np.cumsum(counts) - counts
    return np.repeat(firsts - begins, counts) + np.arange(int(counts.sum()))


def _counts(table: pa.Table, source: Source, name: str) -> NDArray[np.int64] | None:
    """Count the boxes of each row, if a row is an image."""
    try:
        found = boxes_in(table.schema, source, name)
    except InputError:
        return None
    if found.layout != "ragged":
        return None
    return _lengths(table[found.names[0]])


def _lengths(lists: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)


def _spread(order: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    firsts = np.cumsum(counts) - counts
    own = counts[order]
    begins = np.cumsum(own) - own
    return np.repeat(firsts[order] - begins, own) + np.arange(int(own.sum()))
