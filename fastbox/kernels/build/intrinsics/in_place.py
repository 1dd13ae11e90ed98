"""The instructions that the compiler writes where a kernel calls a plain function, and the registration of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

IN_PLACE: dict[Callable[..., Any], Any] = {}  # Numba's intrinsics, by the plain functions


def in_place_of(plain: Callable[..., Any], prefer_literal: bool = False) -> Callable[[F], F]:
    """Register a function that types a call and writes its instructions; of literals, it may ask for the values.

    An overload of the plain function would be one more function to compile, for each type of its arguments.
    """

    def register(typed: F) -> F:
        IN_PLACE[plain] = intrinsic(prefer_literal=prefer_literal)(typed)
        return typed

    return register
