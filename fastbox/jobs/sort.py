"""Sort tables of every kind by image, into one Parquet file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastbox.datasets.as_source import Given, as_source
from fastbox.storage.backed import Backed
from fastbox.storage.locate import find_files
from fastbox.storage.outputs import check_outputs
from fastbox.tables import sort as sorter
from fastbox.tables.columns import read_batches
from fastbox.tables.frames import listed
from fastbox.tables.record import read_names
from fastbox.tables.sink import Sink
from fastbox.tables.source import Source
from fastbox.tables.write_back import own_schema, with_schema
from fastbox.values.arguments import checked
from fastbox.values.names import IMAGE

__all__ = ["sort"]


@checked
def sort(
    tables: Given,
    out: str | os.PathLike[str],
    *,
    image_column: str = IMAGE,
    memory: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Sort tables by their image ids into one file that every other job reads; rows of one image keep their order.

    Parameters
    ----------
    tables : path, directory, glob, list of these, frame, Arrow table, dict of arrays or Boxes
        Parquet files of one schema, annotations in any format, CSV with a header, or a table in memory.
    out, memory, progress
        As for :func:`fastbox.tables.sort.sort`.
    image_column : str
        The column of image ids; by default ``image_id`` or another of its usual names.

    Raises
    ------
    InputError
        A table can't be used.

    Examples
    --------
    >>> import pyarrow as pa, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "sorted.parquet")
    >>> sort({"image_id": [3, 1, 3], "score": [0.5, 0.25, 1.0]}, path)
    {'rows': 3, 'files': 1}
    """
    tables = listed(tables)
    given = tables if isinstance(tables, Source) else replace(Source(()), path=tables, image=image_column)
    check_outputs([given], {"out": out})
    source = as_source(given, "tables")
    files = find_files(source.path)
    column = str(source.image)
    if not isinstance(files[0], Backed):
        return sorter.sort(source.path, out, by=column, memory=memory, progress=progress)
    schema = own_schema(files[0])
    parameters = {"paths": [str(file) for file in files], "by": column}
    with Sink(out, schema, command="sort", parameters=parameters) as sink:
        for _, _, batch in read_batches(files):
            sink.write(with_schema(batch, schema))
            if progress is not None:
                progress(batch.num_rows)
        if names := read_names(files[0]):
            sink.record(categories=names)
    return {"rows": sink.rows, "files": len(files)}
