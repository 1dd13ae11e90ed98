"""Values that a caller gives, read as NumPy arrays and numbers; errors name the argument and the value."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.errors import did_you_mean

__all__ = [
    "EXACT",
    "as_array",
    "as_choice",
    "as_column",
    "as_floats",
    "as_number",
    "as_number_from",
    "as_sides",
    "as_tuple",
    "as_whole",
    "below_rounded",
    "in_dtype",
    "is_missing",
    "reads_as_number",
    "shown",
]

REAL = int | float | np.integer | np.floating
EXACT = 2**53  # above this number, a float64 can't tell a whole number from the next
FLOAT32_MOST = 3.4e38  # numbers up to here are in every dtype


def as_array(values: Any, name: str) -> NDArray[Any]:
    """View values as an array: NumPy, torch on the CPU, DLPack, pandas, polars, Arrow, or lists.

    Raises
    ------
    ValueError
        Lists of unequal lengths, or masked values.
    TypeError
        Something that holds no values.

    Examples
    --------
    >>> as_array([1, 2], "classes")
    array([1, 2])
    """
    if type(values) is np.ndarray:
        return values
    if isinstance(values, np.ndarray) and isinstance(values, np.ma.MaskedArray):  # np.ma is slow to import
        masked = np.ma.getmaskarray(values)
        if masked.any():
            row = int(np.argwhere(masked)[0][0]) if masked.ndim else 0
            raise ValueError(f"expected {name} without masked values, got one at row {row}: fill it or drop the row")
        return np.asarray(values.data)
    if hasattr(values, "detach"):
        values = values.detach()
    only_dlpack = hasattr(values, "__dlpack__") and not hasattr(values, "__array__")
    try:
        return np.from_dlpack(values) if only_dlpack else np.asarray(values)
    except ValueError:
        raise ValueError(_unequal(values, name)) from None
    except Exception as error:
        if isinstance(values, Sequence) and (hidden := [row for row, one in enumerate(values) if one is np.ma.masked]):
            came = f"one at row {hidden[0]}"
            raise ValueError(f"expected {name} without masked values, got {came}: fill it or drop the row") from error
        if hasattr(values, "to_list"):  # polars' integers of 128 bits
            return np.array(values.to_list(), object)
        came = f"{type(values).__name__} that NumPy can't read"
        raise TypeError(f"expected {name} as an array, got {came}: give a NumPy array") from error


def as_column(array: NDArray[Any], name: str, n: int) -> NDArray[Any]:
    """Return an array that has one value for each of n rows.

    Raises
    ------
    ValueError
        Another shape.

    Examples
    --------
    >>> as_column(np.array([0.5, 0.9]), "scores", 2)
    array([0.5, 0.9])
    """
    if array.shape != (n,):
        raise ValueError(f"expected {name} of shape ({n},), got {array.shape}")
    return array


def as_floats(values: Any, name: str = "boxes") -> NDArray[Any]:
    """View values as float32 or float64, promoting integers and float16 before anything is subtracted.

    Raises
    ------
    ValueError, TypeError
        The errors of :func:`as_array`, a missing value, or a value that is not a real number.
    """
    if type(values) is np.ndarray and values.dtype.char in "fd" and values.dtype.isnative and values.flags.aligned:
        return values
    if isinstance(values, os.PathLike) or (isinstance(values, str) and os.path.splitext(values)[1]):
        raise TypeError(
            f"expected {name} in memory, got the name {os.fspath(values)!r}: read the file first, as with "
            f"pyarrow.parquet.read_table({os.fspath(values)!r}), or give its name to one of fastbox.jobs"
        )
    if isinstance(values, Iterator):
        raise TypeError(f"expected {name} as an array, got {type(values).__name__}: give list({name})")
    array = as_array(values, name)
    if not array.flags.aligned:
        array = array.copy()
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32 if array.dtype.itemsize == 4 else np.float64, copy=False)
    if array.dtype.kind == "O" and all(isinstance(one, REAL) for one in array.flat):
        return np.array([_as_float(one, name) for one in array.flat]).reshape(array.shape)
    raise _no_numbers(array, name)


def as_number(value: Any, name: str) -> float:
    """Read one number.

    Raises
    ------
    TypeError
        Anything else, text too.

    Examples
    --------
    >>> as_number(np.float32(0.5), "threshold")
    0.5
    """
    if type(value) is float:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, REAL) or isinstance(value, bool):
        raise TypeError(f"expected {name} to be a number, got {shown(value)}")
    return _as_float(value, name)


def as_number_from(value: Any, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Read one number that is not nan and lies in a range, both ends included.

    Raises
    ------
    TypeError
        No number.
    ValueError
        A number outside the range.

    Examples
    --------
    >>> as_number_from(0.5, "iou_threshold", 0, 1)
    0.5
    """
    number = as_number(value, name)
    if not least <= number <= most:
        low = "a number" if least == -math.inf else f"at least {least:g}"
        span = f"to be {low}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"expected {name} {span}, got {shown(value)}")
    return number


def in_dtype(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a number, or an array of them, as floats of a dtype, infinite beyond the range of the dtype.

    >>> float(in_dtype(1e300, np.dtype(np.float32)))
    inf
    """
    if isinstance(value, np.ndarray):
        with np.errstate(over="ignore"):
            return value.astype(dtype, copy=False)
    if abs(float(value)) <= FLOAT32_MOST:
        return dtype.type(value)
    with np.errstate(over="ignore"):
        return dtype.type(value)


def below_rounded(least: Any, dtype: np.dtype[Any]) -> Any:
    """Return the greatest float of a dtype that is below a float of another dtype once it is rounded to that.

    >>> below = below_rounded(np.float32(0.5), np.dtype(np.float64))
    >>> bool(np.float32(below) < 0.5), bool(np.float32(np.nextafter(below, 1)) < 0.5)
    (True, False)
    """
    before = np.nextafter(least, type(least)(-np.inf))
    if least.dtype == dtype:
        return before
    halfway = 0.5 * dtype.type(before) + 0.5 * dtype.type(least)
    return halfway if in_dtype(halfway, least.dtype) < least else np.nextafter(halfway, dtype.type(-np.inf))


def as_whole(value: Any, name: str, least: int = 0) -> int:
    """Read one whole number of at least ``least``.

    Raises
    ------
    ValueError
        Anything else.

    Examples
    --------
    >>> as_whole(np.int32(5), "samples")
    5
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"expected {name} to be a whole number, {least} or more, got {shown(value)}")
    return int(value)


def as_tuple(values: Any, name: str) -> tuple[Any, ...]:
    """Read a tuple of values, or any other collection of them in order; not text.

    Raises
    ------
    TypeError
        Anything else.

    Examples
    --------
    >>> as_tuple([0.4, 0.5], "thresholds")
    (0.4, 0.5)
    """
    if isinstance(values, str) or not np.iterable(values):
        raise TypeError(f"expected {name} as a tuple, got {shown(values)}")
    return tuple(values)


def as_choice(value: Any, choices: Collection[str], what: str) -> str:
    """Read one of some names; the error suggests the nearest.

    Raises
    ------
    ValueError
        Anything else.

    Examples
    --------
    >>> as_choice("mean", ("sum", "mean"), "a reduction")
    'mean'
    """
    if isinstance(value, str) and value in choices:
        return value
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    raise ValueError(f"expected {what} of {', '.join(choices)}, got {shown(value)}{hint}")


def as_sides(size: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read (width, height) of one image or of many.

    Raises
    ------
    ValueError, TypeError
        Another number of sides, or sides that are not numbers.

    Examples
    --------
    >>> as_sides((640, 480))
    (array(640.), array(480.))
    """
    if not isinstance(size, tuple | list | np.ndarray) or len(size) != 2:
        both = f", such as size=({size}, {size})" if isinstance(size, int | float) else ""
        raise ValueError(f"expected size=(width, height), got {shown(size)}: give both{both}")
    width, height = size
    return as_floats(width, "the width in size"), as_floats(height, "the height in size")


def is_missing(value: Any) -> bool:
    """Tell whether a value is missing: None, nan, pandas' NA and NaT, or a masked value."""
    masked = isinstance(value, np.ndarray) and value is np.ma.masked
    if value is None or masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    decimal = sys.modules.get("decimal")  # a module that takes long to import; without it nobody has a Decimal
    unequal = isinstance(value, float | np.floating | np.datetime64 | np.timedelta64)
    return (unequal or (decimal is not None and isinstance(value, decimal.Decimal))) and bool(value != value)


def reads_as_number(text: str | bytes) -> bool:
    """Tell whether a text reads as a number.

    >>> reads_as_number("1e-3"), reads_as_number(b"car")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(value: Any) -> str:
    """Return a short text on one line that shows a value in a message."""
    if isinstance(value, str | int | float | np.generic | None):
        return repr(value)
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}…"


def _as_float(value: Any, name: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"expected {name} within the floats, up to 1.8e308, got {shown(value)}") from None
    except TypeError:  # a timedelta64, which is an integer of NumPy
        raise TypeError(f"expected {name} of real numbers, got {shown(value)}") from None


def _no_numbers(array: NDArray[Any], name: str) -> TypeError:
    """Return the error for an array that holds other values than numbers; the message names the first of them."""
    if array.dtype.kind == "O":
        for place, value in np.ndenumerate(array):
            if not isinstance(value, REAL):
                came = f"{value!r}" if is_missing(value) or isinstance(value, str) else type(value).__name__
                advice = f": give a frame, pyarrow.Table.from_pylist({name})" if isinstance(value, dict) else ""
                row = place[0] if place else 0
                return TypeError(f"expected {name} of real numbers, got {came} at row {row}{advice}")
    what = "text" if array.dtype.kind in "USTO" and array.size else ""
    return TypeError(f"expected {name} of real numbers, got {f'{what}, ' if what else ''}dtype {array.dtype}: cast it")


def _unequal(values: Any, name: str) -> str:
    """Return the message for nested lists of unequal lengths, naming the first row of another length."""
    if not isinstance(values, Sequence):
        return f"expected {name} as an array, got {type(values).__name__}: give a NumPy array"
    rows = values
    sizes = [len(row) if hasattr(row, "__len__") else 0 for row in rows]
    for row, size in enumerate(sizes):
        if size != sizes[0]:
            return f"expected {name} in rows of one length, got {size} at row {row} after {sizes[0]} at row 0"
    return f"expected {name} as an array, got nested lists of unequal lengths"
