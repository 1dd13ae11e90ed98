"""The metrics that compare two boxes: their names, their ranges, and those that are distances."""

from __future__ import annotations

__all__ = ["DISTANCES", "LEAST", "METRICS", "RANGES", "ZERO_APART"]

METRICS = ("iou", "iof", "ios", "giou", "diou", "ciou", "eiou", "l1", "smooth_l1")
DISTANCES = ("l1", "smooth_l1")
ZERO_APART = ("iou", "iof", "ios")  # 0 wherever boxes don't overlap; the others tell how far apart they are
LEAST = {"giou": 2.0**-10}  # what a threshold must be for only boxes that overlap to reach it, if not 0
RANGES = {"iou": (0.0, 1.0), "iof": (0.0, 1.0), "ios": (0.0, 1.0), "giou": (-1.0, 1.0), "diou": (-1.0, 1.0)}
