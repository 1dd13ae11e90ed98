"""The box functions of :mod:`supervision`: ``from fastbox.compat import supervision as sv``.

Names, arguments, dtypes and results are those of supervision 0.31: IoUs are computed in float64 and rounded to float32,
and ties of scores have supervision's order. Different on purpose: an invalid box (a corner that is not finite, or
inverted) gives nan instead of a number, is never kept and joins no other box. supervision itself is not needed, and its
``OverlapMetric`` is taken as well as the one of this package.
"""

from fastbox.compat.supervision.metric import OverlapMetric
from fastbox.compat.supervision.overlap import box_iou, box_iou_batch, box_iou_batch_with_jaccard
from fastbox.compat.supervision.suppression import (
    box_non_max_merge,
    box_non_max_suppression,
    box_soft_non_max_suppression,
)

__all__ = [
    "OverlapMetric",
    "box_iou",
    "box_iou_batch",
    "box_iou_batch_with_jaccard",
    "box_non_max_merge",
    "box_non_max_suppression",
    "box_soft_non_max_suppression",
]
