"""The mean average precision of :mod:`torchmetrics`: ``from fastbox.compat.torchmetrics import MeanAveragePrecision``.

The import path of torchmetrics works too: ``from fastbox.compat.torchmetrics.detection import MeanAveragePrecision``.
"""

from fastbox.compat.torchmetrics import detection
from fastbox.compat.torchmetrics.detection import MeanAveragePrecision

__all__ = ["MeanAveragePrecision", "detection"]
