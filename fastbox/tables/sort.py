"""Sort tables by image, out of core: DuckDB sorts and spills, this writes what it gives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from fastbox.errors import InputError
from fastbox.tables.arrays import id_kind
from fastbox.tables.files import Paths, find_files, open_parquet
from fastbox.tables.outputs import check_outputs
from fastbox.tables.schema import require
from fastbox.tables.sink import Sink, read_record
from fastbox.tables.stores import local

__all__ = ["sort"]

_BATCH_ROWS = 131_072


def sort(
    paths: Paths,
    out: str | os.PathLike[str],
    *,
    by: str = "image_id",
    memory: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Sort tables by their image ids into one file that every other job reads; rows of one image keep their order.

    Parameters
    ----------
    paths : path, directory, glob or a list of them
        Parquet files of one schema.
    out : path
        The file to write: the same columns and types, and names of categories in the footer where the first has them.
    by : str
        The column of image ids, integers or strings.
    memory : str, optional
        The most to sort in memory, as ``"2GB"``; more goes to a temporary folder beside the output. Four fifths of the
        machine's when left out.
    progress : callable, optional
        Called with the number of rows written since the last call.

    Returns
    -------
    dict
        ``rows`` and ``files``, how many.

    Raises
    ------
    InputError
        DuckDB (the extra ``sql``) is missing, a file or column can't be used, files that differ, an id that is null.

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
    try:
        import duckdb
    except ImportError:
        raise InputError("expected DuckDB to sort with, got none: pip install 'fastbox-engine[sql]'") from None
    check_outputs([paths], {"out": out})
    files = find_files(paths)
    schema = _schema(files)
    id_kind(require(schema, by, files[0]).type, by, files[0])
    folder = os.path.dirname(os.path.abspath(local(out)))
    record = _record(files[0])
    sink = Sink(out, schema, command="sort", parameters={"paths": files, "by": by})
    with (
        sink,
        tempfile.TemporaryDirectory(prefix=".fastbox-sort-", dir=folder) as spilled,
        duckdb.connect() as database,
    ):
        try:
            database.execute("SET temp_directory = $folder", {"folder": spilled})
            if memory is not None:
                database.execute("SET memory_limit = $memory", {"memory": memory})
        except duckdb.Error as error:
            raise InputError(f"expected an amount of memory as 2GB, got {memory!r}: {_brief(error)}") from None
        try:
            # Both are DuckDB's own columns, which * leaves out: where a row comes from decides between equal ids.
            query = f"FROM read_parquet($files) ORDER BY {_quoted(by)} NULLS FIRST, file_index, file_row_number"
            reader = database.sql(query, params={"files": files}).to_arrow_reader(_BATCH_ROWS)
            for number, batch in enumerate(reader):
                if number == 0 and batch.num_rows and batch.column(by)[0].as_py() is None:
                    raise InputError(f"expected an image id in every row of column {by!r}, got a null: fill or drop it")
                columns = [_of_type(column, field) for column, field in zip(batch.columns, schema, strict=True)]
                sink.write(pa.Table.from_arrays(columns, schema=schema))
                if progress is not None:
                    progress(batch.num_rows)
        except duckdb.OutOfMemoryException as error:
            raise InputError(f"expected more memory to sort with than {memory}, got: {_brief(error)}") from None
        except duckdb.Error as error:
            raise InputError(f"expected tables that can be sorted, got: {_brief(error)}") from None
        sink.record(**{name: record[name] for name in ("categories",) if name in record})
    return {"rows": sink.rows, "files": len(files)}


def _schema(files: list[str]) -> pa.Schema:
    """The schema of the first file, which all others must have."""
    schemas = []
    for file in files:
        with open_parquet(file) as parquet:
            schemas.append(parquet.schema_arrow)
    for file, other in zip(files, schemas, strict=True):
        if not other.equals(schemas[0]):
            raise InputError(f"expected the columns of {files[0]} in {file}, got others: write all files alike")
    return schemas[0]


def _of_type(column: pa.Array, field: pa.Field) -> pa.Array:
    """A column as it was stored: DuckDB has other types, and Arrow can't cast to all of its own."""
    try:
        cast = column.cast(field.type)
        cast.validate()  # lists of nulls are cast to what is none
        return cast
    except pa.ArrowException:
        pass
    try:
        return pa.array(column.to_pylist(), field.type)
    except pa.ArrowException:
        came = f"{field.type} in column {field.name!r}"
        raise InputError(f"expected columns that DuckDB carries along, got {came}: cast or drop it") from None


def _record(file: str) -> dict[str, Any]:
    try:
        return read_record(file)
    except InputError:
        return {}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _brief(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
