"""Anchors on a regular grid: the anchors that detectors use, equal in every bit, and in memory only if requested."""

from __future__ import annotations

from fastbox.anchors.grid import AnchorGrid
from fastbox.anchors.layout import Level
from fastbox.anchors.points import POINT_PRESETS, PointGrid, PointLevel
from fastbox.anchors.presets import PRESETS

__all__ = ["POINT_PRESETS", "PRESETS", "AnchorGrid", "Level", "PointGrid", "PointLevel"]
