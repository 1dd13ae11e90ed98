"""JSON lines as a table: an object a line, as ``metadata.jsonl`` of a folder of images."""

from __future__ import annotations

import io
import os

import msgspec
import pyarrow as pa
import pyarrow.json

from fastbox.errors import InputError
from fastbox.tables.dialects.listing import read_text

__all__ = ["is_json_lines", "read_json_lines"]


def is_json_lines(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of JSON lines, as its extension tells."""
    return os.fspath(path).lower().endswith((".jsonl", ".ndjson"))


def read_json_lines(path: str) -> pa.Table:
    """Return a file of JSON lines as a table, read whole; ``InputError`` that names the line that can't be used."""
    text = read_text(path)
    if not text.strip():
        raise InputError(f"expected a JSON object a line in {path}, got an empty file: export it again")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            _check_object(line, f"line {number} of {path}")
    try:
        # A record may be longer than Arrow's blocks.
        options = pyarrow.json.ReadOptions(block_size=max(1 << 20, len(text.encode())))
        return pyarrow.json.read_json(io.BytesIO(text.encode()), read_options=options)
    except pa.ArrowException as error:
        raise InputError(
            f"{path} has values of one name that are of different types: give each name one type in all lines"
        ) from error


def _check_object(line: str, where: str) -> None:
    """Refuse what is no JSON object, in which Arrow is not strict."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        constant = next((name for name in ("NaN", "Infinity") if name in line), None)
        got = f" but for {constant}, which is no JSON number" if constant is not None else ""
        raise InputError(f"{where} is no JSON object{got}: fix it, or leave it out") from error
    if not isinstance(found, dict):
        raise InputError(f"{where} is no JSON object: fix it, or leave it out")
