"""The record in the footer of a file that fastbox wrote: what made it, the names of its classes, its result."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbox._version import SCHEMA, __version__
from fastbox.errors import InputError
from fastbox.storage.opened import open_parquet

__all__ = ["entry_of", "plain", "read_names", "read_record", "record_entry", "record_of"]

StrPath = str | os.PathLike[str]

_KEY = "fastbox"


def record_entry(command: str, parameters: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """Return the entry of the footer with a record, for a file that no :class:`fastbox.tables.sink.Sink` writes."""
    return entry_of(record_of(command, parameters) | plain(more))


def record_of(command: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the beginning of a record: what made the file."""
    return {"schema": SCHEMA, "version": __version__, "command": command, "parameters": plain(parameters)}


def entry_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the entry of the footer with a record."""
    return {_KEY: json.dumps(record, sort_keys=True)}


def read_record(path: StrPath) -> dict[str, Any]:
    """Return the record in the footer of a file that a :class:`fastbox.tables.sink.Sink` wrote.

    Raises
    ------
    InputError
        The file can't be read, or has no record: something else wrote it, or it was cut short.
    """
    with open_parquet(path) as file:
        found = (file.metadata.metadata or {}).get(_KEY.encode())
    if found is None:
        raise InputError(
            f"expected a file that fastbox wrote, got {os.fspath(path)} without its record: write it again"
        )
    try:
        record = json.loads(found)
    except ValueError:
        record = None
    inner = ("parameters", "categories")
    if not isinstance(record, dict) or any(not isinstance(record.get(name, {}), dict) for name in inner):
        raise InputError(
            f"expected a file that fastbox wrote, got {os.fspath(path)} with a damaged record: write it again"
        )
    return record


def read_names(path: StrPath) -> dict[str, str]:
    """Return the names of classes in the record of a file, by the class as text; an empty dict without names."""
    try:
        found = read_record(path).get("categories", {})
    except InputError:
        return {}
    return {str(label): str(name) for label, name in found.items()}


def plain(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy that JSON holds; raise TypeError at once rather than after hours of writing."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(entries), default=_default))
    return plain


def _default(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"expected what JSON can hold, got {type(value).__name__}")
