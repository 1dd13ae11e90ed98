"""Conversions of coordinates: arrays to float columns, fractions to pixels, columns of any format to corners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.values.formats import Columns
from fastbox.values.numbers import as_floats, as_sides, in_dtype

__all__ = ["corners", "four_columns", "one_nan", "promoted", "scaled"]

_SIZE_OF = {"xyxy": (0, 1, 0, 1), "xywh": (0, 1, 0, 1), "cxcywh": (0, 1, 0, 1), "yxyx": (1, 0, 1, 0)}


def four_columns(values: Any, name: str) -> Columns:
    """Return the columns of coordinates of shape (n, 4), as float32 or float64; ``name`` is what messages call them."""
    array = as_floats(values, name)
    if array.ndim == 1 and array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"expected {name} of shape (n, 4), got {array.shape}{_reshaped(name, array.shape)}")
    return array[:, 0], array[:, 1], array[:, 2], array[:, 3]


def _reshaped(name: str, shape: tuple[int, ...]) -> str:
    """The advice for boxes of another shape, as the end of a message."""
    if shape == (4,):
        return f": give a list of it, [{name}]"
    if len(shape) == 2 and shape[1] > 4:
        return f": give the four of the box alone, as {name}[:, :4]"
    return f": give one image after the other, as {name}[0]" if len(shape) == 3 and shape[2] == 4 else ""


def promoted(columns: tuple[Any, Any, Any, Any]) -> Columns:
    """Return four columns as floats of one dtype."""
    arrays = [as_floats(column, "columns") for column in columns]
    shapes = [array.shape for array in arrays]
    if arrays[0].ndim != 1 or len(set(shapes)) > 1:
        raise ValueError(f"expected four columns of one shape (n,), got {', '.join(map(str, shapes))}")
    dtype = np.result_type(*arrays)
    first, second, third, fourth = (array.astype(dtype, copy=False) for array in arrays)
    return first, second, third, fourth


def scaled(columns: Columns, plain: str, size: tuple[ArrayLike, ArrayLike] | None) -> Columns:
    """Return relative coordinates in pixels: those of a plain format times the width and height of their images."""
    if size is None:
        raise ValueError("expected size=(width, height) with a format that begins with rel_, got none")
    n, dtype = len(columns[0]), columns[0].dtype
    sides = [in_dtype(side, dtype) for side in as_sides(size)]
    if any(side.shape not in ((), (n,)) for side in sides):
        shapes = ", ".join(str(side.shape) for side in sides)
        raise ValueError(f"expected size=(width, height) as scalars or arrays of shape ({n},), got shapes {shapes}")
    for side in sides:
        if len(wrong := np.flatnonzero(~(np.isfinite(side) & (side > 0)))):
            at = f" at row {wrong[0]}" if side.ndim else ""
            raise ValueError(f"expected size=(width, height) of finite numbers above 0, got {side.flat[wrong[0]]}{at}")
    with np.errstate(over="ignore"):  # what is not finite is an invalid box
        first, second, third, fourth = (one_nan(c * sides[k]) for c, k in zip(columns, _SIZE_OF[plain], strict=True))
    return first, second, third, fourth


def corners(columns: Columns, format: str) -> NDArray[Any]:
    """Return columns of a plain format as ``(n, 4)`` corners x0, y0, x1, y1, in new memory."""
    p, q, r, s = columns
    with np.errstate(invalid="ignore", over="ignore"):
        if format == "xywh":
            parts = (p, q, p + r, q + s)
        elif format == "cxcywh":
            half = p.dtype.type(0.5)
            parts = (p - half * r, q - half * s, p + half * r, q + half * s)
        elif format == "yxyx":
            parts = (q, p, s, r)
        else:
            parts = (p, q, r, s)
    return one_nan(np.stack(parts, axis=1))


def one_nan(values: NDArray[Any]) -> NDArray[Any]:
    """Replace every nan by the canonical one, in place: the sign of a computed nan depends on the processor."""
    with np.errstate(invalid="ignore", over="ignore"):
        if not np.isfinite(values.sum()):
            values[np.isnan(values)] = np.nan
    return values
