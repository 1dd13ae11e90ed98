"""Rows and columns of Parquet files, by their footers."""

from __future__ import annotations

import pyarrow as pa

from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import ParquetFile, open_parquet

__all__ = ["column_names", "count_rows", "filled_files", "is_read_by_group", "read_whole"]


def count_rows(path: Paths) -> int:
    """Count the rows of files by their footers, without reading them."""
    return sum(_count(file) for file in find_files(path))


def filled_files(path: Paths) -> list[str]:
    """Return the files that have rows, because files without rows often have no types; or the first file."""
    files = find_files(path)
    return files if len(files) == 1 else [file for file in files if _count(file)] or files[:1]


def column_names(path: Paths) -> list[str]:
    """Name the columns of the first of some files."""
    with open_parquet(find_files(path)[0]) as file:
        return list(file.schema_arrow.names)


def read_whole(file: ParquetFile) -> pa.Table:
    """Return all rows of a file."""
    if not is_read_by_group(file):
        return file.read()
    groups = range(file.metadata.num_row_groups)
    return pa.concat_tables(map(file.read_row_group, groups)) if groups else file.schema_arrow.empty_table()


def is_read_by_group(file: ParquetFile) -> bool:
    """Tell whether a file has dictionaries inside of columns, which Arrow can't read of several row groups at once."""
    return any(pa.types.is_nested(kind) and _has_dictionary(kind) for kind in file.schema_arrow.types)


def _has_dictionary(kind: pa.DataType) -> bool:
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return bool(pa.types.is_dictionary(kind) or any(map(_has_dictionary, inner)))


def _count(file: str) -> int:
    with open_parquet(file) as parquet:
        return int(parquet.metadata.num_rows)
