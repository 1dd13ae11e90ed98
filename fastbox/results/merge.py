"""What jobs found: added up over parts of their input, and kept as JSON."""

from __future__ import annotations

import base64
import zlib
from copy import copy
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np

from fastbox.jobs.inspection.classes import Classes
from fastbox.jobs.inspection.problems import Limits, Problems
from fastbox.jobs.inspection.statistics import Statistics
from fastbox.results.coverage import Coverage, Covered
from fastbox.results.metric_summary import Invalid, Rules
from fastbox.sketch import Sketch

__all__ = ["Gathered", "merged", "packed", "unpacked"]

Found = TypeVar("Found")

PARTS = {kind.__name__: kind for kind in (Classes, Coverage, Covered, Invalid, Limits, Problems, Rules, Statistics)}
TOGETHER = 8  # neighbours that are added up at once


class Gathered:
    """What was found in parts, which come in any order: neighbours are added up when they are there, so few are held.

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
        """Take in what was found in a part."""
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
        """What was found in all, added up in the order of the parts."""
        return merged([self._held[key] for key in sorted(self._held, key=lambda key: key[1] * TOGETHER ** key[0])])


def merged(parts: list[Any]) -> Any:
    """What the job would have found in all parts at once: counts, arrays and sketches added, all else as it is alike.

    Raises
    ------
    ValueError
        The parts are of different runs: something that is no count is not alike.
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


def packed(value: Any) -> Any:
    """A value as JSON holds it, in its order: the same value gives the same text."""
    if isinstance(value, Sketch):
        return {"sketch": {name: packed(part) for name, part in value.state().items()}}
    if isinstance(value, np.ndarray):
        text = base64.b64encode(zlib.compress(value.tobytes(), 1)).decode()
        return {"array": [value.dtype.str, list(value.shape), text]}
    if isinstance(value, dict):
        return {"dict": [[packed(key), packed(own)] for key, own in value.items()]}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [packed(own) for own in value]}
    if is_dataclass(value):
        return {type(value).__name__: {part.name: packed(getattr(value, part.name)) for part in fields(value)}}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"expected counts, sketches and arrays, got {type(value).__name__}")


def unpacked(value: Any, kind: type[Found]) -> Found:
    """A value of a kind from what :func:`packed` gave.

    Raises
    ------
    ValueError
        It is something else.
    """
    try:
        found = _unpacked(value, PARTS | {kind.__name__: kind})
    except (KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(f"expected a record of {kind.__name__}, got something else") from error
    if not isinstance(found, kind):
        raise ValueError(f"expected a record of {kind.__name__}, got one of {type(found).__name__}")
    return found


def _unpacked(value: Any, kinds: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((name, own),) = value.items()
    if name == "sketch":
        return Sketch.of_state({part: _unpacked(one, kinds) for part, one in own.items()})
    if name == "array":
        dtype, shape, text = own
        return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()
    if name == "dict":
        return {_unpacked(key, kinds): _unpacked(one, kinds) for key, one in own}
    if name in ("tuple", "list"):
        parts = [_unpacked(one, kinds) for one in own]
        return tuple(parts) if name == "tuple" else parts
    made = object.__new__(kinds[name])
    for part in fields(made):
        object.__setattr__(made, part.name, _unpacked(own[part.name], kinds))  # some are frozen
    return made
