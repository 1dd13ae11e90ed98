"""The names of the metrics."""

from __future__ import annotations

from fastbox.kernels import metrics

__all__ = ["METRICS"]

METRICS = tuple(metrics.METRICS)
