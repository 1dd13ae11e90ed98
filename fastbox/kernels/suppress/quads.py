"""The kernels of suppression of quadrilaterals."""

from __future__ import annotations

from fastbox.kernels.geometry.quads import FIELDS, box_at, pack
from fastbox.kernels.geometry.rotated_metrics import OF_QUADS
from fastbox.kernels.suppress.geometry import kernels_of

__all__ = ["FIELDS", "PACK", "RESOLVE_ARRANGED", "RESOLVE_SEGMENTS"]

PACK, RESOLVE_ARRANGED, RESOLVE_SEGMENTS = kernels_of(pack, box_at, FIELDS, OF_QUADS["iou"], 8, __name__)
