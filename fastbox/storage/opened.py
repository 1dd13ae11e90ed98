"""The files that a job reads: each is opened once, and refused if it changes during the job."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import pyarrow as pa

from fastbox.errors import InputError, brief
from fastbox.memory import check_footer_room
from fastbox.storage.backed import Backed
from fastbox.storage.in_memory import InMemory, InMemoryFile
from fastbox.storage.locate import like
from fastbox.storage.stores import is_remote, is_stored, local, open_input, stored_state

if TYPE_CHECKING:
    from fastbox.storage.kept_file import KeptFile

__all__ = [
    "DAMAGED",
    "Opened",
    "ParquetFile",
    "State",
    "check_state",
    "current",
    "keep_open",
    "open_parquet",
    "state_of",
]

DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)  # UnicodeDecodeError: column names that are not text

State: TypeAlias = tuple[int, ...]
ParquetFile: TypeAlias = Union["KeptFile", "InMemoryFile"]  # each read in the same way

_MOST_FILES = 64  # files kept open while they are not read
_MOST_FOOTERS = 8 << 20  # bytes of the footers of these files, which take ten times as much in memory

current: ContextVar[Opened | None] = ContextVar("opened", default=None)


class Opened:
    """The open files of a job, and the state of each file when the job first opened it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, KeptFile] = {}  # the one that was not used for longest comes first
        self._first: dict[str, State] = {}
        self._ended = False
        self.plans: dict[int, tuple[Any, Any]] = {}  # of the sources that the job reads, by their ids in Python

    @staticmethod
    def now() -> Opened | None:
        """Return the open files of the running job."""
        return current.get()

    @classmethod
    def none(cls) -> Opened:
        """Return an instance that keeps no file open."""
        made = cls()
        made._ended = True
        return made

    def open(self, name: str, coded: Iterable[str] = ()) -> ParquetFile:
        """Open a file, or return it if it is open; string columns ``coded`` come as dictionaries."""
        wanted = tuple(coded)
        if isinstance(name, Backed) and isinstance(name.data, InMemory):
            return InMemoryFile(name.data, name.state, wanted)
        from fastbox.storage.kept_file import KeptFile  # loads what reads Parquet

        with self._lock:
            kept = None if isinstance(name, Backed) else self._idle.pop(name, None)
        if kept is not None and not is_remote(name) and state_of(name) != kept.state:
            kept.handle.close()
            kept = None
        if kept is None:
            state = state_of(name)
            handle = open_input(name)
            try:
                kept = KeptFile(handle, self, name, state, None, wanted)
                _ = kept.schema.names
                check_footer_room(name, kept.metadata.serialized_size, kept.metadata.num_row_groups)
            except BaseException:
                handle.close()
                raise
            if not isinstance(name, Backed):
                with self._lock:
                    self._first.setdefault(name, state)
        elif kept.coded != wanted:
            kept = KeptFile(kept.handle, self, name, kept.state, kept.metadata, wanted)
        return kept

    def give(self, file: KeptFile) -> None:
        """Take back a file that is no longer read; the least recently used is closed when too many are open."""
        with self._lock:
            surplus = [file]
            known = isinstance(file.name, Backed) or file.name in self._idle  # two of the former may share a name
            if not self._ended and not file.handle.closed and not known:
                self._idle[file.name] = file
                footers = sum(kept.metadata.serialized_size for kept in self._idle.values())
                full = len(self._idle) > _MOST_FILES or footers > _MOST_FOOTERS
                surplus = [self._idle.pop(next(iter(self._idle)))] if full else []
        for one in surplus:
            one.handle.close()

    def check(self, files: Iterable[str]) -> None:
        """Refuse files that changed since the job first opened them.

        Raises
        ------
        InputError
            A file was replaced or changed.
        """
        for name in files:
            with self._lock:
                first = None if isinstance(name, Backed) else self._first.get(name)
            if first is not None:
                check_state(name, first)

    def end(self) -> None:
        """Close all files that are not being read, and close the others when they are given back."""
        with self._lock:
            self._ended = True
            self.plans.clear()
            idle, self._idle = list(self._idle.values()), {}
        for file in idle:
            file.handle.close()

    @contextmanager
    def active(self) -> Iterator[Opened]:
        """Make these the open files of the code that runs inside the context."""
        token = current.set(self)
        try:
            yield self
        finally:
            current.reset(token)


def state_of(path: str | os.PathLike[str]) -> State:
    """Return the state of a file: its number in the file system, its size, and the time of its last change."""
    if isinstance(path, Backed):
        return path.state
    name = os.fspath(path)
    if is_remote(name):
        return stored_state(name)
    found = os.stat(name if "://" not in name else local(name))
    return found.st_ino, found.st_size, found.st_mtime_ns


def check_state(name: str, expected: State, found: State | None = None) -> None:
    """Refuse a file whose state is not the expected one.

    Raises
    ------
    InputError
        The file was replaced, changed or removed.
    """
    with suppress(FileNotFoundError):
        if (state_of(name) if found is None else found) == expected:
            return
    raise InputError(
        f"expected {name} not to change while it is read, got another file or other content in its place: "
        "run the job again when no program writes to the file"
    )


@contextmanager
def keep_open() -> Iterator[Opened]:
    """Keep the files that a job opens open until the job ends; an inner context shares the files of the outer one."""
    if (outer := current.get()) is not None:
        yield outer
        return
    opened = Opened()
    try:
        with opened.active():
            yield opened
    finally:
        opened.end()


def open_parquet(path: str | os.PathLike[str], coded: Sequence[str] = (), opened: Opened | None = None) -> ParquetFile:
    """Open a Parquet file, to be read in bounded memory; string columns ``coded`` come as dictionaries.

    Within a job each file is opened once, however often this is called. ``opened`` has the open files of a job, for a
    thread that does not know them.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty, truncated, damaged, or no Parquet.
    """
    name = path if isinstance(path, str) and "://" not in path else local(path)
    try:
        home = opened or Opened.now() or Opened.none()
        return home.open(name, coded)
    except MemoryError:
        raise
    except DAMAGED as error:
        raise InputError(_why_not(name, error)) from error


def _why_not(name: str, error: Exception) -> str:
    """Return the message for a file that can't be opened as Parquet."""
    if is_stored(name):
        return f"expected a Parquet file, got {name} ({brief(error)})"
    if isinstance(error, FileNotFoundError) or not os.path.exists(name):
        return f"expected a Parquet file, got no file {name}{like(name)}"
    if os.path.isdir(name):
        return f"expected a Parquet file, got the directory {name}"
    try:
        with open(name, "rb") as file:
            begin = file.read(4)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4))
            end = file.read(4)
    except OSError as refused:
        return f"expected a readable Parquet file, got {name}: {refused.strerror}"
    if size == 0:
        return f"expected a Parquet file, got an empty file (0 bytes), {name}: write it again"
    if begin == b"PAR1" and end != b"PAR1":
        return f"expected a whole Parquet file, got {name} truncated (its footer is missing): copy or write it again"
    if begin != b"PAR1":
        return f"expected a Parquet file, got {name}, which is not Parquet"
    return f"expected a Parquet file, got {name} with a damaged footer ({brief(error)}): copy or write it again"
