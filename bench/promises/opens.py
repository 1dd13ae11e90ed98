"""Counts of opened files as the operating system reports them, through any library."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["counted_opens"]

ACCESS, CLOSED, OPENED = 0x01, 0x18, 0x20
EVENT = struct.Struct("iIII")


@contextmanager
def counted_opens(paths: Sequence[Path]) -> Iterator[Counter[str]]:
    """Count by name the files that are opened inside the block; the counts are there at its end, and only on Linux."""
    counted: Counter[str] = Counter()
    if not sys.platform.startswith("linux"):
        yield counted
        return
    library = ctypes.CDLL(None, use_errno=True)
    told = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if told < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        # Equal events in a row are told once: with reads and closings among them no two openings are in a row.
        watched = {library.inotify_add_watch(told, bytes(path), ACCESS | CLOSED | OPENED): path for path in paths}
        yield counted
        counted.update(watched[watch].name for watch, mask in _events(told) if mask & OPENED)
    finally:
        os.close(told)


def _events(told: int) -> Iterator[tuple[int, int]]:
    """The watch and the kind of each event that waits to be read."""
    while True:
        try:
            text = os.read(told, 1 << 16)
        except BlockingIOError:
            return
        place = 0
        while place < len(text):
            watch, mask, _, length = EVENT.unpack_from(text, place)
            yield watch, mask
            place += EVENT.size + length
