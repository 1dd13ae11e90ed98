"""Results of any kind as figures by name: numbers keep every bit, arrays and columns are told by their digests."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Figure = tuple[str, str]

# Entries that change from run to run, or say who made something when; all else is kept.
LEFT_OUT = {
    "aggregate": "a state of a part that the same version alone reads; what its parts add up to is kept",
    "command": "the name of the command",
    "created": "a date",
    "elapsed_s": "a time",
    "fastbox": "a version",
    "fingerprint": "a digest of the options' names",
    "memory": "a size of memory",
    "provenance": "versions, dates and paths",
    "schema": "a version",
    "seconds": "a time",
    "version": "a version",
}
LONG = 16  # a list of more numbers is one figure
ROWS = 40  # a list of more rows is told by column
DISTINCT = 40  # the values of a text column are told where it has no more


def figures(name: str, found: Any) -> Iterator[Figure]:
    """Yield the figures of a result, each with its name."""
    if isinstance(found, str):
        yield name, of_text(found)
    elif found is None or isinstance(found, bool | int | float | np.generic):
        yield name, of_scalar(found)
    elif isinstance(found, np.ndarray):
        yield name, of_array(found)
    elif isinstance(found, pa.Table | pa.RecordBatch):
        yield f"{name}:rows", str(found.num_rows)
        for column in found.schema.names:
            yield from of_column(f"{name}:{column}", found.column(column))
    elif isinstance(found, pa.ChunkedArray | pa.Array):
        yield from of_column(name, found)
    elif isinstance(found, Path):
        yield from of_file(name, found)
    else:
        yield from of_parts(name, found)


def of_parts(name: str, found: Any) -> Iterator[Figure]:
    """Yield the figures of the parts that a result has; an empty one is a figure too."""
    if isinstance(found, list | tuple) and not hasattr(found, "_fields"):
        if len(found) > LONG and all(isinstance(one, int | float) for one in found):
            yield name, f"{len(found)} numbers {digest(' '.join(map(of_scalar, found)).encode())}"
            return
        if len(found) > ROWS and all(isinstance(one, Mapping) for one in found):
            yield from of_rows(name, found)
            return
    parts = dict(parts_of(found))
    if not parts:
        yield name, f"empty {'mapping' if isinstance(found, Mapping) else 'list'}"
    for key, part in parts.items():
        if key not in LEFT_OUT:
            yield from figures(f"{name}.{key}", part)


def parts_of(found: Any) -> Iterable[tuple[str, Any]]:
    """Return the parts of a result by their names."""
    if isinstance(found, Mapping):
        return [(str(key), value) for key, value in found.items()]
    if hasattr(found, "_asdict"):
        return list(found._asdict().items())
    if isinstance(found, list | tuple):
        return [(str(number), value) for number, value in enumerate(found)]
    if callable(getattr(found, "to_dict", None)):
        return list(found.to_dict().items())
    if dataclasses.is_dataclass(found):
        return [(one.name, getattr(found, one.name)) for one in dataclasses.fields(found) if one.name[0] != "_"]
    slots = [slot for kind in type(found).__mro__ for slot in getattr(kind, "__slots__", ())]
    keys = sorted(key for key in (*vars(found), *slots) if key[0] != "_") if hasattr(found, "__dict__") else slots
    if not keys:
        raise TypeError(f"expected something with parts, got a {type(found).__name__}")
    return [(key, getattr(found, key)) for key in keys if key[0] != "_"]


def of_rows(name: str, rows: Iterable[Any]) -> Iterator[Figure]:
    """Yield the columns of rows, one figure each."""
    told = [{key[1:]: value for key, value in figures("", dict(row))} for row in rows]
    yield f"{name}:rows", str(len(told))
    for key in sorted({key for row in told for key in row}):
        yield f"{name}:{key}", digest(repr([row.get(key) for row in told]).encode())


def of_text(text: str) -> str:
    """Return a word as it is, and of a sentence the numbers alone: its words may change."""
    if not re.search(r"\s", text.strip()):
        return repr(text)
    return "numbers of a text " + digest(repr(numbers_of(text)).encode())


def numbers_of(text: str) -> list[float]:
    """Return the numbers in a text, however they are written."""
    return [float(one.replace(",", "")) for one in re.findall(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?", text)]


def of_scalar(value: Any) -> str:
    """Return a number with all its bits."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.hex() if isinstance(value, float) else repr(value)


def of_array(found: np.ndarray[Any, Any]) -> str:
    """Return the type, the shape and the digest of an array."""
    data = repr(found.tolist()).encode() if found.dtype == object else np.ascontiguousarray(found).tobytes()
    return f"{found.dtype}{found.shape} {digest(data)}"


def of_file(name: str, path: Path) -> Iterator[Figure]:
    """Yield the columns of a table, the entries of a JSON file, or the digest of another file."""
    if path.suffix == ".parquet":
        yield from figures(name, pq.ParquetFile(path).read())
        footer = (pq.read_schema(path).metadata or {}) | (pq.read_metadata(path).metadata or {})
        if b"fastbox" in footer:
            yield from figures(f"{name}:footer", json.loads(footer[b"fastbox"]))
    elif path.suffix == ".json":
        yield from figures(name, json.loads(path.read_text()))
    elif path.suffix == ".odgt":
        yield from of_rows(name, [json.loads(line) for line in path.read_text().splitlines()])
    elif path.suffix == ".csv":
        with path.open(newline="") as lines:
            yield from of_rows(name, csv.DictReader(lines))
    else:
        yield name, digest(path.read_bytes())


def of_column(name: str, column: pa.ChunkedArray | pa.Array) -> Iterator[Figure]:
    """Yield the type, the nulls and the values of a column; the words of a text column apart from their places."""
    kind = column.type
    if len(column) == 1:
        yield from ((f"{part}", f"{kind} {value}") for part, value in figures(name, column[0].as_py()))
        return
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    missing = digest(np.ascontiguousarray(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes())
    nulls = f" {column.null_count} nulls {missing}" if column.null_count else ""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = values.dictionary_encode()
        places, words = coded.indices.fill_null(-1).to_numpy(), coded.dictionary.to_pylist()
        yield name, f"{kind}{nulls} {len(words)} words {digest(places.tobytes())}"
        if len(words) > DISTINCT:
            words = [digest(repr(words).encode())]
        yield from ((f"{name}.word.{number}", repr(word)) for number, word in enumerate(words))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        filled = values.fill_null(0) if column.null_count else values
        yield name, f"{kind}{nulls} {digest(np.ascontiguousarray(filled.to_numpy()).tobytes())}"
    else:
        yield name, f"{kind}{nulls} {digest(repr(values.to_pylist()).encode())}"


def digest(data: bytes) -> str:
    """Return the first half of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]
