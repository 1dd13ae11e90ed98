"""The types of a kernel's arguments and results, as plain data that callers and the compiler both read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np


class Signature(NamedTuple):
    """The types of the result and of the arguments of a kernel."""

    gives: Any
    takes: tuple[Any, ...]


class Type:
    """A type; called with the types of arguments, it is the signature of a kernel that returns this type."""

    def __call__(self, *takes: Any) -> Signature:
        return Signature(self, takes)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"


class Number(Type):
    """A number of a NumPy dtype."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class Array(Type):
    """An array of numbers: of any stride ("A") or C-contiguous ("C")."""

    def __init__(self, of: Number, ndim: int, layout: str, readonly: bool = False) -> None:
        self.of, self.ndim, self.layout, self.readonly = of, ndim, layout, readonly


class Tuple(Type):
    """A plain tuple."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts


class Void(Type):
    """No result."""


void = Void()
boolean, int8, uint8, int32, uint32, int64, uint64, float32, float64 = (
    Number(np.dtype(name))
    for name in ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64", "float32", "float64")
)
i8, f8 = int64, float64


def readonly(t: Number, ndim: int = 1) -> Array:
    """Return the type of an input array: any stride, read-only or not, in one compiled version."""
    return Array(t, ndim, "A", readonly=True)


def vector(t: Number, ndim: int = 1) -> Array:
    """Return the type of an output array, C-contiguous."""
    return Array(t, ndim, "C")


def group(*kinds: Any) -> Tuple:
    """Return the type of arguments that belong together."""
    return Tuple(kinds)


def repeated(kind: Any, count: int) -> Tuple:
    """Return the type of a tuple of `count` parts of one type."""
    return Tuple((kind,) * count)


def side(t: Number, columns: int = 4) -> Tuple:
    """Return the type of a collection of boxes: format, and four columns, or as many as another geometry has."""
    return group(i8, *[readonly(t)] * columns)


def packed(_: Number) -> Array:
    """Return the type of boxes of another geometry than plain ones, which are packed whatever their dtype."""
    return vector(f8, 2)


def leaves(kinds: Iterable[Any]) -> list[Any]:
    """List the numbers and arrays of some types, those of tuples one after another."""
    found: list[Any] = []
    for kind in kinds:
        if isinstance(kind, Tuple):
            found += leaves(kind.parts)
        elif kind != void:
            found.append(kind)
    return found
