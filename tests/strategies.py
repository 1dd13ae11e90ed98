"""What Hypothesis draws: boxes of every sort, in every layout of memory, alone or grouped by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import METRICS

Array = NDArray[Any]

FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")
LAYOUTS = ("contiguous", "fortran", "every other row", "backwards", "inside wider rows", "read-only", "shifted")
VALID = ("grid", "odd", "apart", "line", "point", "tiny", "huge")
INVALID = ("nan", "inf", "inverted")
EXACT = ("grid", "apart", "line", "point")
EXTREME = ("minute", "vast")

dtypes = st.sampled_from([np.float32, np.float64])
formats = st.sampled_from(FORMATS)
layouts = st.sampled_from(LAYOUTS)
metrics = st.sampled_from(METRICS)


def _box(kind: str, i: int, j: int, p: int, q: int) -> tuple[float, float, float, float]:
    """A box of a kind from four small integers: few of them, so that boxes touch, nest and repeat."""
    if kind == "odd":
        return 0.1 * i, 0.7 * j, 0.1 * i + 0.3 * p + 0.05, 0.7 * j + 1.1 * q + 0.01
    if kind == "apart":
        far, wide = (50 * j, 50 * j + (q + 1) / 4), (i / 4, i / 4 + p + 1)
        (x0, x1), (y0, y1) = (far, wide) if (i + j) % 2 else (wide, far)
        return x0, y0, x1, y1
    if kind == "line":
        return (i / 4, j / 4, i / 4, (j + q) / 4) if p % 2 else (i / 4, j / 4, (i + p) / 4, j / 4)
    if kind == "point":
        return i / 4, j / 4, i / 4, j / 4
    if kind == "tiny":
        return 0.1 * i, 0.1 * j, 0.1 * i + 1e-4, 0.1 * j + 1e-4
    if kind == "huge":
        return 1e7 + i, -1e7 + j, 1e7 + i + p + 1, -1e7 + j + q + 1
    if kind == "minute":
        unit = 10.0 ** -(9 + p)
        return i * unit, j * unit, (i + q + 1) * unit, (j + 1) * unit
    if kind == "vast":
        unit = 10.0 ** (9 + p)
        return i * unit, j * unit, (i + q + 1) * unit, (j + 1) * unit
    good = [i / 4, j / 4, (i + p + 1) / 4, (j + q + 1) / 4]
    if kind == "nan":
        good[q % 4] = float("nan")
    elif kind == "inf":
        good[q % 4] = float("-inf") if p % 2 else float("inf")
    elif kind == "inverted":
        swap_x, swap_y = q % 3 != 1, q % 3 != 0
        good = [good[2 * swap_x], good[1 + 2 * swap_y], good[2 - 2 * swap_x], good[3 - 2 * swap_y]]
    return good[0], good[1], good[2], good[3]


@st.composite
def corners(
    draw: st.DrawFn,
    dtype: Any = None,
    kinds: tuple[str, ...] = VALID + INVALID,
    min_size: int = 0,
    max_size: int = 12,
) -> Array:
    """``(n, 4)`` corners x0, y0, x1, y1, C-contiguous."""
    small = st.integers(0, 12)
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(kinds), small, small, small, small), min_size=min_size, max_size=max_size)
    )
    chosen = draw(dtypes) if dtype is None else dtype
    return np.array([_box(*one) for one in drawn], dtype=chosen).reshape(-1, 4)


@st.composite
def two(draw: st.DrawFn, kinds: tuple[str, ...] = VALID + INVALID, min_size: int = 0, max_size: int = 12) -> Any:
    """Two collections of one dtype."""
    dtype = draw(dtypes)
    one = corners(dtype, kinds, min_size, max_size)
    return draw(one), draw(one)


@st.composite
def sides(draw: st.DrawFn, kinds: tuple[str, ...] = VALID + INVALID, strings: bool = False) -> Any:
    """Two lists of (image id, boxes), ascending by id; images missing on either side."""
    dtype = draw(dtypes)
    ids = sorted(draw(st.sets(st.integers(1, 9), max_size=5)))
    few = st.none() | corners(dtype, kinds, 1, 4)
    drawn = [(f"image {i}" if strings else i, draw(few), draw(few)) for i in ids]
    return [(i, a) for i, a, _ in drawn if a is not None], [(i, b) for i, _, b in drawn if b is not None], dtype


def laid_out(array: Array, layout: str) -> Array:
    """The same values in another layout of memory."""
    n = len(array)
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "every other row":
        wide = np.full((2 * n, 4), np.nan, array.dtype)
        wide[::2] = array
        return wide[::2]
    if layout == "backwards":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    if layout == "inside wider rows":
        wide = np.full((n, 7), np.nan, array.dtype)
        wide[:, 2:6] = array
        return wide[:, 2:6]
    if layout == "shifted":
        flat = np.empty(4 * n + 1, array.dtype)
        flat[1:] = array.reshape(-1)
        return flat[1:].reshape(n, 4)
    copy = np.ascontiguousarray(array).copy()
    copy.flags.writeable = layout != "read-only"
    return copy


def some_boxes(n: int, dtype: Any, seed: int = 0, exact: bool = True, bad: float = 0.0) -> Array:
    """Corners of n boxes in a picture of 256 by 256 pixels; exact ones lie on eighths, some of them twice."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 200, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 56, (n, 2))], axis=1)
    if exact:
        boxes = np.round(boxes * 8) / 8
    spoilt = rng.random(n) < bad
    boxes[spoilt, rng.integers(0, 4, n)[spoilt]] = np.nan
    return boxes.astype(dtype)
