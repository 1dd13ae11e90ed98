"""A folder, or a file, that appears complete or not at all, and file names that can't lead out of a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

from fastbox._lazy import deferred
from fastbox.errors import InputError
from fastbox.storage.stores import local
from fastbox.storage.temporary import Temporary

__all__ = ["Folder", "check_file", "check_folder", "check_name", "new_file", "no_folder", "sync_folder"]

shutil = deferred("shutil")

StrPath = str | os.PathLike[str]

# Characters and words that Windows reserves: a folder must open on every system.
_RESERVED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(1, 10))}
_NAMELESS = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}


class Folder:
    """A new folder that appears complete or not at all; a context manager.

    Files go to a hidden temporary folder beside the target. On a clean exit the temporary folder takes the target's
    name; on any exception it is removed with its content. Single files are not synced: a power failure may lose some.

    Parameters
    ----------
    target : path
        The path of the folder, which must not exist or be an empty folder.

    Raises
    ------
    InputError
        On entry: the target exists and is not empty, or can't be made.

    Examples
    --------
    >>> import os, tempfile
    >>> target = os.path.join(tempfile.mkdtemp(), "out")
    >>> with Folder(target) as folder:
    ...     folder.write("labels/train/7.txt", b"0 0.5 0.5 1 1")
    >>> os.listdir(os.path.join(target, "labels", "train"))
    ['7.txt']
    """

    def __init__(self, target: StrPath) -> None:
        self.path = os.fspath(target)

    def __enter__(self) -> Folder:
        self._target = os.path.realpath(self.path)
        parent, name = os.path.split(self._target)
        if os.path.lexists(self._target):
            if not os.path.isdir(self._target):
                raise InputError(
                    f"expected a new or empty folder to write, got {self.path}, which is not a folder: name another"
                )
            if os.listdir(self._target):
                raise InputError(
                    f"expected a new or empty folder to write, got {self.path}, which is not empty: name another"
                )
        self._temporary = os.path.join(parent, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            os.mkdir(self._temporary)
        except OSError as error:
            raise no_folder(self.path, error) from error
        self._made: set[str] = {""}
        return self

    def write(self, name: str, data: bytes) -> None:
        """Add a file under a path with slashes; ``InputError`` where the path is taken or not allowed."""
        check_name(name)
        parent = name.rpartition("/")[0]
        try:
            if parent not in self._made:
                os.makedirs(os.path.join(self._temporary, parent), exist_ok=True)
                self._made.add(parent)
            with open(os.path.join(self._temporary, name), "xb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InputError(
                f"expected a file of its own for every image in {self.path}, got {name} twice, which happens if two "
                "images differ only in their extension: rename one"
            ) from error
        except OSError as error:
            if error.errno not in _NAMELESS:
                raise
            raise InputError(
                f"expected a file name that this system can hold, got {name!r} ({error.strerror}): rename it"
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if os.name == "nt" and os.path.isdir(self._target):
                    os.rmdir(self._target)
                os.rename(self._temporary, self._target)
        except OSError as failure:
            raise InputError(f"{self.path} can't be written ({failure.strerror}): name another folder") from failure
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)


@contextlib.contextmanager
def new_file(target: StrPath) -> Iterator[BinaryIO]:
    """Open a hidden temporary file that takes the target's name on a clean exit, and is removed on any exception.

    Raises
    ------
    InputError
        The target exists and is not a file, or can't be made.
    """
    check_file(target)
    path = os.path.realpath(local(target))
    temporary = Temporary(*os.path.split(path))
    try:
        try:
            temporary.make(1 << 20)
        except OSError as error:
            raise no_folder(target, error) from error
        with temporary.file as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary.path, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary.path)
        temporary.release()


def check_file(path: StrPath) -> None:
    """Refuse an output path at which a folder, a pipe or another thing that is not a file exists.

    >>> check_file(os.curdir)
    Traceback (most recent call last):
    fastbox.errors.InputError: expected a file to write, got ., which is not a file: name another
    """
    target = os.path.realpath(local(path))
    if os.path.exists(target) and not os.path.isfile(target):
        raise InputError(f"expected a file to write, got {os.fspath(path)}, which is not a file: name another")


def check_folder(path: StrPath) -> None:
    """Refuse an output path whose folder does not exist.

    >>> check_folder("nowhere/out.parquet")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastbox.errors.InputError: expected a folder to write nowhere/out.parquet in, got: No such file or ...
    """
    if not os.path.isdir(os.path.dirname(os.path.realpath(local(path)))):
        raise no_folder(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def no_folder(path: StrPath, error: OSError) -> InputError:
    """Return the error for a path at which the system can't write a file or folder."""
    folder = os.path.dirname(os.path.realpath(local(path)))
    how = f": make it with mkdir -p {shlex.quote(folder)}" if isinstance(error, FileNotFoundError) else ""
    return InputError(f"expected a folder to write {os.fspath(path)} in, got: {error.strerror}{how}")


def check_name(name: str) -> None:
    r"""Refuse a name that is not, on every system, a relative path with slashes to a file below its folder.

    Raises
    ------
    InputError
        The name is empty or absolute, has ``..``, a drive, a backslash, NUL, a character or a word that some system
        reserves, or is not Unicode.

    Examples
    --------
    >>> check_name("train/7.txt")
    >>> check_name("a:b")
    Traceback (most recent call last):
    fastbox.errors.InputError: expected a file name that every system can hold, got 'a:b', which has a ':': rename it
    """
    reason = _reserved(name)
    if reason is not None:
        raise InputError(f"expected a file name that every system can hold, got {name!r}, which {reason}: rename it")


def _reserved(name: str) -> str | None:
    """Return the reason why some system can't hold a file name; None if all can."""
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is absolute"
    found = _RESERVED.search(name)
    if found is not None:
        return f"has a {found[0]!r}"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not Unicode"
    return next(filter(None, map(_special, name.split("/"))), None)


def _special(part: str) -> str | None:
    """Return the reason why a part of a path is not a name: it is empty, a folder above or a device; else None."""
    if part in ("", ".", ".."):
        return f"has {part!r}" if part else "has an empty part"
    if part[-1] in ". ":
        return f"has a part that ends in {part[-1]!r}"
    word = part.partition(".")[0].rstrip()
    return f"has {word!r}, a device's name" if word.upper() in _DEVICES else None


def sync_folder(folder: str) -> None:
    """Sync a folder, where that is possible, so that new names in it survive a power failure."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
