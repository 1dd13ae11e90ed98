"""Overlaps of boxes, of two or of every box of one array with every box of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.boxes.container import Boxes
from fastbox.compat.supervision.metric import OverlapMetric, as_metric
from fastbox.ops.search import pairwise
from fastbox.values.flags import as_flags
from fastbox.values.formats import four_columns

__all__ = ["box_iou", "box_iou_batch", "box_iou_batch_with_jaccard"]


def box_iou(box_true: ArrayLike, box_detection: ArrayLike, overlap_metric: Any = OverlapMetric.IOU) -> float:
    """Compute the overlap of two boxes in float64.

    Parameters
    ----------
    box_true, box_detection : array of shape (4,)
        xyxy corners in pixels.
    overlap_metric : OverlapMetric or str
        ``"IOU"``, or ``"IOS"``, the intersection over the smaller area.

    Returns
    -------
    float
        From 0 to 1; nan if one of both boxes is invalid.

    Raises
    ------
    ValueError, TypeError
        Another shape, values that are not numbers, or an unknown measure.

    Examples
    --------
    >>> from fastbox.compat.supervision import box_iou
    >>> box_iou([100, 100, 200, 200], [150, 150, 250, 250], overlap_metric="IOS")
    0.25
    """
    metric = as_metric(overlap_metric)
    one, other = (_boxes([box], name) for box, name in ((box_true, "box_true"), (box_detection, "box_detection")))
    return float(np.asarray(pairwise(one, other, metric=metric))[0, 0])


def box_iou_batch(
    boxes_true: ArrayLike, boxes_detection: ArrayLike, overlap_metric: Any = OverlapMetric.IOU
) -> NDArray[np.float32]:
    """Compute the overlap of every box of an array with every box of another, in float64, rounded to float32.

    Parameters
    ----------
    boxes_true, boxes_detection : array of shape (n, 4) and (m, 4)
        xyxy corners in pixels.
    overlap_metric : OverlapMetric or str
        As for :func:`box_iou`.

    Returns
    -------
    array of float32, shape (n, m)
        From 0 to 1; nan for an invalid box.

    Raises
    ------
    ValueError, TypeError
        As :func:`box_iou`.

    Examples
    --------
    >>> from fastbox.compat.supervision import box_iou_batch
    >>> box_iou_batch([[100, 100, 200, 200], [300, 300, 400, 400]], [[320, 320, 420, 420]])
    array([[0.        ],
           [0.47058824]], dtype=float32)
    """
    metric = as_metric(overlap_metric)
    one, other = _boxes(boxes_true, "boxes_true"), _boxes(boxes_detection, "boxes_detection")
    return np.asarray(pairwise(one, other, metric=metric)).astype(np.float32)


def box_iou_batch_with_jaccard(
    boxes_true: ArrayLike, boxes_detection: ArrayLike, is_crowd: Sequence[bool]
) -> NDArray[np.float64]:
    """Compute the IoU of every detection with every truth, by COCO's rule for crowds.

    A crowd is divided by the area of the detection. supervision adds 2.2e-16 to denominators, fastbox nothing.

    Parameters
    ----------
    boxes_true, boxes_detection : array of shape (m, 4) and (n, 4)
        x, y, width and height in pixels.
    is_crowd : array of shape (m,)
        Flags of truths that are regions with many objects.

    Returns
    -------
    array of float64, shape (n, m)
        A row for each detection; nan for an invalid box.

    Raises
    ------
    ValueError, TypeError
        As :func:`box_iou`; another number of flags than of truths.

    Examples
    --------
    >>> from fastbox.compat.supervision import box_iou_batch_with_jaccard
    >>> box_iou_batch_with_jaccard([[0, 0, 10, 10], [0, 0, 10, 10]], [[0, 0, 5, 10]], [False, True])
    array([[0.5, 1. ]])
    """
    truths, found = _boxes(boxes_true, "boxes_true", "xywh"), _boxes(boxes_detection, "boxes_detection", "xywh")
    crowd = as_flags(is_crowd, "is_crowd", len(truths))
    values = np.asarray(pairwise(found, truths))
    if crowd.any():
        values[:, crowd] = pairwise(found, truths[crowd], metric="iof")
    return values


def _boxes(values: Any, name: str, format: str = "xyxy") -> Boxes:
    """Read boxes in float64; nothing in them is warned of."""
    return Boxes.of(four_columns(np.asarray(values), name), format).astype(np.float64)
