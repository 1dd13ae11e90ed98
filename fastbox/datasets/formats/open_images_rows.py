"""The rows of Open Images' CSV files: their header, the types of their columns, and the first line that is wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.datasets.dataset import COORDINATES
from fastbox.datasets.listing import read_text
from fastbox.errors import InputError
from fastbox.values.numbers import reads_as_number

__all__ = ["CORNERS", "FLAGS", "header_of", "rows_of", "type_of"]

csv = deferred("csv")
pc = deferred("pyarrow.compute")
pacsv = deferred("pyarrow.csv")

CORNERS = dict(zip(COORDINATES["xyxy"], ("XMin", "YMin", "XMax", "YMax"), strict=True))
FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
BLOCK_BYTES = 8 << 20
FAR = 4.0  # widths and heights of the image: a box that begins further right and further down is in pixels


def header_of(path: str) -> list[str]:
    """Return the names of a file's columns; ``InputError`` if they are not those of Open Images."""
    try:
        with (
            pa.input_stream(path, compression="detect") as file,
            io.TextIOWrapper(file, "utf-8-sig", "replace") as text,
        ):
            header = [name.strip() for name in next(csv.reader(text), [])]
    except OSError as error:
        reason = error.strerror or "damaged"
        raise InputError(f"{path} can't be read ({reason}): name a CSV file of Open Images") from error
    missing = [name for name in ("ImageID", "LabelName", *CORNERS.values()) if name not in header]
    if missing or len(set(header)) < len(header):
        got = f"got none called {', '.join(missing)}" if missing else "got one of them twice"
        raise InputError(f"expected a header with the columns of Open Images in {path}, {got}: name them so")
    return header


def type_of(name: str) -> pa.DataType:
    """Return the type of a column."""
    if name in ("Confidence", "Score"):
        return pa.float64()
    return pa.int8() if name in FLAGS else pa.string()


def _flags(column: pa.DictionaryArray, name: str, path: str, first: int) -> pa.Array:
    """Return flags as int8 from the forms that programs write: 1, 1.0, True, and an empty cell for -1."""
    numbers = [_flag(text) for text in column.dictionary.to_pylist()]
    if None in numbers:
        place = numbers.index(None)
        line = first + pc.index(column.indices, pa.scalar(place, column.indices.type)).as_py()
        got = f"line {line} of {path} has {name} {column.dictionary[place].as_py()!r}"
        raise InputError(f"{got}: give a whole number from -128 to 127")
    return pa.array(numbers, pa.int8()).take(column.indices)


def _flag(text: str) -> int | None:
    said = {"": -1, "true": 1, "false": 0}.get(text.strip().lower())
    if said is not None:
        return said
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and -128 <= value < 128 and "_" not in text else None


def rows_of(path: str, header: list[str], types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Yield a file's lines as batches; only cells of text may be empty."""
    corners = dict.fromkeys(CORNERS.values(), pa.float64())
    flags, coded = [name for name in types if name in FLAGS], pa.dictionary(pa.int32(), pa.string())
    options = pacsv.ConvertOptions(
        column_types={"ImageID": pa.string(), **corners, **types, **dict.fromkeys(flags, coded)},
        null_values=[""],
        strings_can_be_null=False,
    )
    blocks = pacsv.ReadOptions(block_size=BLOCK_BYTES, column_names=header, skip_rows=1)
    first = 2
    try:
        with pacsv.open_csv(path, read_options=blocks, convert_options=options) as reader:
            for batch in reader:
                for name in header:
                    column = batch.column(name)
                    if column.null_count:
                        line = first + pc.index(pc.is_null(column), True).as_py()
                        raise InputError(f"line {line} of {path} has no {name}: give a number")
                far = pc.and_(pc.greater(batch.column("XMin"), FAR), pc.greater(batch.column("YMin"), FAR))
                if pc.any(far).as_py():
                    line = first + pc.index(far, True).as_py()
                    raise InputError(
                        f"line {line} of {path} has a box in pixels: divide it by the image's width and height"
                    )
                for name in flags:
                    place = batch.schema.get_field_index(name)
                    batch = batch.set_column(place, name, _flags(batch.column(name), name, path, first))
                yield batch
                first += batch.num_rows
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _wrong_line(path, header, types) from error


def _wrong_line(path: str, header: list[str], types: Mapping[str, pa.DataType]) -> InputError:
    """Return the error for a file that Arrow can't read: its first wrong cell."""
    numbers = {*CORNERS.values(), *(name for name, kind in types.items() if kind == pa.float64())}
    if not path.lower().endswith(".csv"):
        return InputError(f"{path} can't be read as CSV: unpack it, and the message will name the line")
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    next(reader, None)
    for row in filter(None, reader):
        where = f"line {reader.line_num} of {path}"
        if len(row) != len(header):
            return InputError(f"{where} has {len(row)} cells, and the header has {len(header)}: fix the line")
        for name, cell in zip(header, row, strict=True):
            if name in numbers and not reads_as_number(cell):
                return InputError(f"{where} has {name} {cell!r}: give a number")
    return InputError(f"{path} can't be read as CSV: export it again")
