"""COCO's sizes of boxes: small, medium and large."""

from __future__ import annotations

__all__ = ["AREA_BOUNDS", "SIDE_BOUNDS", "SIZES", "UNBOUNDED"]

SIZES = ("small", "medium", "large")
SIDE_BOUNDS = (32.0, 96.0)  # pixels: the square roots of the areas from which on boxes are medium, and large
AREA_BOUNDS = (32.0**2, 96.0**2)  # square pixels
UNBOUNDED = 1e5**2  # square pixels: the greatest area of large boxes
