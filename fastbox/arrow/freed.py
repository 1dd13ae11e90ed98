"""Freed memory, which the C library and Arrow keep, returned to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import pyarrow as pa

__all__ = ["return_freed"]

RETURNED = 2 << 20  # bytes that are worth a call of the system when they are taken and freed
SPARED = 4 << 20  # bytes that are free behind all smaller arrays, and kept for the next ones
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt in the C library of GNU


def return_freed() -> None:
    """Let the system have large arrays back as soon as they are freed, for a process that keeps much until its end.

    Left to itself, the C library keeps all arrays smaller than the largest that was ever freed, and Arrow those of its
    pool. The arrays that come next cost more time, in which the system clears their memory.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        with suppress(AttributeError):  # of a C library that has no such option
            option = ctypes.CDLL(None).mallopt
            option(M_MMAP_THRESHOLD, RETURNED)
            option(M_TRIM_THRESHOLD, SPARED)
            option(M_ARENA_MAX, 1)  # else what one thread frees is of no use to the next one
