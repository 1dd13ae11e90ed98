"""Results that are kept as long as they are small together."""

from __future__ import annotations

from collections.abc import Callable
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
    >>> kept.of(3, lambda: np.zeros(1)), kept.of(3, lambda: np.ones(1))
    (array([0.]), array([0.]))
    """

    def __init__(self) -> None:
        self._found: dict[int, T] = {}

    def of(self, place: int, make: Callable[[], T]) -> T:
        """Return the result of a place, made where it is not kept."""
        if place not in self._found:
            made = make()
            while self._found and made.size + sum(found.size for found in self._found.values()) > MOST:
                del self._found[next(iter(self._found))]
            self._found[place] = made
        return self._found[place]
