"""Results of any kind as figures by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Keys of what changes from run to run, says who made something, or repeats options in words.
PASSING = {
    "command", "created", "elapsed", "fastbox", "files", "inputs", "memory", "options", "output", "outputs", "path",
    "provenance", "resize", "rules", "schema", "seconds", "tables", "version", "versions", "warnings",
}  # fmt: skip

# Earlier words among the values of columns, and those of today.
WORDS = {"location": "localization"}


def figures(name: str, found: Any) -> Iterator[tuple[str, str]]:
    """Yield the figures of a result, each with its name; numbers keep every bit."""
    if isinstance(found, Path):
        yield from of_file(name, found)
    elif isinstance(found, Mapping) and set(found) == {"printed", "files"}:
        if found["printed"].lstrip().startswith("{"):
            yield from figures(name, json.loads(found["printed"]))
        for file, path in found["files"].items():
            yield from of_file(f"{name}{file}", path)
    elif isinstance(found, Mapping):
        for key, value in found.items():
            if str(key) not in PASSING:
                yield from figures(f"{name}.{key}", value)
    elif isinstance(found, np.ndarray):
        yield name, f"{found.dtype}{found.shape} {digest(np.ascontiguousarray(found).tobytes())}"
    elif isinstance(found, list | tuple):
        for number, value in enumerate(found):
            yield from figures(f"{name}.{number}", value)
    elif isinstance(found, float | np.floating):
        yield name, float(found).hex()
    elif found is None or isinstance(found, bool | int | str | np.generic):
        yield name, repr(found.item() if isinstance(found, np.generic) else found)
    elif dataclasses.is_dataclass(found):
        for number, part in enumerate(dataclasses.fields(found)):
            yield from figures(f"{name}.{number}", getattr(found, part.name))
    else:
        slots = [slot for kind in type(found).__mro__ for slot in getattr(kind, "__slots__", ())]
        values = vars(found) if hasattr(found, "__dict__") else {slot: getattr(found, slot) for slot in slots}
        for number, key in enumerate(sorted(key for key in values if not key.startswith("_"))):
            yield from figures(f"{name}.{number}", values[key])


def of_file(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """Yield the columns of a table, or the digest of another file."""
    if path.suffix != ".parquet":
        yield name, digest(path.read_bytes())
        return
    table = pq.read_table(path, partitioning=None)
    yield f"{name}:rows", str(table.num_rows)
    for column in table.column_names:
        yield f"{name}:{column}", f"{table[column].type} {of_column(table[column])}"


def of_column(column: pa.ChunkedArray) -> str:
    """Digest the values of a column: numbers bit by bit, all else as Python has it."""
    kind = column.type
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        return digest(np.ascontiguousarray(column.to_numpy()).tobytes())
    values = [WORDS.get(value, value) if isinstance(value, str) else value for value in column.to_pylist()]
    return digest(repr(values).encode())


def digest(data: bytes) -> str:
    """Return the first half of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]
