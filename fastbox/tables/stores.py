"""Object stores beside folders: ``s3://bucket/key`` and its like, through pyarrow's file systems or fsspec's."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cache

import pyarrow as pa
import pyarrow.fs as pafs

from fastbox.errors import InputError

__all__ = [
    "absolute",
    "find_stored",
    "is_stored",
    "make_folder",
    "open_stored",
    "remove",
    "state_of",
    "tables_in",
    "upload",
]

StrPath = str | os.PathLike[str]


def is_stored(path: StrPath) -> bool:
    """Tell whether this is the URI of an object in a store, and no path."""
    return "://" in os.fspath(path)


def absolute(path: StrPath) -> str:
    """The one name of a file: its URI, or its absolute path."""
    return os.fspath(path) if is_stored(path) else os.path.abspath(path)


def find_stored(uri: str) -> list[str]:
    """List the objects meant by a URI, sorted by name: one, all ``*.parquet`` below a prefix, or a glob.

    Raises
    ------
    InputError
        There is nothing, or the store can't be reached.
    """
    store, path = _store(uri)
    fixed = path.split("*", 1)[0].split("?", 1)[0].split("[", 1)[0]
    with _asking(uri):
        here = store.get_file_info(path)
        if here.is_file:
            return [uri]
        base = path if fixed == path else fixed.rpartition("/")[0]
        below = store.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
    # As in a shell, a star stays within a name.
    meant = [
        info.path
        for info in below
        if info.is_file
        and (
            info.path.endswith(".parquet")
            if fixed == path
            else info.path.count("/") == path.count("/") and fnmatchcase(info.path, path)
        )
    ]
    if not meant:
        raise InputError(f"expected Parquet at {uri}, got none")
    return sorted(_named(uri, path, found) for found in meant)


def open_stored(uri: str) -> pa.NativeFile:
    """Open an object to be read anywhere."""
    store, path = _store(uri)
    return store.open_input_file(path)


def state_of(path: StrPath) -> tuple[int, int]:
    """The size of a file and when it was last changed, in nanoseconds."""
    if not is_stored(path):
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    store, place = _store(os.fspath(path))
    with _asking(path):
        info = store.get_file_info(place)
    return info.size or 0, info.mtime_ns or 0


def tables_in(folder: str) -> list[str]:
    """The Parquet files right in a folder or below a prefix, sorted by name; none where it isn't there."""
    if not is_stored(folder):
        return sorted(glob.glob(os.path.join(glob.escape(folder), "*.parquet")))
    store, path = _store(folder)
    with _asking(folder):
        found = store.get_file_info(pafs.FileSelector(path.rstrip("/"), allow_not_found=True))
    return sorted(_named(folder, path, info.path) for info in found if info.path.endswith(".parquet"))


def make_folder(folder: str) -> None:
    """Make a folder where there is none; a store needs none.

    Raises
    ------
    InputError
        There can be none.
    """
    if not is_stored(folder):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise InputError(f"expected a folder to write to, got {folder}: {error.strerror}") from error


def remove(path: str) -> None:
    """Remove a file."""
    if not is_stored(path):
        os.unlink(path)
        return
    store, place = _store(path)
    with _asking(path):
        store.delete_file(place)


def upload(file: StrPath, uri: str) -> None:
    """Copy a file into a store; until all of it is there, nothing is.

    Raises
    ------
    InputError
        The store can't be reached or written to.
    """
    store, path = _store(uri)
    with _asking(uri), open(file, "rb") as given:
        stream = store.open_output_stream(path)
        try:
            shutil.copyfileobj(given, stream, 8 << 20)
        except BaseException:
            # Closing a stream, which collecting it does too, completes the object: cut short, it is removed.
            with suppress(Exception):
                stream.close()
                store.delete_file(path)
            raise
        stream.close()


@cache
def _store(uri: str) -> tuple[pafs.FileSystem, str]:
    """The store of a URI, and the place in it; pyarrow's own where it has one, else fsspec's."""
    try:
        store, path = pafs.FileSystem.from_uri(uri)
        return store, path
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    try:
        from fsspec.core import url_to_fs

        other, path = url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(f"expected a place that pyarrow or fsspec can read, got {uri}: {_brief(error)}") from None
    return pafs.PyFileSystem(pafs.FSSpecHandler(other)), path


def _named(uri: str, path: str, found: str) -> str:
    """The URI of another object in the store of a URI."""
    before, _, options = uri.partition("?") if path.count("?") == 0 else (uri, "", "")
    start = (
        before[: before.rindex(path.rstrip("/"))] if path.rstrip("/") in before else before.partition("://")[0] + "://"
    )
    return f"{start}{found}{'?' if options else ''}{options}"


@contextmanager
def _asking(uri: StrPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"expected a store that can be reached at {os.fspath(uri)}, got: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
