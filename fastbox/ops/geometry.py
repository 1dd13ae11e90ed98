"""The geometry of two sets of boxes: its kernels, and its boxes as their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import PLAIN, QUADS

__all__ = ["args_of", "geometry_of", "kernel_of", "packed"]

PACKED_TOGETHER = 4096  # boxes packed by a thread before another one pays

_OF_PLAIN = {  # the others are in modules with the name of the geometry, in the same folders
    "ALIGNED": ("compare.aligned", "ALIGNED"),
    "BEST": ("compare.dense", "BEST"),
    "BUILD": ("compare.cell_index", "BUILD"),
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


def kernel_of(which: str, geometry: str) -> Any:
    """Return a kernel that compares boxes of a geometry."""
    if geometry != PLAIN:
        return getattr(parallel.kernels(f"compare.{geometry}"), which)
    module, name = _OF_PLAIN[which]
    return getattr(parallel.kernels(module), name)


def args_of(*sides: Collection) -> tuple[tuple[Any, ...], ...]:
    """Return sets of boxes as kernels of their common geometry take them."""
    geometry = geometry_of(*sides)
    return tuple(side.kernel_args(geometry) for side in sides)


def packed(boxes: Collection, geometry: str) -> NDArray[np.float64]:
    """Return boxes as a tile of a geometry that is not plain: float64, a row for each number of a packed box."""
    kernels = parallel.kernels(f"suppress.{geometry}")
    tile = np.empty((kernels.FIELDS, len(boxes)))
    pack, given = kernels.PACK[boxes.dtype, ""], boxes.kernel_args(geometry)
    parallel.run(pack, [(given, span, tile) for span in parallel.blocks(len(boxes), PACKED_TOGETHER, PACKED_TOGETHER)])
    return tile
