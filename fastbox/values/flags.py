"""Flags such as ``iscrowd`` and ``ignore``: one meaning, whatever the type of the column."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.values.numbers import as_array, as_column, is_missing, shown

__all__ = ["as_flag", "as_flags", "is_set"]

SET, UNSET = ("1", "true", "yes"), ("", "0", "false", "no")


def as_flag(value: Any, name: str) -> bool:
    """Read True or False, which 1 and 0 stand for too.

    Raises
    ------
    TypeError
        Anything else: text such as "no" would count as True.

    Examples
    --------
    >>> as_flag(np.True_, "sparse")
    True
    """
    if not isinstance(value, int | np.integer | np.bool_) or value not in (0, 1):
        raise TypeError(f"expected {name} to be True or False, got {shown(value)}")
    return bool(value)


def as_flags(values: ArrayLike, name: str, n: int) -> NDArray[np.bool_]:
    """Read flags: a number is set unless it is 0 or nan, text follows :func:`is_set`, a missing value is not set.

    Raises
    ------
    ValueError
        Another shape than (n,), or text that is neither yes nor no.
    TypeError
        Values that are neither booleans, numbers nor text.

    Examples
    --------
    >>> as_flags([0, 2, float("nan")], "crowd", 3), as_flags(["0", "yes", None], "crowd", 3)
    (array([False,  True, False]), array([False,  True, False]))
    """
    if isinstance(values, np.ndarray) and isinstance(values, np.ma.MaskedArray):
        flags = as_flags(values.data, name, n)
        return flags & ~np.ma.getmaskarray(values)
    array = as_column(as_array(values, name), name, n)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iuf":
        return np.asarray((array != 0) & (array == array))
    if array.dtype.kind in "UTO":
        return _each(array.tolist(), name)
    if not n:
        return np.zeros(0, np.bool_)
    raise TypeError(f"expected {name} of booleans, numbers or text, got dtype {array.dtype}")


def is_set(value: Any) -> bool | None:
    """Tell whether one value means yes; None if its meaning is neither yes nor no.

    Text is not set where it is empty, ``0``, ``false`` or ``no``, and set where it is ``1``, ``true`` or ``yes``, in
    letters of any case.

    >>> is_set("TRUE"), is_set(None), is_set("maybe")
    (True, False, None)
    """
    if is_missing(value):
        return False
    if isinstance(value, str):
        said = value.strip().lower()
        return True if said in SET else False if said in UNSET else None
    return bool(value) if isinstance(value, bool | int | float | Decimal | np.bool_ | np.number) else None


def _each(values: Iterable[Any], name: str) -> NDArray[np.bool_]:
    known: dict[Any, bool | None] = {}
    flags = []
    for row, value in enumerate(values):
        try:
            flag = known[value] if value in known else known.setdefault(value, is_set(value))
        except TypeError:  # neither hashed nor a flag
            flag = None
        if flag is None:
            came = f"{value!r} at row {row}"
            raise ValueError(f"expected 1 or 0, true or false, yes or no in {name}, got {came}: set it to one of these")
        flags.append(flag)
    return np.array(flags, np.bool_)
