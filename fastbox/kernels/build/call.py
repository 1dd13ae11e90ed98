"""Calls of kernels by their entries, with which no compiler has to be imported.

The arguments of a call are the words of the entry: numbers, and the addresses of the fields of arrays. The struct of
these fields is stable, and lies behind the head of an object in CPython; to ask an array for its address takes a
hundred times as long.
"""

from __future__ import annotations

import ctypes
import functools
import math
import struct
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from fastbox.kernels.build.types import Array, Number, Signature, Tuple, leaves

HEAD = object.__basicsize__  # bytes: the count of references and the type
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def caller(label: str, entry: Any, release: Any, signature: Signature) -> Callable[..., Any]:
    """Return a function that calls an entry, written out for the arguments: a loop over them takes ten times as long.

    Parameters
    ----------
    label
        The kernel's name in messages.
    entry, release
        The entry, and what frees the memory of an array that the kernel returns.
    signature
        The types of the kernel.
    """
    known: dict[str, Any] = {"entry": entry, "label": label}
    unpack: list[str] = []
    tests: list[str] = []
    words: list[str] = []
    kinds: list[str] = []

    def pass_on(kind: Any, value: str) -> None:
        if isinstance(kind, Tuple):
            parts = [f"{value}_{place}" for place in range(len(kind.parts))]
            unpack.append(f"    {', '.join(parts)}, = {value}")
            for part, of in zip(parts, kind.parts, strict=True):
                pass_on(of, part)
        elif isinstance(kind, Array):
            name = kind.of.dtype.name
            known[name] = kind.of.dtype
            tests.append(f"({value}.dtype is {name} or {value}.dtype == {name}) and {value}.ndim == {kind.ndim}")
            if kind.layout == "C":
                tests.append(f"{value}.flags.c_contiguous")
            words.append(f"id({value}) + {HEAD}")
            kinds.append("q")
        else:
            floating = kind.dtype.kind == "f"
            words.append(value if floating else f"int({value})")
            kinds.append("d" if floating else "q")

    names = [f"a{place}" for place in range(len(signature.takes))]
    for value, kind in zip(names, signature.takes, strict=True):
        pass_on(kind, value)
    known["pack"] = struct.Struct("=" + "".join(kinds)).pack
    given = leaves([signature.gives])
    known["make"] = ctypes.c_int64 * sum(1 if isinstance(kind, Number) else 2 + kind.ndim for kind in given)
    gives = _reading(signature.gives, count(), known)
    known["array"] = functools.partial(_array, release)
    body = [
        f"def call({', '.join(names)}):",
        *unpack,
        f"    if not ({' and '.join(tests) or True}):",
        "        raise TypeError(f'arrays of other dtypes or layouts than {label} takes')",
        f"    results = {'make()' if given else None}",
        f"    if entry(pack({', '.join(words)}), results):",
        "        raise MemoryError",
        f"    return {gives}",
    ]
    exec("\n".join(body), known)
    call: Callable[..., Any] = known["call"]
    return call


def _reading(kind: Any, places: Iterator[int], known: dict[str, Any]) -> str:
    """Return the expression that reads a result from the next words, and add what the expression needs to `known`."""
    if isinstance(kind, Tuple):
        return f"({' '.join(f'{_reading(part, places, known)},' for part in kind.parts)})"
    if isinstance(kind, Array):
        known[kind.of.dtype.name] = kind.of.dtype
        words = ", ".join(f"results[{next(places)}]" for _ in range(2 + kind.ndim))
        return f"array({kind.of.dtype.name}, {words})"
    if not isinstance(kind, Number):
        return "None"
    word = f"results[{next(places)}]"
    if kind.dtype.kind == "f":
        known["double"] = _double
        return f"double({word})"
    return {"b": f"{word} != 0", "u": f"{word} & 0xFFFFFFFFFFFFFFFF"}.get(kind.dtype.kind, word)


def _double(word: int) -> float:
    found: float = struct.unpack("=d", struct.pack("=q", word))[0]
    return found


class _Memory(ctypes.c_byte * sys.maxsize):  # type: ignore[misc]
    """Memory that a kernel allocated, of any size: freed with the last array that shows it."""

    def __del__(self) -> None:
        self.release(self.start)


def _array(release: Any, dtype: np.dtype[Any], start: int, data: int, *shape: int) -> Any:
    """Return an array of memory that a kernel allocated, which begins at `start`."""
    memory = _Memory.from_address(data)
    memory.release, memory.start = release, start
    return np.frombuffer(memory, dtype, shape[0]) if len(shape) == 1 else _table(memory, dtype, shape)


def _table(memory: _Memory, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return np.frombuffer(memory, dtype, math.prod(shape)).reshape(shape)
