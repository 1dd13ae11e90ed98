"""The names of the metrics, and of the dtypes of coordinates."""

from __future__ import annotations

from fastbox.kernels import metrics

__all__ = ["DTYPES", "METRICS", "ROTATED_METRICS", "USUAL"]

METRICS = tuple(metrics.METRICS)
ROTATED_METRICS = tuple(metrics.ROTATED_METRICS)
USUAL = ("iou", "giou", "l1", "smooth_l1")  # metrics that are used unless others are asked for
DTYPES = ("float32", "float64")
