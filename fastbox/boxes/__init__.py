"""Boxes: coordinates, a format and image offsets."""
