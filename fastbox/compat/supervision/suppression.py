"""Suppression and merging of detections, with the order of ties and the rounding of supervision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox._record import NamedTuple
from fastbox.boxes.container import Boxes, grouped
from fastbox.compat.supervision.metric import OverlapMetric, as_metric
from fastbox.compat.supervision.rounding import above, from_on
from fastbox.ops.search import pairs
from fastbox.values.numbers import as_floats, as_number, as_number_from

__all__ = ["box_non_max_merge", "box_non_max_suppression", "box_soft_non_max_suppression"]


def box_non_max_suppression(
    predictions: ArrayLike, iou_threshold: float = 0.5, overlap_metric: Any = OverlapMetric.IOU
) -> NDArray[np.bool_]:
    """Find the detections that non-maximum suppression keeps.

    Parameters
    ----------
    predictions : array of shape (n, 5) or (n, 6)
        xyxy corners, score, and optionally a class; only detections of one class are compared.
    iou_threshold : float
        The overlap, rounded to float32, above which a detection is suppressed, from 0 to 1.
    overlap_metric : OverlapMetric or str
        ``"IOU"`` or ``"IOS"``.

    Returns
    -------
    array of bool, shape (n,)
        False too for an invalid box, which supervision keeps.

    Raises
    ------
    ValueError, TypeError
        Another shape, values that are not numbers, a threshold outside [0, 1], or an unknown measure.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbox.compat.supervision import box_non_max_suppression
    >>> box_non_max_suppression(np.array([[0, 0, 4, 4, 0.9], [0, 0, 4, 3, 0.8], [8, 8, 9, 9, 0.7]]))
    array([ True, False,  True])
    """
    metric, least = as_metric(overlap_metric), above(as_number_from(iou_threshold, "iou_threshold", 0, 1))
    given = _read(predictions)
    rows = np.flip(np.argsort(given.scores))
    if given.classes is not None:
        rows = rows[np.argsort(given.classes[rows], kind="stable")]
    links = _links(given, rows, metric, least)
    kept = given.boxes[rows].invalid() == 0
    for row in links.rows:
        if kept[row]:
            kept[links.of(row)] = False
    found = np.zeros(len(rows), np.bool_)
    found[rows[kept]] = True
    return found


def box_soft_non_max_suppression(
    predictions: ArrayLike, sigma: float = 0.5, overlap_metric: Any = OverlapMetric.IOU
) -> NDArray[Any]:
    """Lower the score of each detection by its overlaps with those of higher scores.

    The factor of each is exp(-overlap² / sigma), also of detections whose own scores are lowered; the detections are
    not ranked again in between, as :func:`fastbox.soft_nms` does (Bodla et al., ICCV 2017).

    Parameters
    ----------
    predictions, overlap_metric
        As for :func:`box_non_max_suppression`.
    sigma : float
        Above 0.

    Returns
    -------
    array of shape (n,)
        The scores in the order of the detections, float64 without classes, else of their dtype. An invalid box keeps
        its score and lowers no other; supervision gives it a number or nan.

    Raises
    ------
    ValueError, TypeError
        As :func:`box_non_max_suppression`; a sigma that is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbox.compat.supervision import box_soft_non_max_suppression
    >>> box_soft_non_max_suppression(np.array([[0, 0, 4, 4, 0.9, 0], [0, 0, 4, 4, 0.8, 0]]), sigma=0.5)
    array([0.9       , 0.10826823])
    """
    metric = as_metric(overlap_metric)
    if not as_number(sigma, "sigma") > 0:
        raise ValueError(f"expected a sigma above 0, got {sigma!r}")
    given = _read(predictions)
    rows = np.flip(np.argsort(given.scores))
    if given.classes is not None:
        rows = rows[np.argsort(given.classes[rows], kind="stable")]
    links = _links(given, rows, metric, float(np.nextafter(0, 1)))
    decay = np.zeros(len(rows), np.float32)
    np.add.at(decay, links.cols, links.values.astype(np.float32) ** 2)  # one after the other, as supervision adds
    scores = given.scores if given.classes is not None else given.scores.astype(np.float64)
    lowered = np.empty_like(scores)
    lowered[rows] = scores[rows] * np.exp(-decay / sigma)
    return lowered


def box_non_max_merge(
    predictions: ArrayLike, iou_threshold: float = 0.5, overlap_metric: Any = OverlapMetric.IOU
) -> list[list[int]]:
    """Group each detection with those of lower scores that overlap it, from the highest score down.

    Parameters
    ----------
    predictions, overlap_metric
        As for :func:`box_non_max_suppression`.
    iou_threshold : float
        The overlap from which on a detection joins a group, from 0 to 1; both are rounded to float32.

    Returns
    -------
    list of lists of int
        Rows of the detections of each group, by class and by the highest score of the group. An invalid box is a group
        of its own.

    Raises
    ------
    ValueError, TypeError
        As :func:`box_non_max_suppression`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbox.compat.supervision import box_non_max_merge
    >>> box_non_max_merge(np.array([[0, 0, 4, 4, 0.8], [0, 0, 4, 3, 0.9], [8, 8, 9, 9, 0.7]]))
    [[1, 0], [2]]
    """
    metric, least = as_metric(overlap_metric), from_on(as_number_from(iou_threshold, "iou_threshold", 0, 1))
    given = _read(predictions)
    rows = np.flip(np.argsort(given.scores))
    if given.classes is not None:  # supervision sorts the scores of each class, in which ties have another order
        apart = (np.flatnonzero(given.classes == one) for one in np.unique(given.classes))
        rows = np.concatenate([np.zeros(0, np.int64), *(own[np.flip(np.argsort(given.scores[own]))] for own in apart)])
    links = _links(given, rows, metric, least)
    left, merged = np.ones(len(rows), np.bool_), []
    for row in range(len(rows)):
        if left[row]:
            others = links.of(row)
            joined = others[left[others]]
            left[joined] = False
            merged.append([int(rows[row]), *rows[joined].tolist()])
    return merged


class Given(NamedTuple):
    """Detections as boxes in float64, scores, and classes if there are any."""

    boxes: Boxes
    scores: NDArray[Any]
    classes: NDArray[Any] | None


class Links(NamedTuple):
    """Pairs of detections that overlap, by row: the places of both in descending order of scores, and the overlap."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: NDArray[np.float64]
    first: NDArray[np.int64]

    def of(self, row: int) -> NDArray[np.int64]:
        """Return the places of the detections of lower scores that overlap one."""
        return self.cols[self.first[row] : self.first[row + 1]]


def _read(predictions: ArrayLike) -> Given:
    table = as_floats(predictions, "predictions")
    if table.ndim != 2 or table.shape[1] not in (5, 6):
        raise ValueError(f"expected predictions of shape (n, 5) or (n, 6), corners, score and class, got {table.shape}")
    x0, y0, x1, y1 = table.T[:4].astype(np.float64)
    return Given(Boxes.of((x0, y0, x1, y1), "xyxy"), table[:, 4], table[:, 5] if table.shape[1] == 6 else None)


def _links(given: Given, rows: NDArray[np.int64], metric: str, least: float) -> Links:
    """Find the pairs within each class whose overlap is at least a number, with detections ordered by `rows`."""
    boxes = given.boxes[rows]
    if given.classes is not None:
        classes = given.classes[rows]
        boxes = grouped(boxes, np.concatenate(([0], np.cumsum(classes[1:] != classes[:-1])))[: len(rows)])
    found = pairs(boxes, threshold=least, metric=metric)
    return Links(*found, np.searchsorted(found.rows, np.arange(len(rows) + 1)))
