"""Options as bytes: equal only for options of the same type, value and order."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import msgspec
import numpy as np

__all__ = ["canonical", "digest"]


def canonical(value: Any) -> bytes:
    """Return bytes that are different for different values: numbers exactly, fields, items and elements one by one.

    Parameters
    ----------
    value : None, number, text, bytes, path, enumeration, array, dataclass, tuple, list, set or mapping of these

    Raises
    ------
    TypeError
        A value of another type.

    Examples
    --------
    >>> canonical(1) == canonical(1.0), canonical(0.5) == canonical(0.5)
    (False, True)
    """
    return msgspec.msgpack.encode(_tagged(value))


def digest(value: Any) -> str:
    """Return a short text that is different for different values, as the bytes of :func:`canonical` are."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _tagged(value: Any) -> list[Any]:
    """Return a value as lists, texts and bytes; each list begins with the kind of its content."""
    if isinstance(value, Enum):
        return ["enum", _kind(value), value.name]
    if isinstance(value, np.generic | np.ndarray):
        return _tagged_array(value)
    if isinstance(value, np.dtype):
        return ["dtype", repr(value.descr if value.names else value.str)]
    if value is None or isinstance(value, bool | int | str | bytes | float):
        return _tagged_plain(value)
    if is_dataclass(value) and not isinstance(value, type):
        return ["fields", _kind(value), *([part.name, _tagged(getattr(value, part.name))] for part in fields(value))]
    if isinstance(value, os.PathLike):
        return ["path", _tagged_plain(os.fspath(value))]
    if isinstance(value, tuple | list):
        return ["items", _kind(value), *map(_tagged, value)]
    if isinstance(value, AbstractSet):
        return ["set", _kind(value), *sorted(map(canonical, value))]
    if isinstance(value, Mapping):
        return ["mapping", *([_tagged(key), _tagged(own)] for key, own in value.items())]
    raise TypeError(f"expected an option of numbers, texts, arrays or dataclasses, got {_kind(value)}")


def _tagged_plain(value: Any) -> list[Any]:
    kind = type(value)
    if kind is float:
        return ["float", struct.pack(">d", value)]
    if kind is int:
        return ["int", str(value)]
    if kind is str:
        return ["str", value.encode("utf-8", "surrogatepass")]
    if kind in (bool, bytes) or value is None:
        return [kind.__name__, value]
    return [
        "plain",
        _kind(value),
        _tagged_plain(next(base for base in (int, float, str, bytes) if isinstance(value, base))(value)),
    ]


def _tagged_array(value: Any) -> list[Any]:
    array = np.asarray(value)
    kind = ["array" if isinstance(value, np.ndarray) else "scalar", _kind(value), repr(array.dtype.descr), *array.shape]
    if isinstance(value, np.ma.MaskedArray):
        kind.append(_tagged_array(np.ma.getmaskarray(value)))
    if array.dtype.hasobject:
        return [*kind, *map(_tagged, array.ravel().tolist())]
    return [*kind, np.ascontiguousarray(array).tobytes()]


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
