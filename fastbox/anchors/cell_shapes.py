"""The shapes of one level as corners about a cell's point, in the arithmetic of each peer; and checks of arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.numbers import shown

__all__ = ["as_size", "default_boxes", "each_level", "exact", "given_sides", "positive", "single", "whole"]


@np.errstate(all="ignore")  # shapes beyond the floats are refused when all are known
def exact(sizes: list[float], scales: list[float], ratios: list[float], round: bool) -> NDArray[np.float64]:
    """Return corners by size, scale and ratio in float64: an area is a squared size, a ratio is height over width."""
    halves = []
    for size in (size * scale for size in sizes for scale in scales):
        for ratio in ratios:
            width = math.sqrt(size * size / ratio)
            halves.append((width / 2, ratio * width / 2))
    corners = _about(np.array(halves))
    return np.round(corners) if round else corners


@np.errstate(all="ignore")
def single(scales: list[float], base: float, ratios: list[float], scale_major: bool) -> NDArray[np.float32]:
    """Return corners in float32, every operation rounded, as torchvision and mmdetection compute them.

    Where torch takes square roots from MKL, the roots of some ratios (0.2, but no ratio of a preset) are off by the
    last bit, and so are shapes that are not rounded. Here every root is the nearest float.
    """
    factors, tall = np.array(scales, np.float32), np.sqrt(np.array(ratios, np.float32))
    halves = []
    for root in (np.float32(1) / tall, tall):
        sides = (
            root[:, None] * np.float32(base) * factors if scale_major else np.float32(base) * factors[:, None] * root
        )
        halves.append(np.float32(0.5) * sides.reshape(-1))
    return _about(np.stack(halves, axis=1))


@np.errstate(all="ignore")
def default_boxes(scale: float, following: float, ratios: list[float], clip: bool) -> NDArray[np.float32]:
    """Return corners of SSD's default boxes as fractions of the image, rounded to float32 once."""
    between = math.sqrt(scale * following)
    sides = [(scale, scale), (between, between)]
    for root in map(math.sqrt, ratios):
        sides += [(scale * root, scale / root), (scale / root, scale * root)]
    fractions = np.array(sides, np.float32)
    return _about(np.float32(0.5) * (np.minimum(fractions, np.float32(1)) if clip else fractions))


def given_sides(sides: Any, centre: float) -> NDArray[np.float64]:
    """Return corners of (width, height) about a centre that is the same in both directions."""
    pairs = [positive(pair, "base_sizes") for pair in sides]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"expected base_sizes of (width, height), got {sides!r}")
    return centre + _about(0.5 * np.array(pairs))


def _about(half: NDArray[Any]) -> NDArray[Any]:
    return np.hstack([-half, half])


def as_size(size: Any) -> tuple[int, int]:
    """Read a (width, height) in whole pixels of at least 1; raise ValueError for others."""
    try:
        width, height = whole(size, "size")
    except ValueError:
        message = f"expected size to be (width, height) in whole pixels of at least 1, below 2**31, got {shown(size)}"
        raise ValueError(message) from None
    return width, height


def whole(values: Any, name: str) -> tuple[int, ...]:
    """Read whole numbers of at least 1; raise ValueError for others."""
    found = tuple(values) if np.iterable(values) else ()
    if not found or not all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and 1 <= v < 2**31 for v in found
    ):
        raise ValueError(f"expected {name} to be whole numbers of at least 1, below 2**31, got {shown(values)}")
    return tuple(map(int, found))


def positive(values: Any, name: str) -> list[float]:
    """Read finite numbers above 0; raise ValueError for others."""
    found = tuple(values) if np.iterable(values) else ()
    real = (int, float, np.integer, np.floating)
    if not found or not all(isinstance(v, real) and not isinstance(v, bool) and 0 < v < math.inf for v in found):
        raise ValueError(f"expected {name} to be numbers above 0, got {values!r}")
    return [float(v) for v in found]


def each_level(values: Sequence[Any], levels: int, name: str, *, shared: bool = True) -> list[list[float]]:
    """Read the numbers of each level; flat numbers are shared by all levels, or, without ``shared``, one for each."""
    flat = np.iterable(values) and not any(np.iterable(v) for v in values)
    if flat and shared:
        return [positive(values, name)] * levels
    if not np.iterable(values) or len(values) != levels:
        came = len(values) if np.iterable(values) else repr(values)
        raise ValueError(f"expected {name} for {levels} levels, got {came}")
    return [positive([level] if flat else level, name) for level in values]
