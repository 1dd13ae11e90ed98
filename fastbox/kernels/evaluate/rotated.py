"""The kernels of evaluation of rotated rectangles, and of plain boxes beside them."""

from __future__ import annotations

from fastbox.kernels.evaluate.geometry import kernels_of
from fastbox.kernels.geometry.rotated import box_at, intersection

MATCH, MATCH_ANY, CLASSIFY_ERRORS = kernels_of(box_at, intersection, 5, __name__)
