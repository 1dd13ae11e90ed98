"""The kernels that compare boxes, bound to a geometry: their traversals and reductions are those of plain boxes."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.stack import stack_tile
from fastbox.kernels.build.types import f8, group, i8, side, vector
from fastbox.kernels.compare import cell_index, dense, histogram, indexed, matrix
from fastbox.kernels.compare.measure import BLOCK, whole_vectors, with_loops
from fastbox.kernels.compare.rotated_measure import ROWS, VALUES
from fastbox.kernels.geometry.rotated import box_at, pack
from fastbox.kernels.geometry.rotated_metrics import iou as value

Kernels = namedtuple("Kernels", "aligned build histogram indexed_pairs indexed_top matrix pairs top")


def aligned(beta, a, b, span, out):
    """Write the values of the rows of a span."""
    first, last = span
    like = np.empty(0, np.float64)
    tile_a, tile_b = stack_tile(like, VALUES, BLOCK), stack_tile(like, ROWS, BLOCK)
    for s in range(first, last, BLOCK):
        n = min(BLOCK, last - s)
        pack(a, s, s + n, True, tile_a)
        pack(b, s, s + n, True, tile_b)
        for j in range(whole_vectors(n)):
            k = np.uint64(j)
            tile_b[VALUES, k] = value(box_at(tile_a, k), box_at(tile_b, k), beta)
        for j in range(n):
            out[np.uint64(s + j)] = tile_b[VALUES, np.uint64(j)]


def kernels_of(bound, columns, module):
    """Return the kernels of a geometry.

    Parameters
    ----------
    bound
        The names that kernels are bound to, by metric.
    columns
        The number of columns of a collection of boxes.
    module
        The name of the module that keeps the kernels.
    """
    fields = {"FIELDS": next(iter(bound.values()))["FIELDS"]}
    gather = inlined(rebound(cell_index.gather, fields, str(columns)))
    indexing = {name: {**names, "gather": gather} for name, names in bound.items()}
    building = {"": {**fields, "pack": next(iter(bound.values()))["pack"]}}

    def boxes(t):
        return side(t, columns)

    def kernel(function, signature, names=bound):
        return Kernel(function, signature, names, module)

    return Kernels(
        kernel(aligned, lambda t: types.void(t, boxes(t), boxes(t), group(i8, i8), vector(t))),
        kernel(cell_index.build, lambda t: cell_index.build_signature(boxes(t), f8), building),
        kernel(
            histogram.histogram,
            lambda t: histogram.signature(t, boxes),
            with_loops(bound, histogram.keep_overlaps),
        ),
        kernel(indexed.pairs, lambda t: indexed.pairs_signature(t, f8), indexing),
        kernel(indexed.top, lambda t: indexed.top_signature(t, f8), indexing),
        kernel(matrix.matrix, lambda t: matrix.signature(t, boxes)),
        kernel(dense.pairs, lambda t: dense.pairs_signature(t, boxes)),
        kernel(dense.top, lambda t: dense.top_signature(t, boxes)),
    )
