"""JSON lines as a table: one object on each line, as in ``metadata.jsonl`` of a folder of images."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.errors import InputError
from fastbox.values.numbers import EXACT

__all__ = ["ENDINGS", "is_json_lines", "read_json_lines"]

listing = deferred("fastbox.datasets.listing")
msgspec = deferred("msgspec")

ENDINGS = (".jsonl", ".ndjson")
# The names of values that are whole numbers or texts.
WHOLE = {
    *("image_id", "id", "width", "height"),
    *("category", "categories", "category_id", "label", "labels", "class", "classes", "class_id"),
}


def is_json_lines(path: str | os.PathLike[str]) -> bool:
    """Tell by its ending whether a file has JSON lines."""
    return os.fspath(path).lower().endswith(ENDINGS)


def read_json_lines(path: str) -> pa.Table:
    """Return a file of JSON lines as a table, read whole; ``InputError`` names a line that can't be used."""
    text = listing.read_text(path)
    if not text.strip():
        raise InputError(f"expected a JSON object on each line of {path}, got an empty file: export it again")
    rows = [
        _object(line, f"line {number} of {path}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    try:
        # Not by Arrow's own reader: it turns dates into timestamps, and loses nulls at the beginning of a list.
        return pa.Table.from_struct_array(pa.array(rows))
    except (pa.ArrowException, OverflowError) as error:
        raise InputError(
            f"{path} has values of one name that are of different types: give each name one type in all lines"
        ) from error


def _object(line: str, where: str) -> dict[str, Any]:
    """Return the JSON object of a line; ``InputError`` for anything else."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        constant = next((name for name in ("NaN", "Infinity") if name in line), None)
        got = f" but for {constant}, which is not a JSON number" if constant is not None else ""
        raise InputError(f"{where} is not a JSON object{got}: fix it, or leave it out") from error
    if not isinstance(found, dict):
        raise InputError(f"{where} is not a JSON object: fix it, or leave it out")
    plain: dict[str, Any] = _plainly(found)
    return plain


def _plainly(found: Any) -> Any:
    """Return JSON with ids and categories such as 1.0 as whole numbers."""
    if isinstance(found, list):
        return [_plainly(one) for one in found] if found and isinstance(found[0], dict) else found
    if not isinstance(found, dict):
        return found
    return {name: _whole(value) if name in WHOLE else _plainly(value) for name, value in found.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT else value
