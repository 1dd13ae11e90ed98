"""Calls of kernels by their entries, with which no compiler has to be imported.

The arguments of a call are the words of the entry: numbers, and the addresses of the fields of arrays. The struct of
these fields is stable, and lies behind the head of an object in CPython; to ask an array for its address takes a
hundred times as long.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
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
    known["read"] = lambda results: _read(signature.gives, iter(results), release)
    gives = "read(results)" if given else "None"
    if isinstance(signature.gives, Number) and signature.gives.dtype.kind in "bi":
        gives = "results[0] != 0" if signature.gives.dtype.kind == "b" else "results[0]"
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


def _read(kind: Any, results: Iterator[int], release: Any) -> Any:
    """Return the value of a result, made of the next words."""
    if isinstance(kind, Tuple):
        return tuple(_read(part, results, release) for part in kind.parts)
    if isinstance(kind, Array):
        memory, data = next(results), next(results)
        shape = tuple(next(results) for _ in range(kind.ndim))
        return np.asarray(_Owned(memory, data, shape, kind.of.dtype, release))
    word = next(results)
    if kind.dtype.kind == "f":
        return struct.unpack("=d", struct.pack("=q", word))[0]
    return kind.dtype.type(word).item()


class _Owned:
    """Memory that a kernel allocated, as NumPy takes it; freed with the last view of it."""

    def __init__(self, memory: int, data: int, shape: tuple[int, ...], dtype: np.dtype[Any], release: Any) -> None:
        self._memory, self._release = memory, release
        self.__array_interface__ = {"data": (data, False), "shape": shape, "typestr": dtype.str, "version": 3}

    def __del__(self) -> None:
        self._release(self._memory)
