"""Formats of boxes: their names, coordinates read as float columns and converted, and sizes given as corners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.kernels.codes import FORMATS
from fastbox.values.numbers import as_floats, as_sides, in_dtype, shown

__all__ = [
    "ALIASES",
    "COORDINATES",
    "FLOATS",
    "FORMATS",
    "SAMPLE",
    "Columns",
    "are_corners",
    "as_format",
    "columns_of",
    "corners",
    "four",
    "four_columns",
    "in_pixels",
    "looks_like_sizes",
    "one_nan",
    "promoted",
    "rows_of",
    "sides_of",
]

ALIASES = {"ltrb": "xyxy", "tlbr": "xyxy", "ltwh": "xywh", "tlwh": "xywh"}  # of left and top, as trackers say them
THEIRS = {"coco": "xywh", "pascal_voc": "xyxy", "voc": "xyxy", "yolo": "rel_cxcywh", "albumentations": "rel_xyxy"}

# The names of the columns that fastbox writes.
COORDINATES = {
    "xyxy": ("xmin", "ymin", "xmax", "ymax"),
    "xywh": ("x", "y", "w", "h"),
    "cxcywh": ("cx", "cy", "w", "h"),
    "yxyx": ("ymin", "xmin", "ymax", "xmax"),
}

_SIZE_OF = {"xyxy": (0, 1, 0, 1), "xywh": (0, 1, 0, 1), "cxcywh": (0, 1, 0, 1), "yxyx": (1, 0, 1, 0)}

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]

SAMPLE = 512  # boxes of the sample: a larger sample would slow down calls of some thousand boxes
GLANCE = 64  # boxes of the first look: if hardly an eighth of these is inverted, most boxes are not


def as_format(name: str) -> str:
    """Return the name of a format without aliases; the prefix ``rel_`` stays.

    ``ltrb`` and ``tlbr`` are ``xyxy``, ``ltwh`` and ``tlwh`` are ``xywh``: left and top come first in all of them.

    Raises
    ------
    ValueError
        The format is unknown.

    Examples
    --------
    >>> as_format("tlwh"), as_format("rel_cxcywh")
    ('xywh', 'rel_cxcywh')
    """
    if isinstance(name, str) and name in FORMATS:
        return name
    plain = str(name).removeprefix("rel_")
    found = ALIASES.get(plain, plain)
    if found not in FORMATS:
        known = ", ".join((*FORMATS, *ALIASES))
        lower = name.lower() if isinstance(name, str) else ""
        meant = THEIRS.get(lower, lower if lower.removeprefix("rel_") in (*FORMATS, *ALIASES) else "")
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise ValueError(f"expected a format of {known}, or one of them with rel_ in front, got {shown(name)}{hint}")
    return found if plain == name else f"rel_{found}"


def looks_like_sizes(columns: Columns, format: str) -> bool:
    """Tell whether most boxes of a sample are inverted as corners and would be valid as x, y, width, height."""
    if format != "xyxy" or not len(columns[0]):
        return False
    x0, y0, x1, y1 = columns
    if len(x0) > SAMPLE:
        step = -(-len(x0) // GLANCE)
        inverted = np.count_nonzero(x1[::step] < x0[::step]) + np.count_nonzero(y1[::step] < y0[::step])
        if 8 * inverted * step <= len(x0):
            return False
        step = -(-len(x0) // SAMPLE)
        x0, y0, x1, y1 = x0[::step], y0[::step], x1[::step], y1[::step]
    narrow, flat = x1 < x0, y1 < y0
    if 2 * (np.count_nonzero(narrow) + np.count_nonzero(flat)) <= len(x0):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        valid = (x1 >= 0) & (y1 >= 0) & np.isfinite(x0 + y0 + x1 + y1)
    return bool(2 * np.count_nonzero((narrow | flat) & valid) > len(x0))


def are_corners(values: Any) -> bool:
    """Tell whether values are an array that kernels read as corners without a conversion and a check that could fail.

    Inverted boxes, which may need a warning, are not looked for.
    """
    return (
        type(values) is np.ndarray
        and values.ndim == 2
        and values.shape[1] == 4
        and values.dtype in FLOATS
        and values.flags.aligned
    )


def four_columns(values: Any, name: str) -> Columns:
    """Return the columns of coordinates of shape (n, 4), as float32 or float64; ``name`` is their name in messages."""
    try:
        array = as_floats(values, name)
    except (TypeError, ValueError):
        if not _are_sets(values):
            raise
        raise ValueError(
            f"expected {name} of shape (n, 4), got a list of {len(values)} sets of boxes: give one after the other, as "
            f"{name}[0], or all as Boxes(numpy.concatenate({name}), images=IDS), where IDS has the image of each box"
        ) from None
    if array.ndim == 1 and array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"expected {name} of shape (n, 4), got {array.shape}{_reshaped(name, array.shape)}")
    return columns_of(array)


def columns_of(array: NDArray[Any]) -> Columns:
    """Return views of the columns of an array of shape (n, 4): rows of its transpose, which NumPy finds faster."""
    turned = array.T
    return turned[0], turned[1], turned[2], turned[3]


def rows_of(columns: Columns) -> NDArray[Any] | None:
    """Return the array of shape (n, 4) whose rows lie in one block and whose columns these are, if there is one."""
    first, size = columns[0], columns[0].itemsize
    start = first.ctypes.data
    for k, column in enumerate(columns):
        if column.strides != (4 * size,) or column.ctypes.data != start + k * size or column.dtype != first.dtype:
            return None
    return np.lib.stride_tricks.as_strided(first, (len(first), 4), (4 * size, size), writeable=False)


def _are_sets(values: Any) -> bool:
    """Tell whether values are a list of sets of boxes, as one array, tensor, Boxes or list of lists for each image."""
    return isinstance(values, list | tuple) and any(
        getattr(part, "ndim", 0) == 2
        or hasattr(part, "offsets")
        or (isinstance(part, list | tuple) and len(part) > 0 and isinstance(part[0], list | tuple))
        for part in values
    )


def _reshaped(name: str, shape: tuple[int, ...]) -> str:
    """Return the advice for boxes of another shape, as the end of a message."""
    if shape == (4,):
        return f": give a list of it, [{name}]"
    if len(shape) == 2 and shape[1] > 4:
        turned = f", or rotated boxes as RotatedBoxes({name}, FORMAT)" if shape[1] in (5, 8) else ""
        return f": give the four of the box alone, as {name}[:, :4]{turned}"
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


def four(columns: tuple[NDArray[Any], ...]) -> Columns:
    """Return columns that are known to be four."""
    first, second, third, fourth = columns
    return first, second, third, fourth


def in_pixels(columns: Columns, format: str, size: tuple[ArrayLike, ArrayLike] | None) -> tuple[Columns, str]:
    """Return columns in pixels and the name of their format without aliases and ``rel_``.

    ``size`` is the width and height of the images, for relative coordinates alone.
    """
    told = as_format(format)
    if told not in FORMATS:
        plain = told.removeprefix("rel_")
        return _scaled(columns, plain, size), plain
    if size is not None:
        raise ValueError(f"size= is for formats that begin with rel_, got it with format {format!r}")
    return columns, told


def _scaled(columns: Columns, plain: str, size: tuple[ArrayLike, ArrayLike] | None) -> Columns:
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
    with np.errstate(over="ignore"):  # a coordinate that is not finite makes the box invalid
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


def sides_of(columns: Columns, format: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the widths and heights of boxes in float64: the stored ones if the format has sides."""
    p, q, r, s = (column.astype(np.float64) for column in columns)
    with np.errstate(invalid="ignore", over="ignore"):
        if format in ("xywh", "cxcywh"):
            return r, s
        return (r - p, s - q) if format == "xyxy" else (s - q, r - p)


def one_nan(values: NDArray[Any]) -> NDArray[Any]:
    """Replace every nan by the canonical one, in place: the sign of a computed nan depends on the processor."""
    with np.errstate(invalid="ignore", over="ignore"):
        if not np.isfinite(values.sum()):
            values[np.isnan(values)] = np.nan
    return values
