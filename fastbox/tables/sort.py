"""Sort tables by image, out of core: sort runs that fit in memory, write them to disk, and merge them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import Any

import pyarrow as pa

from fastbox.arrow.arrays import Place, id_kind
from fastbox.arrow.fields import require
from fastbox.errors import InputError
from fastbox.memory import bytes_of, get_memory, most_of
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import Opened, keep_open, open_parquet
from fastbox.storage.outputs import check_outputs
from fastbox.tables.batches import batches_of
from fastbox.tables.files import filled_files
from fastbox.tables.footers import row_bytes
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink
from fastbox.tables.sorted_runs import SortedRuns
from fastbox.tables.stream import ahead
from fastbox.tables.write_back import common_schema, own_schema, with_schema

__all__ = ["sort"]

_BATCH_ROWS = 131_072
_UNKNOWN = 2 << 30  # bytes to sort in where nothing tells how many there are


def sort(
    paths: Paths,
    out: str | os.PathLike[str],
    *,
    by: str = "image_id",
    memory: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Sort tables by their image ids into one file; rows of one image keep their order.

    Parameters
    ----------
    paths : path, directory, glob or a list of them
        Parquet files of one schema.
    out : path
        The file to write: the same columns and types, and the names of categories of the first file.
    by : str
        The column of image ids, integers or strings: numbers by their value, strings by their code points.
    memory : str, optional
        The most memory to sort in, as ``"2GB"``; more rows go to a temporary folder beside the output. Four fifths of
        the memory of jobs when left out.
    progress : callable, optional
        Called with the number of rows written since the last call.

    Returns
    -------
    dict
        The numbers of ``rows`` and ``files``.

    Raises
    ------
    InputError
        A file or column can't be used, files that differ, an id that is null.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> mixed, sorted_ = os.path.join(folder, "mixed.parquet"), os.path.join(folder, "sorted.parquet")
    >>> pq.write_table(pa.table({"image_id": [3, 1, 3], "score": [0.5, 0.25, 1.0]}), mixed)
    >>> sort(mixed, sorted_)
    {'rows': 3, 'files': 1}
    >>> pq.read_table(sorted_).to_pydict()
    {'image_id': [1, 3, 3], 'score': [0.25, 0.5, 1.0]}
    """
    check_outputs([paths], {"out": out})
    limit = _limit(memory)
    with keep_open() as opened, ExitStack() as stack:
        every = find_files(paths)
        files = filled_files(every)
        schema = _schema(files)
        id_kind(require(schema, by, files[0]).type, by, files[0])
        sink = Sink(out, schema, command="sort", parameters={"paths": every, "by": by})
        stack.enter_context(sink)
        runs = stack.enter_context(SortedRuns(schema.get_field_index(by), limit, sink.folder))
        batches = stack.enter_context(closing(ahead(_read(files, by, opened))))
        for batch in batches:
            runs.add(with_schema(batch, schema))
        for rows in runs.merged():
            sink.write(rows)
            if progress is not None:
                progress(len(rows))
        sink.record(**{name: found for name, found in _record(files[0]).items() if name == "categories"})
    return {"rows": sink.rows, "files": len(every)}


def _read(files: list[str], by: str, opened: Opened) -> Generator[pa.RecordBatch]:
    """Yield all rows in their order; refuse a row without an id."""
    for file in files:
        with open_parquet(file, (), opened) as parquet:
            most = min(_BATCH_ROWS, most_of(row_bytes(file, parquet, parquet.schema_arrow.names)))
        for first_row, batch in batches_of(file, None, most, (), opened):
            ids = batch.column(by)
            if ids.null_count:
                row = ids.is_null().to_pylist().index(True)
                where = Place(file, by, first_row)(row)
                raise InputError(f"expected an image id in every row, got a null in {where}: fill or drop it")
            yield batch
    opened.check(files)


def _limit(memory: str | None) -> int:
    """Return the bytes of memory to sort in."""
    if memory is not None:
        return bytes_of(memory, least=1 << 20)
    known = get_memory()
    return _UNKNOWN if known is None else known * 4 // 5


def _schema(files: list[str]) -> pa.Schema:
    """Return the columns that all files have, in the schema of the first."""
    schemas = []
    for file in files:
        with open_parquet(file) as parquet:
            schemas.append(parquet.schema_arrow)
    return common_schema([own_schema(files[0]), *schemas[1:]], files)


def _record(file: str) -> dict[str, Any]:
    try:
        return read_record(file)
    except InputError:
        return {}
