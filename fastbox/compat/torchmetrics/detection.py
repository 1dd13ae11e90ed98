"""The metric of :mod:`torchmetrics.detection` that fastbox computes."""

from fastbox.compat.torchmetrics.mean_ap import MeanAveragePrecision

__all__ = ["MeanAveragePrecision"]
