"""Spare memory: that of large results which nobody holds any more, for the results that come next.

The system clears new memory page by page, which takes as long as a kernel needs to fill it.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["empty"]

LEAST = 4 << 20  # bytes of a result, from which on its memory is kept
MOST = 128 << 20  # bytes of spare memory, of one result and of all

_spare: list[NDArray[np.uint8]] = []
_lock = threading.Lock()  # never waited for: the end of a result can come at any time, in the midst of `empty` too


class _Held:
    """The memory of a result, which is spare when the last array that shows it is gone."""

    def __init__(self, memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__ | {"shape": shape, "typestr": dtype.str}

    def __del__(self, spare: list[NDArray[np.uint8]] = _spare, lock: Any = _lock) -> None:
        if lock.acquire(blocking=False):
            try:
                spare.append(self._memory)
                while sum(memory.nbytes for memory in spare) > MOST:
                    del spare[0]
            finally:
                lock.release()


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return a new array of any values, as ``numpy.empty`` does; a large one may lie in spare memory.

    Shape as given, of numbers of the dtype. For results: an array that is made and dropped within a call is not worth
    the memory that it would leave.

    >>> empty(3, "float32").shape
    (3,)
    """
    shape, kind = shape if isinstance(shape, tuple) else (shape,), np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if not LEAST <= size <= MOST:
        return np.empty(shape, kind)
    memory = _taken(size)
    return np.asarray(_Held(np.empty(size, np.uint8) if memory is None else memory, shape, kind))


def _taken(size: int) -> NDArray[np.uint8] | None:
    """Return spare memory of at least a size, and at most twice as much, the latest first; None without any."""
    if not _lock.acquire(blocking=False):
        return None
    try:
        for place in reversed(range(len(_spare))):
            if size <= _spare[place].nbytes <= 2 * size:
                return _spare.pop(place)
        return None
    finally:
        _lock.release()
