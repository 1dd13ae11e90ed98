"""A cache of results with a limit on their total size."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

MOST = 1 << 22  # numbers of all that is kept: 32 MiB


T = TypeVar("T")


class Kept(Generic[T]):
    """Results by a key; the oldest are dropped when all together have more values than the limit.

    Examples
    --------
    >>> import numpy as np
    >>> kept = Kept()
    >>> kept.get(3), kept.put(3, np.zeros(1), 1), kept.get(3)
    (None, array([0.]), array([0.]))
    """

    def __init__(self) -> None:
        self._found: dict[Hashable, T] = {}
        self._sizes: dict[Hashable, int] = {}
        self._size = 0  # of all

    def get(self, key: Hashable) -> T | None:
        """Return the result of a key, if it is kept."""
        return self._found.get(key)

    def put(self, key: Hashable, made: T, size: int) -> T:
        """Keep and return the result of a key, which has `size` numbers."""
        while self._found and size + self._size > MOST:
            oldest = next(iter(self._found))
            del self._found[oldest]
            self._size -= self._sizes.pop(oldest)
        self._found[key], self._sizes[key] = made, size
        self._size += size
        return made
