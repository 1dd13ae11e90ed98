"""The layout of a grid of anchors: its strides and shapes, and the coordinates that they give for an image's size.

An anchor is a cell of one feature level and one of the level's shapes. Its x coordinates depend on the column and the
shape alone, its y coordinates on the row and the shape alone, so four small tables describe a level of any number of
anchors. Anchors are numbered by level, row, column and shape, the shape innermost, as in every peer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.anchors.cell_shapes import whole
from fastbox.values.numbers import in_dtype

__all__ = ["Layout", "Level", "levels_of"]

Corners = tuple[float, float, float, float]

SIZES_KEPT = 32  # image sizes whose levels are kept in memory, over all grids


class Level(NamedTuple):
    """One feature level, whose coordinates factor into columns and rows.

    The anchor of row r, column c and shape s has the corners x0[s, c], y0[s, r], x1[s, c], y1[s, r]. All four arrays
    are C-contiguous, read-only and of the grid's dtype.
    """

    x0: NDArray[Any]  # (shapes, columns)
    y0: NDArray[Any]  # (shapes, rows)
    x1: NDArray[Any]  # (shapes, columns)
    y1: NDArray[Any]  # (shapes, rows)


@dataclass(frozen=True, init=False, repr=False)
class Layout:
    """The data of a grid of anchors.

    Attributes
    ----------
    strides : tuple of int
        The distance of neighbouring cells in pixels, by level.
    shapes : tuple of tuple of (x0, y0, x1, y1)
        By level: the corners of each shape about the point of a cell.
    offset : float
        The distance of a cell's point from the cell's top left corner, in strides.
    pad : int
        Images are padded to a multiple of this number of pixels.
    fitted : bool
        Cells are spaced by padded side // cells, as in torchvision, and not by the stride.
    resized : (width, height) or None
        For SSD: shapes are fractions of the image, and cells are those of an image of this size.
    dtype : dtype
        float32 or float64, of all coordinates.
    """

    strides: tuple[int, ...]
    shapes: tuple[tuple[Corners, ...], ...]
    offset: float
    pad: int
    fitted: bool
    resized: tuple[int, int] | None
    dtype: np.dtype[Any]

    def _set(
        self,
        strides: tuple[int, ...],
        shapes: Iterable[NDArray[Any]],
        *,
        offset: float = 0.0,
        pad: int = 1,
        fitted: bool = False,
        resized: tuple[int, int] | None = None,
        dtype: Any = np.float32,
    ) -> Self:
        """Set all fields of a new grid; ValueError for a pad that is not a whole number or corners beyond the dtype."""
        (pad,) = whole([pad], "pad")
        levels = list(shapes)
        if not all(np.isfinite(in_dtype(level, np.dtype(dtype))).all() for level in levels):
            raise ValueError(f"expected anchors whose corners {np.dtype(dtype)} holds, got sides beyond it")
        corners = tuple(tuple(map(tuple, level.tolist())) for level in levels)
        values = (strides, corners, offset, pad, fitted, resized, np.dtype(dtype))
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)
        return self

    def cells(self, axis: int, side: int, k: int) -> int:
        """Count the cells of level k along one axis of an image that has this side, in pixels, along the axis."""
        return -(-(self._padded(side) if self.resized is None else self.resized[axis]) // self.strides[k])

    def _padded(self, side: int) -> int:
        return -(-side // self.pad) * self.pad

    def edges(self, axis: int, side: int, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the low and the high edges of level k along one axis, each of shape (shapes, cells)."""
        T = self.dtype.type
        shapes = np.array(self.shapes[k], self.dtype)
        low, high = shapes[:, axis, None], shapes[:, axis + 2, None]
        cells, stride = self.cells(axis, side, k), self.strides[k]
        if self.resized is not None:
            centres = (np.arange(cells) + 0.5).astype(T) / T(self.resized[axis] / stride)
            return (centres + low) * T(side), (centres + high) * T(side)
        step = self._padded(side) // cells if self.fitted else stride
        centres = (self.offset * step + np.arange(cells) * step).astype(T)
        return centres + low, centres + high


@lru_cache(SIZES_KEPT)
def levels_of(layout: Layout, size: tuple[int, int]) -> tuple[Level, ...]:
    """Return the levels for an image of (width, height) pixels; their arrays are read-only."""
    levels = []
    for k in range(len(layout.strides)):
        (x0, x1), (y0, y1) = (layout.edges(axis, side, k) for axis, side in enumerate(size))
        for edges in (x0, y0, x1, y1):
            edges.flags.writeable = False
        levels.append(Level(x0, y0, x1, y1))
    return tuple(levels)
