"""The kernels of suppression of rotated rectangles."""

from __future__ import annotations

from fastbox.kernels.compare.rotated import BOUND
from fastbox.kernels.suppress.geometry import kernels_of

RESOLVE_ARRANGED, RESOLVE_SEGMENTS = kernels_of(BOUND["iou"], __name__)
