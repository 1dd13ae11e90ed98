"""Boxes: coordinates, a format and image offsets."""

from fastbox.boxes.container import FORMATS, Boxes

__all__ = ["FORMATS", "Boxes"]
