"""The kernels of suppression of rotated rectangles."""

from __future__ import annotations

from fastbox.kernels.geometry.rotated import FIELDS, box_at, pack
from fastbox.kernels.geometry.rotated_metrics import FORMULAS
from fastbox.kernels.suppress.geometry import kernels_of

__all__ = ["FIELDS", "PACK", "RESOLVE_ARRANGED", "RESOLVE_SEGMENTS"]

PACK, RESOLVE_ARRANGED, RESOLVE_SEGMENTS = kernels_of(pack, box_at, FIELDS, FORMULAS["iou"], 5, __name__)
