"""The kernels that compare rotated rectangles, and plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.compare.geometry import kernels_of
from fastbox.kernels.compare.rotated_measure import bound_to_geometry
from fastbox.kernels.geometry.rotated import FIELDS, box_at, pack
from fastbox.kernels.geometry.rotated_metrics import FORMULAS

BOUND = bound_to_geometry(box_at, FIELDS, FORMULAS)

ALIGNED, BUILD, HISTOGRAM, INDEXED_PAIRS, INDEXED_TOP, MATRIX, PACK, PAIRS, TOP = kernels_of(BOUND, pack, 5, __name__)
