"""Files in the making: hidden, locked as long as somebody writes them, and removed when nobody does any more."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Container
from contextlib import suppress
from typing import BinaryIO

from fastbox.tables.locks import lock as _lock

__all__ = ["Temporary", "remove_abandoned"]

_NAME = re.compile(r"\.(?P<name>.+)\.[0-9]+-[0-9a-f]{8}\.tmp", re.DOTALL)


class Temporary:
    """A new file beside the one that it is to become; ``path`` and ``file``, open to be written."""

    def __init__(self, folder: str, name: str, buffering: int) -> None:
        while True:
            self.path = os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
            self.file: BinaryIO = open(self.path, "xb", buffering=buffering)  # noqa: SIM115 - whoever has this closes it
            self._held: int | None = os.dup(self.file.fileno())
            locked = _lock(self._held)
            if locked is None:
                self.release()
                return
            if locked and os.fstat(self._held).st_nlink:
                return
            # Between being opened and locked it was taken for abandoned.
            self.file.close()
            self.release()

    def release(self) -> None:
        """Hold it no longer: it has its name, or is gone."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def remove_abandoned(folder: str, names: Container[str]) -> None:
    """Remove the files that were to become some names in a folder and whose writers are gone: killed, most likely.

    What a process on any machine still writes is locked. Where files can't be locked all are left alone.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry.path for entry in entries if (of := _NAME.fullmatch(entry.name)) and of["name"] in names]
        for path in found:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    if _lock(descriptor):
                        os.unlink(path)
                finally:
                    os.close(descriptor)
