"""Anchors on a regular grid: what the detectors use, to the bit, and materialised only when asked for."""

from __future__ import annotations

from fastbox.anchors.grid import AnchorGrid, Level
from fastbox.anchors.presets import PRESETS

__all__ = ["PRESETS", "AnchorGrid", "Level"]
