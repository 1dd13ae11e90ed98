"""The kernels of evaluation of quadrilaterals, and of rectangles and plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.evaluate.geometry import kernels_of
from fastbox.kernels.geometry.quads import box_at, intersection

MATCH, MATCH_ANY, CLASSIFY_ERRORS = kernels_of(box_at, intersection, 8, __name__)
