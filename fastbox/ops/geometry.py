"""The geometry of two sets of boxes: its kernels, and its boxes as their arguments.

Plain boxes are packed by every kernel, tile by tile. Packing others takes a sine and more, so they are packed once, and
kernels copy tiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.boxes.base import Collection
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import PLAIN, QUADS

__all__ = ["Sides", "geometry_of", "packed", "sides_of"]

F8: np.dtype[Any] = np.dtype(np.float64)
PACKED_TOGETHER = 4096  # boxes packed by a thread before another one pays
MEASURED, MEASURED_PLAIN = 50_000, 300_000  # pairs measured by a thread before another one pays

_OF_PLAIN = {  # the others are in modules with the name of the geometry, in the same folders
    "ALIGNED": ("compare.aligned", "ALIGNED"),
    "BEST": ("compare.dense", "BEST"),
    "BUILD": ("compare.cell_index", "BUILD"),
    "CORNERS": ("compare.aligned", "CORNERS"),
    "HISTOGRAM": ("compare.histogram", "HISTOGRAM"),
    "INDEXED_BEST": ("compare.indexed", "BEST"),
    "INDEXED_PAIRS": ("compare.indexed", "PAIRS"),
    "INDEXED_TOP": ("compare.indexed", "TOP"),
    "MATRIX": ("compare.matrix", "MATRIX"),
    "PAIRS": ("compare.dense", "PAIRS"),
    "TOP": ("compare.dense", "TOP"),
}


def geometry_of(*sides: Any) -> str:
    """Return the geometry in which boxes are compared: quadrilaterals if any are, else rotated if any are, or plain."""
    found = PLAIN
    for side in sides:
        if isinstance(side, RotatedBoxes) and found != QUADS:
            found = side.geometry
    return found


class Sides(NamedTuple):
    """Two sets of boxes in their common geometry.

    Attributes
    ----------
    geometry : str
    dtype : dtype
        The dtype of packed boxes and of their values: that of plain boxes, float64 of all others.
    args : tuple
        Both sets as kernels take them.
    rounded : dtype
        The dtype of the boxes, to which values are rounded.
    """

    geometry: str
    dtype: np.dtype[Any]
    args: tuple[Any, Any]
    rounded: np.dtype[Any]

    @property
    def fields(self) -> int:
        """The numbers of a packed box."""
        return 6 if self.geometry == PLAIN else len(self.args[0])

    def cuts(
        self, starts_a: NDArray[np.int64], starts_b: NDArray[np.int64], skip: NDArray[np.bool_] | None = None
    ) -> list[parallel.Span]:
        """Cut the rows of a as :func:`fastbox.parallel.cuts` does."""
        least = MEASURED_PLAIN if self.geometry == PLAIN else MEASURED
        return parallel.cuts(starts_a, starts_b, skip, least)

    def kernel(self, which: str, metric: str = "") -> Any:
        """Return a kernel that compares the boxes."""
        if self.geometry == PLAIN:
            module, name = _OF_PLAIN[which]
        else:
            module, name = f"compare.{self.geometry}", which
        return getattr(parallel.kernels(module), name)[self.rounded, metric]


def sides_of(a: Collection, b: Collection) -> Sides:
    """Return two sets of boxes of one dtype in their common geometry."""
    geometry = geometry_of(a, b)
    if geometry == PLAIN:
        return Sides(geometry, a.dtype, (a.kernel_args(), b.kernel_args()), a.dtype)
    here = packed(a, geometry)
    return Sides(geometry, F8, (here, here if a is b else packed(b, geometry)), a.dtype)


def packed(boxes: Collection, geometry: str) -> NDArray[np.float64]:
    """Return boxes as a tile of a geometry that is not plain: float64, a row for each number of a packed box."""
    tile = np.empty((parallel.kernels(f"geometry.{geometry}").FIELDS, len(boxes)))
    pack, given = parallel.kernels(f"compare.{geometry}").PACK[boxes.dtype, ""], boxes.kernel_args(geometry)
    parallel.run_blocks(pack, (given,), tile, len(boxes), PACKED_TOGETHER, PACKED_TOGETHER)
    return tile
