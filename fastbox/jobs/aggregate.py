"""What jobs found: added up over parts of their input, and kept as JSON."""

from __future__ import annotations

import base64
import zlib
from copy import copy
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from fastbox.jobs.coverage import Coverage, Covered
from fastbox.jobs.summary import Invalid
from fastbox.sketch import Sketch
from fastbox.tables.sink import Sink, Target

__all__ = ["conclude", "merged", "packed", "unpacked"]

Found = TypeVar("Found")

PARTS = {kind.__name__: kind for kind in (Coverage, Covered, Invalid)}


def conclude(sink: Sink, out: Any, found: Any) -> None:
    """Record what a job found; for one fragment of its input so that it can be added up later."""
    more = {"aggregate": packed(found)} if isinstance(out, Target) else {}
    sink.record(summary=found.to_dict(), **more)


def merged(parts: list[Found]) -> Found:
    """What the job would have found in all parts at once: counts, arrays and sketches added, all else as it is alike.

    Raises
    ------
    ValueError
        The parts are of different runs: something that is no count is not alike.
    """
    return reduce(_sum, parts)


def packed(value: Any) -> Any:
    """A value as JSON holds it, in its order: the same value gives the same text."""
    if isinstance(value, Sketch):
        return {"sketch": {name: packed(part) for name, part in value.state().items()}}
    if isinstance(value, np.ndarray):
        text = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes(), 6)).decode()
        return {"array": [value.dtype.str, list(value.shape), text]}
    if isinstance(value, dict):
        return {"dict": [[packed(key), packed(own)] for key, own in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [packed(own) for own in value]}
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
    if name == "tuple":
        return tuple(_unpacked(one, kinds) for one in own)
    made = object.__new__(kinds[name])
    for part in fields(made):
        setattr(made, part.name, _unpacked(own[part.name], kinds))
    return made


def _sum(a: Any, b: Any) -> Any:
    if isinstance(a, bool | str | float | tuple) or a is None or b is None:
        if a != b:
            raise ValueError(f"expected parts of one run, got {a!r} and {b!r}")
        return a
    if isinstance(a, dict):
        return a | {key: _sum(a[key], own) if key in a else own for key, own in b.items()}
    if is_dataclass(a) and not hasattr(a, "__add__"):
        both = copy(a)
        for part in fields(a):
            setattr(both, part.name, _sum(getattr(a, part.name), getattr(b, part.name)))
        return both
    return a + b
