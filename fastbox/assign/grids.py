"""Grids of points and rules for them, in the form that kernels take."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.anchors.points import PointGrid
from fastbox.assign.images import sizes_of
from fastbox.assign.point_rule import PointRule
from fastbox.kernels.assign import point_codes as codes
from fastbox.values.numbers import in_dtype

__all__ = ["LaidOut", "laid_out", "shape_of"]

MARGINS = {"tal": 1e-9, "tood": 0.01}  # pixels by which a candidate lies inside of its truth


class LaidOut(NamedTuple):
    """The points of all images of a call: what kernels take, and the number of points of each image."""

    arrays: tuple[Any, ...]
    counts: NDArray[np.int64]


def laid_out(grid: PointGrid, size: Any, images: int, dtype: np.dtype[Any]) -> LaidOut:
    """Return the points of some images; errors are those of :func:`sizes_of`."""
    square = isinstance(size, int | np.integer) and not isinstance(size, bool)
    sizes, which = sizes_of((int(size), int(size)) if square else size, images)
    tables, counts = _tables(grid, sizes, dtype)
    return LaidOut((*tables, which * len(grid.strides), np.float32(grid.offset)), counts[which])


@lru_cache(maxsize=64)
def _tables(
    grid: PointGrid, sizes: tuple[tuple[int, int], ...], dtype: np.dtype[Any]
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64]]:
    """Return levels, steps and strides of some sizes, as kernels take them, and the points of each size."""
    levels: list[tuple[int, ...]] = []
    steps: list[tuple[int, int]] = []
    counts = []
    for size in sizes:
        first = 0
        for columns, rows, *step in grid.cells_of(size):
            levels.append((columns, rows, first))
            steps.append((step[0], step[1]))
            first += columns * rows
        counts.append(first)
    table = np.array(levels, np.int64).reshape(-1, 3)
    sides = np.array(steps, np.float32).reshape(-1, 2)
    arrays = table, np.concatenate([sides, 1 / sides], axis=1), np.array(grid.strides, dtype)
    return arrays, np.array(counts, np.int64)


@lru_cache(maxsize=64)
def shape_of(rule: PointRule, grid: PointGrid, dtype: np.dtype[Any]) -> tuple[tuple[Any, ...], NDArray[Any]]:
    """Return where candidates lie by a rule, and the rule's ranges by level, as kernels take them.

    Raises
    ------
    ValueError
        A rule with another number of ranges than levels.
    """
    if rule.family == "fcos" and len(rule.ranges) != len(grid.strides):
        raise ValueError(
            f"expected a range for each of {len(grid.strides)} levels, got {len(rule.ranges)}: give "
            f"PointRule.fcos(ranges=...)"
        )
    near = codes.ROUND_CENTRE if rule.variant == "torchvision" else codes.AT_CENTRE_INSIDE
    mode = {
        "fcos": near if rule.radius > 0 else codes.INSIDE,
        "tal": codes.INSIDE if rule.floor is None else codes.WIDENED,
        "tood": codes.INSIDE,
        "simota": codes.AT_CENTRE_INSIDE if rule.inside else codes.AT_CENTRE,
        "rtmdet": codes.INSIDE,
    }[rule.family]
    sides = (_pixels(side, grid) for side in (rule.floor, rule.to))
    margin = MARGINS.get(rule.family, 0.0)
    numbers = [in_dtype(number, dtype) for number in (rule.radius, *sides, margin)]
    ranges = np.array([[in_dtype(end, dtype) for end in pair] for pair in rule.ranges], dtype).reshape(-1, 2)
    return (mode, *numbers, rule.variant == "torchvision"), ranges


def _pixels(side: float | str | None, grid: PointGrid) -> float:
    if isinstance(side, str):
        return grid.strides[1 if side == "second" and len(grid.strides) > 1 else 0]
    return 0.0 if side is None else side
