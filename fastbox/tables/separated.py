"""Read CSV with a header as a table: with commas, semicolons or tabs, and types that fit all values of a column."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.arrow.held import typed
from fastbox.errors import InputError, brief, not_utf8
from fastbox.storage.backed import Scratch
from fastbox.values.names import CLASS, IMAGE, column_of
from fastbox.values.numbers import reads_as_number

__all__ = ["ENDINGS", "PACKED", "is_separated", "read_separated"]

pc = deferred("pyarrow.compute")
csv = deferred("csv")
pacsv = deferred("pyarrow.csv")
pq = deferred("pyarrow.parquet")

ENDINGS = (".csv", ".tsv", ".txt")
PACKED = (".gz", ".bz2", ".zst", ".lz4")
DELIMITERS = ",;\t|"
BLOCK = 16 << 20

_WHOLE = r"^\s*-?(0|[1-9][0-9]*)\s*$"  # 007 is a name
_POINT = r"\.0*\s*$"  # ids and classes that pandas made floats because some were missing
_TRUTH = r"^(?i:true|false)$"


def is_separated(path: str) -> bool:
    """Tell by its name whether a file is CSV.

    >>> is_separated("boxes.CSV"), is_separated("boxes.tsv.gz"), is_separated("boxes.parquet")
    (True, True, False)
    """
    root, extension = os.path.splitext(path.lower())
    return (os.path.splitext(root)[1] if extension in PACKED else extension) in ENDINGS


def read_separated(path: str, scratch: Scratch) -> str:
    """Write the rows of a CSV file to a Parquet file in a scratch folder, in their order; return its path.

    A column of whole numbers without leading zeros becomes integers, a column of numbers floats, any other text; an
    empty cell is null. Ids and classes may be written as 1.0. The file is read twice, block by block.

    Raises
    ------
    InputError
        The file can't be read, has no header, or rows of unequal length.
    """
    names, delimiter = _header(path)
    kinds: dict[str, pa.DataType] = dict.fromkeys(names, pa.null())
    rows = 0
    for batch in _blocks(path, names, delimiter):
        columns = (_pointless(name, column) for name, column in zip(names, batch.columns, strict=True))
        kinds = {name: _wider(kinds[name], _kind(column)) for name, column in zip(names, columns, strict=True)}
        rows += len(batch)
    kinds = {name: _of_nothing(name) if kind == pa.null() else kind for name, kind in kinds.items()}
    target = scratch.join("table.parquet")
    schema = pa.schema(list(kinds.items())) if rows else typed(pa.schema(list(kinds.items())))
    with pq.ParquetWriter(target, schema, compression="none") as writer:
        for batch in _blocks(path, names, delimiter):
            arrays = [
                _cast(column if kind == pa.string() else _pointless(name, column), kind)
                for (name, kind), column in zip(zip(names, schema.types, strict=True), batch.columns, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return target


def _header(path: str) -> tuple[list[str], str]:
    """Return the names in the first line of a file, and the delimiter.

    Raises
    ------
    InputError
        The file has no header: the first line has numbers.
    """
    try:
        with pa.input_stream(path, compression="detect") as file:
            begin = file.read(1 << 16)
    except (OSError, pa.ArrowException) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it can't be unpacked"
        raise InputError(f"expected a readable CSV file, got {path}: {reason}") from error
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise not_utf8(path)
    for start, kind, ending in (b"PAR1", "Parquet", ".parquet"), (b"{", "JSON", ".json"), (b"[", "JSON", ".json"):
        if begin.lstrip().startswith(start):
            raise InputError(f"expected a CSV file in {path}, got {kind}: name it {_stem(path)}{ending}")
    # Not by splitlines, which breaks lines at more characters than Arrow does.
    lines = re.split("\r\n|\r|\n", begin.decode("utf-8-sig", errors="replace").lstrip("\r\n"))
    if not lines[0]:
        raise InputError(f"expected a table with a header in {path}, got an empty file: write it again")
    outside = re.sub(r'"[^"]*"', "", lines[0])
    delimiter = max(DELIMITERS, key=outside.count)
    names = next(csv.reader(lines, delimiter=delimiter)) if outside.count(delimiter) else lines[0].split()
    if sum(map(reads_as_number, names)) * 2 > len(names):
        raise InputError(
            f"expected a header in the first line of {path}, got numbers ({lines[0][:60]}): write the columns' names "
            "above them, such as image_id,category_id,xmin,ymin,xmax,ymax,score; of labels, as YOLO's or KITTI's, give "
            "their folder"
        )
    if len(names) > 1 and not outside.count(delimiter):
        came = f"got {lines[0][:60]!r}: separate the columns by one of them"
        raise InputError(f"expected commas, semicolons or tabs in the first line of {path}, {came}")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"expected one column {name!r} in {path}, got {names.count(name)}: rename all but one")
    return names, delimiter


def _stem(path: str) -> str:
    """Return a file's name without its endings."""
    return os.path.basename(path).partition(".")[0]


def _blocks(path: str, names: list[str], delimiter: str) -> Iterator[pa.RecordBatch]:
    try:
        with pa.input_stream(path, compression="detect") as file:
            yield from _opened(file, names, delimiter)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise _unreadable(path, names, delimiter, error) from error


def _opened(file: Any, names: list[str], delimiter: str, on_wrong: Callable[[Any], str] | None = None) -> Any:
    """Open a stream of rows, all of texts; a function may be told of a row with another number of values."""
    return pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(block_size=BLOCK),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=on_wrong),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )


def _unreadable(path: str, names: list[str], delimiter: str, error: Exception) -> InputError:
    """Return the error of a file whose rows can't be read: another encoding, or a row of another length."""
    wrong: list[Any] = []

    def keep(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        with pa.input_stream(path, compression="detect") as file:
            for _ in codecs.iterdecode(iter(partial(file.read, BLOCK), b""), "utf-8"):
                pass
        with pa.input_stream(path, compression="detect") as file:
            for _ in _opened(file, names, delimiter, keep):
                pass
    except UnicodeDecodeError:
        return not_utf8(path, "another encoding")
    except (pa.ArrowException, OSError) as again:
        error = again
    what = brief(error)
    if wrong:
        line = "" if wrong[0].number is None else f" in line {wrong[0].number}"
        what = f"{wrong[0].actual_columns}{line} ({wrong[0].text[:60]!r}): write it again"
    return InputError(f"expected {len(names)} values in each line of {path}, as in its header, got {what}")


def _pointless(name: str, column: pa.Array) -> pa.Array:
    """Return ids and classes such as 1.0 as whole numbers, if all of them are; any other column as it is."""
    if not any(column_of([name], known) for known in (IMAGE, CLASS)):
        return column
    plain = pc.replace_substring_regex(column, _POINT, "")
    return plain if pc.all(pc.match_substring_regex(plain, _WHOLE)).as_py() else column


def _of_nothing(name: str) -> pa.DataType:
    """Return the type of a column without values."""
    return pa.int64() if any(column_of([name], known) for known in (IMAGE, CLASS)) else pa.float64()


def _kind(column: pa.Array) -> pa.DataType:
    """Return the narrowest type for texts: null, bool, int64, double or string."""
    if column.null_count == len(column):
        return pa.null()
    if pc.all(pc.match_substring_regex(column, _WHOLE)).as_py():
        try:
            pc.utf8_trim_whitespace(column).cast(pa.int64())
        except pa.ArrowInvalid:
            return pa.string()  # longer than any number
        return pa.int64()
    if pc.all(pc.match_substring_regex(column, _TRUTH)).as_py():
        return pa.bool_()
    # A number with leading zeros is text: 007, but not 0.5 or -0.5.
    if pc.any(pc.match_substring_regex(column, r"^\s*-?0[0-9]")).as_py():
        return pa.string()
    try:
        pc.utf8_trim_whitespace(column).cast(pa.float64())
    except pa.ArrowInvalid:
        return pa.string()
    return pa.float64()


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both."""
    if pa.null() in (one, other) or one == other:
        return one if other == pa.null() else other
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.string()


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        return column
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.utf8_lower(trimmed).cast(kind) if kind == pa.bool_() else trimmed.cast(kind)
