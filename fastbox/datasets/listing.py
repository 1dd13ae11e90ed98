"""Folders of annotation files: list and read files, and name a line of a file in a message."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pyarrow as pa

from fastbox.errors import InputError, not_utf8

__all__ = [
    "ABOUT",
    "beginning",
    "each_once",
    "find",
    "first_words",
    "inside",
    "line_error",
    "read_bytes",
    "read_plain",
    "read_text",
    "subfolder",
    "without",
]

StrPath = str | os.PathLike[str]

# Text files beside labels that are not labels.
ABOUT = re.compile(r"classes\.txt|readme(\.\w+)?\.txt|license\.txt", re.IGNORECASE)


def find(folder: StrPath, keep: Callable[[str], bool]) -> list[tuple[str, str]]:
    """List files anywhere below a folder as (path below it without extension, path below it), sorted by the first.

    Files and folders whose name begins with a dot are hidden: macOS leaves ``._a.txt`` beside ``a.txt``. Paths have
    slashes and sort by their bytes in UTF-8, as Arrow sorts strings. Links are followed, never in a circle.

    Raises
    ------
    InputError
        The folder can't be read, or a name is not UTF-8.
    """
    files = [(os.path.splitext(name)[0], name) for name in _below(os.fspath(folder), "", ()) if keep(name)]
    for _, name in files:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"expected file names in UTF-8 in {os.fspath(folder)}, got {name!r}: rename it") from error
    return sorted(files)


def without(name: str, *folders: str) -> str:
    """Return a path without the last of its folders with this name.

    >>> without("train/images/a", "images", "labels")
    'train/a'
    """
    parts = name.split("/")
    places = [place for place, part in enumerate(parts[:-1]) if part in folders]
    return "/".join(parts[: places[-1]] + parts[places[-1] + 1 :]) if places else name


def each_once(files: list[tuple[str, str]], folder: str, what: str = "image") -> list[tuple[str, str]]:
    """Return files as (image id, path below the folder) by ascending id; ``InputError`` for two files of one image."""
    files = sorted(files)
    for (owner, name), (after, other) in pairwise(files):
        if owner == after:
            raise InputError(f"{name} and {other} in {folder} are both of {what} {owner!r}: convert them one by one")
    return files


def read_bytes(path: str) -> bytes:
    """Return the content of a file; ``InputError`` if it can't be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): name an existing file") from error


def read_plain(path: str) -> bytes:
    """Return the content of a text file without a byte order mark; ``InputError`` if it can't be read or is UTF-16."""
    data = read_bytes(path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise not_utf8(path)
    return data.removeprefix(codecs.BOM_UTF8)


def read_text(path: str) -> str:
    """Return the content of a UTF-8 file; ``InputError`` if it can't be read or has another encoding."""
    data = read_plain(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        got = f"byte {data[error.start]:#x} in line {line}"
        raise not_utf8(path, got) from error


def beginning(path: str) -> bytes:
    """Return the first bytes of a file, unpacked, without a byte order mark; none of a file that can't be read."""
    try:
        with pa.input_stream(path, compression="detect") as file:
            found: bytes = file.read(1024)
            return found.removeprefix(codecs.BOM_UTF8)
    except (OSError, pa.ArrowException):
        return b""


def first_words(data: bytes) -> list[bytes]:
    """Return the words of the first line of a text that is not empty.

    >>> first_words(b"\\n0 0.5 0.5\\n1")
    [b'0', b'0.5', b'0.5']
    """
    return data.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")[0].split()


def inside(files: list[tuple[str, str]], chosen: Callable[[str], Any]) -> list[tuple[str, str]]:
    """Return the files, as :func:`find` lists them, that are in a folder whose name is chosen.

    >>> inside([("a/b", "a/b.txt"), ("c", "c.txt")], "a".__eq__)
    [('a/b', 'a/b.txt')]
    """
    return [(image, name) for image, name in files if any(map(chosen, name.split("/")[:-1]))]


def subfolder(source: StrPath, *names: str) -> str:
    """Return the first existing subfolder of some, or else the folder itself.

    Raises
    ------
    InputError
        The folder does not exist.
    """
    path = os.fspath(source)
    if not os.path.isdir(path):
        what = "is a file" if os.path.exists(path) else "is not there"
        raise InputError(f"expected a folder of annotations, but {path} {what}: name the folder that has them")
    return next((folder for name in names if os.path.isdir(folder := os.path.join(path, name))), path)


def line_error(expected: str, path: str, line: int, got: str, text: bytes, todo: str = "fix the line") -> InputError:
    """Return the error for an unusable line of a text file, counted from 1.

    >>> print(line_error("5 numbers", "labels/7.txt", 3, "4", b"0 0.5 0.5 0.1"))
    expected 5 numbers in labels/7.txt, line 3, got 4: '0 0.5 0.5 0.1': fix the line
    """
    shown = text.decode(errors="backslashreplace").strip()
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return InputError(f"expected {expected} in {path}, line {line}, got {got}{': ' if got else ''}{shown!r}: {todo}")


def _below(root: str, inside: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    folder = os.path.join(root, inside)
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError as error:
        raise InputError(f"{folder} can't be read ({error.strerror}): name an existing folder") from error
    own = (status.st_dev, status.st_ino)
    if own in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(root, f"{inside}{entry.name}/", (*above, own))
        else:
            yield f"{inside}{entry.name}"
