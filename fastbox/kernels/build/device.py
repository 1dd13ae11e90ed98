"""Functions that kernels call; they stay plain functions, which the compiler finds in this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

# Every function that kernels call, and whether it is inlined always or never; None where the compiler chooses.
DEVICE: dict[Callable[..., Any], bool | None] = {}


def device(function: F) -> F:
    """Mark a function that kernels call."""
    DEVICE[function] = None
    return function


def inlined(function: F) -> F:
    """Mark a function so long that the compiler would call it for each box.

    A loop with a call in it does not vectorise, and takes 4 to 8 times as long.
    """
    DEVICE[function] = True
    return function


def apart(function: F) -> F:
    """Mark a function that is seldom called: inlined, it would take registers and time from the code around it."""
    DEVICE[function] = False
    return function


def rebound(original: Callable[..., Any], names: Mapping[str, Any], label: str) -> FunctionType:
    """Return a copy of a function with other globals and another name."""
    function = cast(FunctionType, original)
    copy = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)
    copy.__module__, copy.__qualname__ = function.__module__, f"{function.__name__}_{label}"
    return copy
