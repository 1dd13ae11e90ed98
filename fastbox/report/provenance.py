"""The record of a run that its page carries: files, options, version and command line."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from fastbox._record import dataclass
from fastbox._version import SCHEMA, __version__
from fastbox.values.arguments import bound

__all__ = ["Provenance", "on_command_line"]

TABLES = ("detections", "truths", "others", "images_table", "tables", "pairs")  # arguments that are read
WITHOUT_EFFECT = ("out", "report", "rows", "progress", "before", "facts")  # arguments that change no figure and no plot
SECRET = re.compile(r"(?<=://)[^/@\s]+@")  # a name or password before a host

_command: ContextVar[tuple[str, ...] | None] = ContextVar("command", default=None)


@contextmanager
def on_command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Give the command line to all jobs that begin in this context."""
    token = _command.set(tuple(arguments))
    try:
        yield
    finally:
        _command.reset(token)


@dataclass(frozen=True)
class Provenance:
    """A run of a job: the tables and options as the caller gave them, and the command line, if there was one.

    Examples
    --------
    >>> from fastbox import jobs
    >>> Provenance.of(jobs.nms, ("boxes.parquet",), {"iou_threshold": 0.6}).to_dict()["tables"]
    {'detections': 'boxes.parquet'}
    """

    job: str
    tables: Mapping[str, Any]
    options: Mapping[str, Any]
    command: str | None = None
    version: str = __version__

    @classmethod
    def of(cls, job: Callable[..., Any], given: Sequence[Any], options: Mapping[str, Any]) -> Provenance:
        """Make the record of a call, with the defaults of missing arguments; TypeError for an invalid call."""
        call = bound(job, given, options)
        call.apply_defaults()
        arguments = {name: value for name, value in call.arguments.items() if name not in WITHOUT_EFFECT}
        given_tables = {name: arguments.get(name) for name in TABLES}
        tables = {
            name: _table(own)
            for name, own in given_tables.items()
            if own is not None and not (isinstance(own, tuple | list) and not own)
        }
        line = _command.get()
        return cls(
            job.__name__,
            tables,
            {name: _plain(value) for name, value in arguments.items() if name not in TABLES},
            None if line is None else SECRET.sub("", shlex.join(["fastbox", *line])),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {"schema": SCHEMA, **asdict(self)}


@runtime_checkable
class _Source(Protocol):
    """A table in files: their paths, and the columns that the caller named."""

    path: Any

    @property
    def asked(self) -> Mapping[str, str]:
        """The columns and the box format that the caller named, by argument."""


def _table(given: Any) -> Any:
    """Return the name of a table, or its type and number of rows if it has no file; and the columns, if named."""
    if isinstance(given, _Source):
        return {"path": _table(given.path), **given.asked} if given.asked else _table(given.path)
    if isinstance(given, str | os.PathLike):
        return SECRET.sub("", os.fspath(given))
    if isinstance(given, list | tuple):
        names = [_table(one) for one in given]
        return names[0] if len(names) == 1 else names
    if isinstance(given, Mapping):
        return f"dict of {', '.join(map(str, given))}"
    rows = f" of {len(given):,} rows" if hasattr(given, "__len__") else ""
    return f"{type(given).__name__}{rows}"


def _plain(value: Any) -> Any:
    """Return an option in types that JSON can hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): _plain(own) for name, own in value.items()}
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # a number of NumPy
        return _plain(value.item())
    own = getattr(value, "__dict__", None)
    return {name: _plain(one) for name, one in own.items()} if own else str(value)
