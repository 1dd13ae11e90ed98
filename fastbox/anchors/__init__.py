"""Anchors on a regular grid: the anchors that detectors use, to the bit, and in memory only when asked for."""

from __future__ import annotations

from fastbox.anchors.grid import AnchorGrid
from fastbox.anchors.layout import Level
from fastbox.anchors.presets import PRESETS

__all__ = ["PRESETS", "AnchorGrid", "Level"]
