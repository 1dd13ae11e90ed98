"""The kernels that compare quadrilaterals, and rectangles and plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.compare.geometry import kernels_of
from fastbox.kernels.compare.rotated_measure import bound_to_geometry
from fastbox.kernels.geometry.quads import DUST, FIELDS, box_at, pack
from fastbox.kernels.geometry.rotated_metrics import OF_QUADS, OF_QUADS_IN_LOOPS

BOUND = bound_to_geometry(box_at, FIELDS, OF_QUADS, OF_QUADS_IN_LOOPS, DUST)

ALIGNED, BUILD, HISTOGRAM, INDEXED_PAIRS, INDEXED_TOP, MATRIX, PACK, PAIRS, TOP = kernels_of(BOUND, pack, 8, __name__)
