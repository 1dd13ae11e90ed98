"""The columns of an Arrow schema by name, and the errors for missing names."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from fastbox.errors import InputError, nearest
from fastbox.values.names import advice_on

__all__ = ["hint", "listing", "require"]


def require(schema: pa.Schema, name: str, where: str) -> pa.Field:
    """Return the field of a column, or raise an InputError that names the table, its columns and the nearest name."""
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a column of {where} as text, four as 'A,B,C,D', got {name!r}")
    count = schema.names.count(name)
    if count == 1:
        return schema.field(name)
    if count > 1:
        raise InputError(f"expected one column {name!r} in {where}, got {count}: rename all but one")
    near = f"{hint(name, schema.names)}{advice_on(name)}"
    raise InputError(f"expected a column {name!r} in {where}, got {listing(schema.names)}{near}")


def hint(name: str, names: Sequence[str]) -> str:
    """Return the end of a message that asks for the most similar name, or nothing."""
    near = nearest(name, names)
    return f" (did you mean {near!r}?)" if near else ""


def listing(names: Sequence[str], most: int = 20) -> str:
    """Return the names of columns as messages list them, at most ``most`` of them."""
    shown = ", ".join(map(repr, names[:most])) or "no columns"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
