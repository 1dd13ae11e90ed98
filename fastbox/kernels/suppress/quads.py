"""The kernels of suppression of quadrilaterals."""

from __future__ import annotations

from fastbox.kernels.compare.quads import BOUND
from fastbox.kernels.geometry.quads import FIELDS
from fastbox.kernels.suppress.geometry import kernels_of

__all__ = ["FIELDS", "PACK", "RESOLVE_ARRANGED", "RESOLVE_SEGMENTS"]

PACK, RESOLVE_ARRANGED, RESOLVE_SEGMENTS = kernels_of(BOUND["iou"], 8, __name__)
