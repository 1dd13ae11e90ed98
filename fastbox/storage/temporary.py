"""Temporary files and folders: locked while a process uses them, and removed when their process is gone."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from contextlib import suppress
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from fastbox._lazy import deferred

__all__ = ["Temporary", "TemporaryFolder", "lock", "remove_abandoned"]

shutil = deferred("shutil")
tempfile = deferred("tempfile")

_LOCK = ".lock"

_NAME = re.compile(r"\.(?P<name>.+)\.[0-9]+-[0-9a-f]{8}\.tmp", re.DOTALL)


def lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed; False if another process holds the lock, None if files can't be locked."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


class Temporary:
    """A new temporary file beside its target: ``path``, and ``file``, open for writing after :meth:`make`.

    The object exists before its file: its owner can remove the file of a ``make`` that was interrupted.
    """

    def __init__(self, folder: str, name: str) -> None:
        self._folder, self._name = folder, name
        self._held: int | None = None
        self.path = ""
        self.file: BinaryIO

    def make(self, buffering: int) -> None:
        """Make the file, and lock it."""
        while True:
            self.path = os.path.join(self._folder, f".{self._name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
            self.file = open(self.path, "xb", buffering=buffering)  # noqa: SIM115 - the owner closes it
            self._held = os.dup(self.file.fileno())
            locked = lock(self._held)
            if locked is None:
                self.release()
                return
            if locked and os.fstat(self._held).st_nlink:
                return
            # Between being opened and locked it was taken for abandoned.
            self.file.close()
            self.release()

    def release(self) -> None:
        """Release the lock of the file, after the file was renamed or removed."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


class TemporaryFolder:
    """A new folder below another, or below the system's temporary folder; ``path``.

    Making one also removes the folders of the same prefix whose processes were killed.
    """

    def __init__(self, prefix: str, folder: str | None = None) -> None:
        below = tempfile.gettempdir() if folder is None else folder
        while True:
            self.path = tempfile.mkdtemp(prefix=prefix, dir=below)
            self._held = os.open(os.path.join(self.path, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            # Between being made and locked it may be taken for abandoned.
            locked = lock(self._held)
            if locked is None or (locked and os.fstat(self._held).st_nlink):
                break
            os.close(self._held)
        self._process = os.getpid()
        _remove_folders(below, prefix)

    def remove(self) -> None:
        """Remove the folder and its content; a forked child leaves the folder to its parent."""
        if os.getpid() == self._process:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._held)


def _remove_folders(below: str, prefix: str) -> None:
    with suppress(OSError):
        found = [os.path.join(below, name) for name in os.listdir(below) if name.startswith(prefix)]
        for path in found:
            with suppress(OSError):
                descriptor = os.open(os.path.join(path, _LOCK), os.O_RDWR)
                try:
                    if lock(descriptor):
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(descriptor)


def remove_abandoned(folder: str, names: Container[str]) -> None:
    """Remove temporary files of some names in a folder whose writers have ended without removing them.

    A file that a process on any machine still writes is locked. Where files can't be locked, none is removed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry.path for entry in entries if (of := _NAME.fullmatch(entry.name)) and of["name"] in names]
        for path in found:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    if lock(descriptor):
                        os.unlink(path)
                finally:
                    os.close(descriptor)
