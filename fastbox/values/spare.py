"""Spare memory: that of large results which nobody holds any more, for the results that come next.

The system clears new memory page by page, which takes as long as a kernel needs to fill it. That nobody holds a result
is told when the next one is made, by the references to its memory: code that ran at the end of a result would take up
interrupts that come during the call before. No lock is held, which an interrupt could leave locked.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["empty"]

LEAST = 4 << 20  # bytes of a result, from which on its memory is kept
MOST = 128 << 20  # bytes of all memory that is kept, of results and spare
SPARED = 8  # the share of a result's size that its memory may be longer: a result that is held holds that too

_kept: list[NDArray[np.uint8]] = []  # the latest last


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return a new array of any values, as ``numpy.empty`` does; a large one may lie in spare memory.

    For results: an array that is made and dropped within a call is not worth the memory that it would keep.

    >>> empty(3, "float32").shape
    (3,)
    """
    shape, kind = shape if isinstance(shape, tuple) else (shape,), np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if not LEAST <= size <= MOST:
        return np.empty(shape, kind)
    memory = _taken(size)
    if memory is None:
        memory = np.empty(size, np.uint8)
    _kept.append(memory)
    while sum(one.nbytes for one in _kept) > MOST:
        del _kept[:1]
    return np.ndarray(shape, kind, memory)


def _taken(size: int) -> NDArray[np.uint8] | None:
    """Take spare memory of at least a size, and little more, off the list, the latest first; None without any.

    What is looked at is off the list meanwhile, so that no other thread takes it too.
    """
    found, others = None, []
    while found is None and _kept:
        try:
            one = [_kept.pop()]
        except IndexError:  # another thread was faster
            break
        if size <= one[0].nbytes <= size + size // SPARED and _references(one) == _UNHELD:
            found = one.pop()
        others += one
    _kept.extend(reversed(others))
    return found


def _references(one: list[NDArray[np.uint8]]) -> int:
    return sys.getrefcount(one[0])


_UNHELD = _references([np.empty(0, np.uint8)])  # of memory that only the list holds
