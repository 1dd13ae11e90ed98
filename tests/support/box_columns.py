"""Three boxes as Arrow columns of every layout."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

QUADS = np.array([[0, 0, 4, 5], [1, 2, 3, 4], [2, 2, 9, 8]], np.float32)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def flat(quads: np.ndarray = QUADS, names: tuple[str, ...] = CORNERS, **more: object) -> pa.Table:
    """Return boxes as a table of four columns, and more columns."""
    return pa.table({**{name: quads[:, k].copy() for k, name in enumerate(names)}, **more})


def fixed(quads: np.ndarray = QUADS) -> pa.Array:
    """Return boxes as fixed-size lists of four."""
    return pa.FixedSizeListArray.from_arrays(pa.array(quads.ravel()), 4)


def struct(quads: np.ndarray = QUADS, names: tuple[str, ...] = CORNERS) -> pa.Array:
    """Return boxes as structs of four fields."""
    return pa.StructArray.from_arrays([pa.array(quads[:, k].copy()) for k in range(4)], list(names))


def lists(quads: np.ndarray = QUADS) -> pa.Array:
    """Return boxes as lists of four."""
    return pa.ListArray.from_arrays(pa.array(np.arange(len(quads) + 1, dtype=np.int32) * 4), pa.array(quads.ravel()))


def ragged(values: pa.Array, offsets: tuple[int, ...] = (0, 2, 2, 3)) -> pa.Array:
    """Return boxes as lists of boxes, one list per image."""
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
