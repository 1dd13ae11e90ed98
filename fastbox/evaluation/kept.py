"""Results that are kept as long as they are small together."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

__all__ = ["Kept"]

MOST = 1 << 22  # numbers of all that is kept: 32 MiB


class Sized(Protocol):
    """A result that knows how many numbers it holds."""

    @property
    def size(self) -> int:
        """The number of numbers."""


T = TypeVar("T", bound=Sized)


class Kept(Generic[T]):
    """Results by a number, the oldest dropped once all together have more numbers than may be kept.

    Examples
    --------
    >>> import numpy as np
    >>> kept = Kept()
    >>> kept.get(3), kept.put(3, np.zeros(1)), kept.get(3)
    (None, array([0.]), array([0.]))
    """

    def __init__(self) -> None:
        self._found: dict[int, T] = {}

    def get(self, place: int) -> T | None:
        """Return the result of a place, if it is kept."""
        return self._found.get(place)

    def put(self, place: int, made: T) -> T:
        """Keep and return the result of a place."""
        while self._found and made.size + sum(found.size for found in self._found.values()) > MOST:
            del self._found[next(iter(self._found))]
        self._found[place] = made
        return made
