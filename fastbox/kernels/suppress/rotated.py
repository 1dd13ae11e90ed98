"""The kernels of suppression of rotated rectangles."""

from __future__ import annotations

from fastbox.kernels.compare.rotated import BOUND
from fastbox.kernels.geometry.rotated import FIELDS
from fastbox.kernels.suppress.geometry import kernels_of

__all__ = ["FIELDS", "PACK", "RESOLVE_ARRANGED", "RESOLVE_SEGMENTS"]

PACK, RESOLVE_ARRANGED, RESOLVE_SEGMENTS = kernels_of(BOUND["iou"], 5, __name__)
