"""Files of this machine and objects in stores (``s3://bucket/key``), found, opened and removed in the same way.

Stores are reached through pyarrow's file systems or fsspec's.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, TypeAlias

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.errors import InputError, brief
from fastbox.storage.backed import Backed
from fastbox.storage.convention import are_shown, check_finished, is_hidden, is_table

__all__ = [
    "Identity",
    "above",
    "absolute",
    "exists",
    "find_stored",
    "identity",
    "is_remote",
    "is_stored",
    "local",
    "make_folder",
    "open_input",
    "read_object",
    "remove",
    "stored_state",
    "tables_in",
    "upload",
    "write_object",
]

pafs = deferred("pyarrow.fs")
shutil = deferred("shutil")
urls = deferred("urllib.parse")

StrPath = str | os.PathLike[str]
Identity: TypeAlias = tuple[object, ...]

_LOCAL = ("file", "local")
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def is_stored(path: StrPath) -> bool:
    """Tell whether a path is the URI of an object in a store, rather than a path or URI of a local file."""
    name = os.fspath(path)
    if "://" not in name or isinstance(path, Backed):  # a table of a store that was sorted on this machine
        return False
    return name.partition("://")[0].lower() not in _LOCAL


def is_remote(name: str) -> bool:
    """Tell the same of a name that is no path object, most of which have no scheme, in less time."""
    return "://" in name and is_stored(name)


def local(path: StrPath) -> str:
    """Return the path that the URI of a local file means; any other path or URI unchanged.

    >>> local("file:///data/my%20boxes.parquet")
    '/data/my boxes.parquet'
    """
    name = os.fspath(path)
    scheme, found, rest = name.partition("://")
    if not found or scheme.lower() not in _LOCAL or isinstance(path, Backed):  # which is more than its name
        return name
    decoded: str = urls.unquote(rest[rest.index("/") :] if rest.startswith("localhost/") else rest)
    return decoded


def identity(path: StrPath) -> Identity:
    """Return a key of a file, existing or not, that is equal for all names of the file.

    >>> identity("a/../b.parquet") == identity("file://" + os.path.abspath("b.parquet"))
    True
    """
    name = local(path)
    if is_stored(name):
        uri = urls.urlsplit(name)
        scheme = _ALIASES.get(uri.scheme.lower(), uri.scheme.lower())
        place = f"{uri.netloc.rpartition('@')[2]}/{urls.unquote(uri.path)}"
        return scheme, posixpath.normpath(place)
    with suppress(OSError):
        there = os.stat(name)
        return there.st_dev, there.st_ino
    name = os.path.realpath(name)
    rest: list[str] = []
    while True:
        try:
            found = os.stat(name)
        except OSError:
            folder, last = os.path.split(name)
            if folder == name:
                return (name, *rest)
            name, rest = folder, [last, *rest]
            continue
        if rest and _folds_case(name):
            rest = [part.casefold() for part in rest]
        return (found.st_dev, found.st_ino, *rest)


def above(path: StrPath) -> Iterator[Identity]:
    """Yield the identities of the folders that a file lies in, the nearest first."""
    name = local(path)
    if is_stored(name):
        scheme, place = identity(name)
        parts = str(place).split("/")
        yield from ((scheme, "/".join(parts[:count])) for count in range(len(parts) - 1, 0, -1))
        return
    here = os.path.dirname(os.path.realpath(name))
    while True:
        yield identity(here)
        if os.path.dirname(here) == here:
            return
        here = os.path.dirname(here)


def absolute(path: StrPath) -> str:
    """Return the URI or the absolute path of a file."""
    return os.fspath(path) if is_stored(path) else os.path.abspath(local(path))


def find_stored(uri: str) -> list[str]:
    """List the objects meant by a URI, sorted by name: one, all tables below a prefix, or a glob.

    Raises
    ------
    InputError
        No object is found, or the store can't be reached.
    """
    store, path = _store(uri)
    fixed = path.split("*", 1)[0].split("?", 1)[0].split("[", 1)[0]
    with _asking(uri):
        here = store.get_file_info(path)
        if here.is_file:
            return [uri]
        base = path if fixed == path else fixed.rpartition("/")[0]
        below = store.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
    meant = [info.path for info in below if info.is_file and _is_meant(info.path, path, base, fixed != path)]
    if not meant:
        raise InputError(f"expected Parquet at {uri}, got none: name an object, or the prefix of some")
    for folder in {posixpath.dirname(found) for found in meant}:
        here = [info.base_name for info in below if posixpath.dirname(info.path) == folder]
        check_finished(_named(uri, path, folder), here)
    return sorted(_named(uri, path, found) for found in meant)


def _is_meant(found: str, path: str, base: str, is_glob: bool) -> bool:
    """Tell whether a prefix, or a pattern, means an object below ``base``."""
    below = found[len(base) :].strip("/").split("/")
    if not is_glob:
        return is_table(found) and are_shown(below)
    # As in a shell, a star stays within a name, and matches nothing hidden.
    parts = path[len(base) :].strip("/").split("/")
    return len(below) == len(parts) and all(
        fnmatchcase(name, part) and not (is_hidden(name) and name[0] != part[0])
        for name, part in zip(below, parts, strict=True)
    )


def open_input(path: str) -> Any:
    """Open a file, an object, or a table that was read into memory, for a reader of Parquet."""
    if is_stored(path):
        store, place = _store(path)
        return store.open_input_file(place)
    found = path.open() if isinstance(path, Backed) else path
    return pafs.LocalFileSystem().open_input_file(found) if isinstance(found, str) else found


def stored_state(uri: str) -> tuple[int, ...]:
    """Return the size of an object and the time of its last change."""
    store, place = _store(uri)
    with _asking(uri):
        info = store.get_file_info(place)
    return info.size or 0, info.mtime_ns or 0


def tables_in(folder: str) -> list[str]:
    """List the tables directly in a folder or below a prefix, sorted by name; a missing folder has none."""
    if not is_stored(folder):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(os.path.join(folder, name) for name in names if is_table(name) and not is_hidden(name))
    store, path = _store(folder)
    with _asking(folder):
        found = store.get_file_info(pafs.FileSelector(path.rstrip("/"), allow_not_found=True))
    shown = (info.path for info in found if is_table(info.path) and not is_hidden(info.base_name))
    return sorted(_named(folder, path, name) for name in shown)


def make_folder(folder: str) -> None:
    """Make a missing folder; a store needs no folders.

    Raises
    ------
    InputError
        The folder can't be made.
    """
    if not is_stored(folder):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise InputError(f"expected a folder to write to, got {folder}: {error.strerror}") from error


def exists(path: str) -> bool:
    """Tell whether there is a file."""
    if not is_stored(path):
        return os.path.exists(path)
    store, place = _store(path)
    with _asking(path):
        return bool(store.get_file_info(place).is_file)


def remove(path: str) -> None:
    """Remove a file, if it exists."""
    if not is_stored(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
        return
    store, place = _store(path)
    with _asking(path), suppress(FileNotFoundError):
        store.delete_file(place)


def read_object(uri: str) -> bytes | None:
    """Return the content of a small object; None if it does not exist."""
    store, path = _store(uri)
    with _asking(uri):
        if not store.get_file_info(path).is_file:
            return None
        with suppress(FileNotFoundError), store.open_input_file(path) as stream:
            return bytes(stream.read())
    return None


def write_object(uri: str, content: bytes) -> None:
    """Write a small object, in place of an existing one."""
    store, path = _store(uri)
    with _asking(uri), store.open_output_stream(path) as stream:
        stream.write(content)


def upload(file: StrPath, uri: str) -> None:
    """Copy a file into a store; the object appears complete or not at all.

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
            # A stream that is closed, also when it is collected, completes the object: an incomplete object is removed.
            with suppress(Exception):
                stream.close()
                store.delete_file(path)
            raise
        stream.close()


def _folds_case(folder: str) -> bool:
    """Tell whether the file system of a folder ignores the case of names."""
    above, name = os.path.split(folder)
    try:
        return name.swapcase() != name and os.path.samefile(folder, os.path.join(above, name.swapcase()))
    except OSError:
        return False


@cache
def _store(uri: str) -> tuple[Any, str]:
    """Return the store of a URI, from pyarrow or else from fsspec, and the path in the store."""
    try:
        store, path = pafs.FileSystem.from_uri(uri)
        return store, path
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    try:
        from fsspec.core import url_to_fs

        other, path = url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(f"expected a place that pyarrow or fsspec can read, got {uri}: {brief(error)}") from None
    return pafs.PyFileSystem(pafs.FSSpecHandler(other)), path


def _named(uri: str, path: str, found: str) -> str:
    """Return the URI of another object in the store of a URI."""
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
        raise InputError(f"expected a store that can be reached at {os.fspath(uri)}, got: {brief(error)}") from error
