"""The kernels that compare boxes, bound to a geometry: their traversals and reductions are those of plain boxes.

Boxes are packed once, by a kernel of its own, and the others copy tiles. So only that one knows formats and dtypes.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_tile
from fastbox.kernels.build.types import f8, group, i8, packed, side, vector
from fastbox.kernels.compare import cell_index, dense, histogram, indexed, matrix
from fastbox.kernels.compare.measure import BLOCK, whole_vectors, with_loops
from fastbox.kernels.compare.rotated_measure import ROWS, VALUES, write_no_angles
from fastbox.kernels.compare.rotated_measure import copy_tile as pack
from fastbox.kernels.geometry.pack import COLS
from fastbox.kernels.geometry.rotated import FIELDS, box_at
from fastbox.kernels.geometry.rotated import pack as pack_tile
from fastbox.kernels.geometry.rotated_metrics import iou as value

Kernels = namedtuple("Kernels", "aligned build histogram indexed_pairs indexed_top matrix pack pairs top")


def pack_all(boxes, span, out):
    """Pack the boxes of a span into the columns of a tile that holds all boxes."""
    first, last = span
    tile = np.empty((FIELDS, COLS), np.float64)
    for s in range(first, last, COLS):
        n = min(COLS, last - s)
        pack_tile(boxes, s, s + n, tile)
        for r in range(FIELDS):
            for j in range(n):
                out[r, s + j] = tile[r, j]


def aligned(beta, a, b, span, out):
    """Write the values of the rows of a span."""
    first, last = span
    like = np.empty(0, np.float64)
    tile_a, tile_b = stack_tile(like, VALUES, BLOCK), stack_tile(like, ROWS, BLOCK)
    for s in range(first, last, BLOCK):
        n = min(BLOCK, last - s)
        pack(a, s, s + n, tile_a)
        pack(b, s, s + n, tile_b)
        for j in range(whole_vectors(n)):
            k = np.uint64(j)
            tile_b[VALUES, k] = value(box_at(tile_a, k), box_at(tile_b, k), beta)
        for j in range(n):
            out[np.uint64(s + j)] = tile_b[VALUES, np.uint64(j)]


def kernels_of(bound, pack_tile, columns, module):
    """Return the kernels of a geometry.

    Values are float64, rounded to the dtype of beta, so that all kernels compare what a matrix of this dtype shows.

    Parameters
    ----------
    bound
        The names that kernels are bound to, by metric.
    pack_tile
        Writes boxes to a tile.
    columns
        The number of columns of a collection of boxes.
    module
        The name of the module that keeps the kernels.
    """
    shared = {name: next(iter(bound.values()))[name] for name in ("FIELDS", "pack")}
    building = {**shared, "write_angles": write_no_angles}
    gather = inlined(rebound(cell_index.gather, shared, str(columns)))
    indexing = {name: {**names, "gather": gather} for name, names in bound.items()}
    counting = with_loops(bound, histogram.keep_overlaps)

    def kernel(function, signature, names=bound):
        return Kernel(function, signature, names, module)

    def rounding(function, signature, names=bound):
        return kernel(function, lambda t: _of_beta(t, signature), names)

    return Kernels(
        kernel(aligned, lambda t: types.void(t, packed(t), packed(t), group(i8, i8), vector(t))),
        kernel(cell_index.build, lambda t: cell_index.build_signature(packed(t), f8), {"": building}),
        rounding(histogram.histogram, histogram.signature(f8, packed), counting),
        rounding(indexed.pairs, indexed.pairs_signature(f8), indexing),
        rounding(indexed.top, indexed.top_signature(f8), indexing),
        kernel(matrix.matrix, lambda t: matrix.signature(t, packed)),
        kernel(
            pack_all,
            lambda t: types.void(side(t, columns), group(i8, i8), packed(t)),
            {"": {**shared, "pack_tile": pack_tile}},
        ),
        rounding(dense.pairs, dense.pairs_signature(f8, packed)),
        rounding(dense.top, dense.top_signature(f8, packed)),
    )


def _of_beta(t, signature):
    """Return a signature with another type of beta, the first argument."""
    return signature._replace(takes=(t, *signature.takes[1:]))
