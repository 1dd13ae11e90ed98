"""A grid of anchors at some image sizes, laid out as the source of candidates reads it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox.kernels.geometry.safe_range import LEAST, LEAST_SCREENABLE, MOST, MOST_SCREENABLE


class Planes(NamedTuple):
    """Tables, one for each size, end to end; a table holds the planes of a grid, one for each shape on each level."""

    table: NDArray[np.int64]  # (planes, 6): first anchor, step, rows, columns, where its columns and its rows begin
    extents: NDArray[Any]  # (planes, 3): greatest width, greatest height, smallest area
    xs: NDArray[Any]  # (2, n): left and right ends of all columns
    ys: NDArray[Any]
    starts: NDArray[np.int64]  # where each table begins, and the end
    counts: NDArray[np.int64]  # anchors of each table
    screenable: NDArray[np.int64]  # whether all areas of a table may be screened
    levels: NDArray[np.int64]  # (tables, levels): anchors of each level

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.xs.dtype

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        return self[:5]

    @property
    def widest(self) -> int:
        """Columns of the widest plane."""
        return int(self.table[:, 3].max(initial=1))


def laid_out(levels: Any, dtype: np.dtype[Any]) -> Planes:
    """Lay out a grid at one size, in its own dtype or one that is wider."""
    dtype = np.result_type(dtype, *(ends for level in levels for ends in level))
    tables, extents = [np.empty((0, 6), np.int64)], [np.empty((0, 3), dtype)]
    xs, ys = [np.empty((2, 0), dtype)], [np.empty((2, 0), dtype)]
    counts: list[int] = []
    x = y = 0
    for x0, y0, x1, y1 in levels:
        columns, rows = np.stack([x0, x1]).astype(dtype), np.stack([y0, y1]).astype(dtype)
        _, shapes, wide = columns.shape
        high = rows.shape[2]
        shape = np.arange(shapes)
        fixed = [np.full(shapes, value) for value in (shapes, high, wide)]
        tables.append(np.stack([sum(counts) + shape, *fixed, x + shape * wide, y + shape * high], axis=1))
        w, h = columns[1] - columns[0], rows[1] - rows[0]
        with np.errstate(over="ignore", invalid="ignore"):
            least = w.min(axis=1, initial=np.inf) * h.min(axis=1, initial=np.inf)
        extents.append(np.stack([w.max(axis=1, initial=0), h.max(axis=1, initial=0), least], axis=1))
        xs.append(columns.reshape(2, -1))
        ys.append(rows.reshape(2, -1))
        counts.append(shapes * high * wide)
        x, y = x + shapes * wide, y + shapes * high
    table, bounds = np.concatenate(tables), np.concatenate(extents)
    with np.errstate(over="ignore"):
        screenable = ((bounds[:, 2] >= LEAST_SCREENABLE) & (bounds[:, 0] * bounds[:, 1] <= MOST_SCREENABLE)).all()
    sides = np.concatenate(xs, axis=1), np.concatenate(ys, axis=1)
    safe = np.array([screenable and all(map(_are_safe, sides))], np.int64)
    starts, by_level = np.array([0, len(table)]), np.array([counts], np.int64).reshape(1, -1)
    return Planes(table, bounds, *sides, starts, by_level.sum(axis=1), safe, by_level)


def _are_safe(ends: NDArray[Any]) -> bool:
    far = np.maximum(-ends[0], ends[1])
    return bool((((far >= LEAST) & (far <= MOST)) | (far == 0)).all())


def joined(parts: list[Planes], dtype: np.dtype[Any]) -> Planes:
    """Lay several tables end to end."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return joined([laid_out((), dtype)], dtype)
    x, y, starts = (np.cumsum([0, *lengths]) for lengths in zip(*map(_lengths, parts), strict=True))
    table = [part.table + np.array([0, 0, 0, 0, x[k], y[k]]) for k, part in enumerate(parts)]
    xs, ys = (np.concatenate([part[field] for part in parts], axis=1) for field in (2, 3))
    extents, counts, screenable, levels = (np.concatenate([part[field] for part in parts]) for field in (1, 5, 6, 7))
    return Planes(np.concatenate(table), extents, xs, ys, starts, counts, screenable, levels)


def _lengths(part: Planes) -> tuple[int, int, int]:
    return part.xs.shape[1], part.ys.shape[1], len(part.table)
