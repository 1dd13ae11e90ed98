"""The text of records of arrays in a few lines, with the first and the last values of long arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["record_text"]

WHOLE = 20  # numbers; an array of more is shown by the first and the last ones
ENDS = 3  # first and last values that are shown of a vector, and 2 of the rows of a matrix
WIDTH = 110  # columns


def record_text(record: Any) -> str:
    """Return the text of a named tuple or a dataclass: a line, or a line for each field where one line is too short.

    >>> from typing import NamedTuple
    >>> class Best(NamedTuple):
    ...     values: np.ndarray
    ...     indices: np.ndarray
    >>> print(record_text(Best(np.arange(1000) / 8, np.arange(1000) % 7)))
    Best(
        values=array([  0.   ,   0.125,   0.25 , ..., 124.625, 124.75 , 124.875], shape=(1000,)),
        indices=array([0, 1, 2, ..., 3, 4, 5], shape=(1000,)),
    )
    """
    names = getattr(record, "_fields", None) or list(record.__dataclass_fields__)
    texts = {name: _text(getattr(record, name), len(name) + 5) for name in names}
    title = type(record).__name__
    line = f"{title}({', '.join(f'{name}={text}' for name, text in texts.items())})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return "\n".join([f"{title}(", *(f"    {name}={text}," for name, text in texts.items()), ")"])


def _text(value: Any, indent: int) -> str:
    if isinstance(value, tuple) and len(value) > WHOLE:
        first, last = (", ".join(map(repr, values)) for values in (value[:ENDS], value[-ENDS:]))
        return f"({first}, ..., {last})"
    if isinstance(value, Mapping) and len(repr(value)) > WIDTH - indent:
        return "{" + f",\n{'':{indent + 1}}".join(f"{key!r}: {entry!r}" for key, entry in value.items()) + "}"
    ends = ENDS if np.ndim(value) == 1 else ENDS - 1
    with np.printoptions(threshold=WHOLE, edgeitems=ends, linewidth=WIDTH - indent):
        return repr(value).replace("\n", "\n" + " " * indent)
