"""The IoUs of the detections and truths of each image and class, as ``COCOeval.ious`` of pycocotools has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.groups import groups_of_rows

if TYPE_CHECKING:
    from fastbox.compat.torchmetrics.figures import Found, Wanted

__all__ = ["ious"]


def ious(
    found: Found, wanted: Wanted, classes: NDArray[Any] | None, limit: int
) -> dict[tuple[int, int], NDArray[np.float32] | list[Any]]:
    """Return IoUs by image and class: detections by descending score, at most `limit`, against truths; [] of nothing.

    Without classes all boxes are of class 0. IoUs are float64, rounded at the end; those with a crowd are shares of the
    detection.
    """
    labels = np.zeros(1, np.int64) if classes is None else classes
    own, its = (_groups(side, classes, len(labels)) for side in (found, wanted))
    rows = np.lexsort((-found.scores, own))
    columns = np.argsort(its, kind="stable")
    groups = np.arange((len(found.offsets) - 1) * len(labels) + 1)
    starts, truth_starts = np.searchsorted(own[rows], groups), np.searchsorted(its[columns], groups)
    result: dict[tuple[int, int], NDArray[np.float32] | list[Any]] = {}
    for group in groups[:-1].tolist():
        image, place = divmod(group, len(labels))
        some = rows[starts[group] : min(starts[group + 1], starts[group] + limit)]
        others = columns[truth_starts[group] : truth_starts[group + 1]]
        there = len(some) and len(others)
        key = image, int(labels[place])
        result[key] = _iou(found.boxes[some], wanted.boxes[others], wanted.crowd[others]) if there else []
    return result


def _groups(side: Found | Wanted, classes: NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """Return the number of the image and class of each box."""
    images = groups_of_rows(side.offsets) * count
    return images if classes is None else images + np.searchsorted(classes, side.labels)


def _iou(boxes: NDArray[np.float64], truths: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Compute IoUs as pycocotools does: areas are w times h, and a crowd is divided by the area of the detection."""
    ends, truth_ends = boxes[:, :2] + boxes[:, 2:], truths[:, :2] + truths[:, 2:]
    low, high = np.maximum(boxes[:, None, :2], truths[None, :, :2]), np.minimum(ends[:, None], truth_ends[None])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area, truth_area = boxes[:, 2:].prod(axis=1), truths[:, 2:].prod(axis=1)
    union = np.where(crowd, area[:, None], area[:, None] + truth_area - shared)
    found: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union != 0)
    return found.astype(np.float32)
