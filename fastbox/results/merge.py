"""Results of parts of a table: added up, and kept as text in the record of a file."""

from __future__ import annotations

import base64
import zlib
from copy import copy
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import add
from typing import Any, TypeVar, get_origin

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.sketch import Sketch

__all__ = ["Gathered", "merged", "packed", "unpacked"]

msgspec = deferred("msgspec")

Found = TypeVar("Found")

TOGETHER = 8  # neighbours that are added up together


class Gathered:
    """The results of parts, which come in any order: neighbours are added up early, so that memory holds few results.

    Examples
    --------
    >>> parts = Gathered()
    >>> for index in (2, 0, 1):
    ...     parts.add(index, ["first", "second", "third"][index : index + 1])
    >>> parts.merged()
    ['first', 'second', 'third']
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], Any] = {}  # by a level, and a number among blocks of TOGETHER ** level parts

    def add(self, index: int, found: Any) -> None:
        """Take in the result of a part."""
        level = 0
        while True:
            self._held[level, index] = found
            first = index - index % TOGETHER
            block = [(level, number) for number in range(first, first + TOGETHER)]
            if any(key not in self._held for key in block):
                return
            found = merged([self._held.pop(key) for key in block])
            level, index = level + 1, index // TOGETHER

    def merged(self) -> Any:
        """Return the result for all parts, added up in their order."""
        return merged([self._held[key] for key in sorted(self._held, key=lambda key: key[1] * TOGETHER ** key[0])])


def merged(parts: list[Any]) -> Any:
    """Return the result for all parts: counts, arrays and sketches are added, all other values must be equal.

    Raises
    ------
    ValueError
        The parts are of different runs: a value that is not a count differs.
    """
    first = parts[0]
    if isinstance(first, Sketch):
        return Sketch.sum(parts)
    if isinstance(first, bool | str | float | tuple) or any(part is None for part in parts):
        if any(part != first for part in parts[1:]):
            raise ValueError(f"expected parts of one run, got {', '.join(sorted(set(map(repr, parts))))}")
        return first
    if isinstance(first, dict):
        keys = dict.fromkeys(key for part in parts for key in part)
        return {key: merged([part[key] for part in parts if key in part]) for key in keys}
    if is_dataclass(first) and not hasattr(first, "__add__"):
        whole = copy(first)
        for part in fields(first):
            setattr(whole, part.name, merged([getattr(one, part.name) for one in parts]))
        return whole
    return reduce(add, parts)


def packed(found: Any) -> str:
    """Return a result as text that JSON holds; the same result gives the same text.

    >>> unpacked(packed({1: "a", "1": "b", None: "c"}), dict)
    {1: 'a', '1': 'b', None: 'c'}
    """
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(found, enc_hook=_encoded), 1)).decode()


def unpacked(text: Any, kind: type[Found]) -> Found:
    """Return the result of a class from the text that :func:`packed` gave; each part is of the type of its field.

    Raises
    ------
    ValueError
        The text is not a packed result of this class.
    """
    try:
        content = zlib.decompress(base64.b64decode(text))
        found: Found = msgspec.msgpack.decode(content, type=kind, dec_hook=_decoded)
    except (ValueError, TypeError, KeyError, zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"expected a record of {kind.__name__}, got something else") from error
    return found


def _encoded(value: Any) -> Any:
    """Return a value that msgpack does not know as one that it knows."""
    if isinstance(value, Sketch):
        return value.state()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"expected counts, sketches and arrays, got {type(value).__name__}")


def _decoded(kind: Any, value: Any) -> Any:
    """Return an array or a sketch from the value that :func:`_encoded` returned for it."""
    if kind is Sketch:
        return Sketch.of_state({name: _array(part) for name, part in value.items()})
    if (get_origin(kind) or kind) is np.ndarray:
        return _array(value)
    raise TypeError(f"expected sketches and arrays, got {kind}")


def _array(value: Any) -> NDArray[Any]:
    dtype, shape, data = value
    return np.frombuffer(data, dtype).reshape(shape).copy()
