"""Spare memory: that of large results which nobody holds any more, for the results that come next.

The system clears new memory page by page, which takes as long as a kernel needs to fill it. That nobody holds a result
is told when the next one is made, by the references to its memory: code that ran at the end of a result would take up
interrupts that come during the call before.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["empty"]

LEAST = 4 << 20  # bytes of a result, from which on its memory is kept
MOST = 128 << 20  # bytes of all memory that is kept, of results and spare

_kept: list[NDArray[np.uint8]] = []
_lock = threading.Lock()


def _references(kept: list[NDArray[np.uint8]], place: int) -> int:
    return sys.getrefcount(kept[place])


_UNHELD = _references([np.empty(0, np.uint8)], 0)  # of what only a list holds


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return a new array of any values, as ``numpy.empty`` does; a large one may lie in spare memory.

    For results: an array that is made and dropped within a call is not worth the memory that it would keep.

    >>> empty(3, "float32").shape
    (3,)
    """
    shape, kind = shape if isinstance(shape, tuple) else (shape,), np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    return np.ndarray(shape, kind, _memory(size)) if LEAST <= size <= MOST else np.empty(shape, kind)


def _memory(size: int) -> NDArray[np.uint8]:
    """Return memory of at least a size: spare memory of at most twice as much, the latest first, or new."""
    if not _lock.acquire(blocking=False):  # by another thread, or by this one, interrupted by who asks
        return np.empty(size, np.uint8)
    try:
        found = None
        for place in reversed(range(len(_kept))):
            if size <= _kept[place].nbytes <= 2 * size and _references(_kept, place) == _UNHELD:
                found = _kept.pop(place)
                break
        if found is None:
            found = np.empty(size, np.uint8)
        _kept.append(found)
        while sum(memory.nbytes for memory in _kept) > MOST:
            del _kept[0]
        return found
    finally:
        _lock.release()
