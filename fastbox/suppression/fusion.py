"""Weighted boxes fusion: one set of boxes from those of several detectors, per image and class."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.kernels.codes import CONFIDENCES
from fastbox.suppression.segments import as_scores, as_threshold, image_bounds, kept_rows, order, segments
from fastbox.values.flags import as_flag
from fastbox.values.labels import as_labels
from fastbox.values.numbers import as_array, as_choice, as_column, as_floats, as_number_from
from fastbox.values.record_text import record_text

__all__ = ["CONFIDENCES", "FusedBoxes", "weighted_boxes_fusion"]

THEIRS = {"boxes_list", "scores_list", "labels_list", "iou_thr", "skip_box_thr"}  # the arguments of ensemble_boxes
MODELS = 1 << 16  # models from this number on are taken for names, not for numbers of detectors

Fusion = Callable[..., "FusedBoxes"]


class FusedBoxes(NamedTuple):
    """Fused boxes, by image, then by descending score.

    ``boxes`` are corners of shape (m, 4). ``classes`` is None where no classes were given. The boxes of image g are
    ``offsets[g]:offsets[g + 1]``. ``rows`` has for each fused box the row of the input box with the highest weighted
    score in its cluster.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    classes: NDArray[Any] | None
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __repr__(self) -> str:
        return record_text(self)


def _of_one_array(fusion: Fusion) -> Fusion:
    """Refuse a call with the arguments of ``ensemble_boxes``, a list of boxes for each detector."""

    @functools.wraps(fusion)
    def checked(*given: Any, **options: Any) -> FusedBoxes:
        if len(given) > 2 or THEIRS & set(options) or _nested(given[0] if given else options.get("boxes")):
            raise TypeError(
                "expected the boxes of all detectors in one array, in pixels, and options by their names, got the "
                "arguments of ensemble_boxes: join the lists, weighted_boxes_fusion("
                'Boxes(np.concatenate(boxes_list), "rel_xyxy", size=(width, height)), np.concatenate(scores_list), '
                "classes=np.concatenate(labels_list), "
                "models=np.repeat(np.arange(len(boxes_list)), [len(boxes) for boxes in boxes_list]), "
                "weights=weights, iou_threshold=iou_thr, skip_box_threshold=skip_box_thr)"
            )
        return fusion(*given, **options)

    return checked


def _nested(boxes: Any) -> bool:
    """Tell whether boxes are given as a list of lists of boxes, or of arrays of boxes."""
    if not isinstance(boxes, list | tuple) or not boxes:
        return False
    first: Any = next((one for one in boxes if len(one)), ()) if all(hasattr(one, "__len__") for one in boxes) else ()
    return np.ndim(first) == 2 if isinstance(first, np.ndarray) else bool(len(first)) and isinstance(first[0], Sequence)


@_of_one_array
def weighted_boxes_fusion(
    boxes: Any,
    scores: Any,
    *,
    classes: Any = None,
    models: Any = None,
    weights: Any = None,
    iou_threshold: float = 0.55,
    skip_box_threshold: float = 0.0,
    conf_type: str = "avg",
    allows_overflow: bool = False,
) -> FusedBoxes:
    """Fuse the boxes of several detectors: each cluster of overlapping boxes becomes its mean, weighted by score.

    Solovyev et al., Weighted boxes fusion, Image and Vision Computing 2021. From the highest weighted score down, a box
    joins the cluster whose mean has the highest IoU with it, if the IoU is above the threshold, or begins a new
    cluster. The result is that of the authors' ``ensemble_boxes``, but in absolute coordinates, with IoU and threshold
    in float64, and with ties in the order of rows. Invalid boxes, boxes without an area and scores that are not finite
    are left out. Each box is compared with the clusters of its image and class, so the work grows with the square of
    the boxes of an image and class.

    Parameters
    ----------
    boxes, scores, classes
        As for :func:`nms`: the boxes of one detector after the other, or, grouped, image by image.
    models : array of shape (n,), optional
        The detector of each box, counted from 0; by default all boxes are from one detector.
    weights : array of shape (m,), optional
        The weight of each detector, above 0; by default 1. The number of weights is the number of detectors: give
        weights where the last detectors found nothing.
    iou_threshold : float
        The IoU above which (IoU > threshold) a box joins a cluster, from 0 to 1.
    skip_box_threshold : float
        Boxes of a lower score are left out; at least 0.
    conf_type : str
        The score of a cluster. ``"avg"``: the mean score, times the boxes in the cluster over the number of detectors.
        ``"max"``: the highest score. ``"box_and_model_avg"``, ``"absent_model_aware_avg"``: means that count the
        weights of the detectors in the cluster, or of those that are absent.
    allows_overflow : bool
        Let the factor of ``"avg"`` exceed 1 where a detector has several boxes in a cluster.

    Returns
    -------
    FusedBoxes

    Raises
    ------
    ValueError, TypeError
        As :func:`nms`; an unknown conf_type, models that are not numbers from 0 on, weights that are not above 0, or a
        negative skip_box_threshold.

    Examples
    --------
    >>> import fastbox
    >>> fused = fastbox.weighted_boxes_fusion(
    ...     [[0, 0, 4, 4], [1, 0, 4, 4], [8, 8, 9, 9]], [0.75, 0.25, 0.5], models=[0, 1, 1]
    ... )
    >>> fused.boxes
    array([[0.25, 0.  , 4.  , 4.  ],
           [8.  , 8.  , 9.  , 9.  ]])
    >>> fused.scores, fused.rows
    (array([0.5 , 0.25]), array([0, 2]))
    """
    as_choice(conf_type, CONFIDENCES, "a conf_type")
    skip_box_threshold = as_number_from(skip_box_threshold, "skip_box_threshold", 0)
    boxes, threshold = as_boxes(boxes), as_threshold(iou_threshold)
    start, (model, trust) = as_scores(scores, len(boxes)), _models(models, weights, len(boxes))
    rows, bounds = segments(boxes, classes)
    with np.errstate(invalid="ignore", over="ignore"):
        usable = (start >= skip_box_threshold) & (start < np.inf) & (boxes.invalid() == 0) & _have_area(boxes)
    start = np.where(usable, start, -1.0) * np.where(usable, trust[model], 1.0)
    order(start, rows, bounds)
    left, corners = np.full(len(boxes), np.nan), np.empty((len(boxes), 4), boxes.dtype)
    rule = threshold, CONFIDENCES.index(conf_type), as_flag(allows_overflow, "allows_overflow")
    common = (boxes.kernel_args(), start, model), trust, (rows, bounds), rule
    sizes = np.diff(bounds)
    if spans := parallel.cut(sizes * (sizes + parallel.ROW_COST)):
        kernel = parallel.kernels("suppress.fusion").FUSE[boxes.dtype, ""]
        parallel.run(lambda *span: kernel(*common, span, (corners, left)), spans)
    found, fused = kept_rows(boxes, left)
    offsets = np.concatenate(([0], np.cumsum(left == left)))[image_bounds(boxes)]
    labels = None if classes is None else as_labels(classes, "classes")[found]
    dtype = as_floats(scores, "scores").dtype
    return FusedBoxes(corners[found], fused.astype(dtype, copy=False), labels, offsets, found)


def _models(models: Any, weights: Any, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the detector of each box, and the weight of each detector."""
    model = np.zeros(n, np.int64) if models is None else as_column(as_array(models, "models"), "models", n)
    how = "number them, models=np.unique(models, return_inverse=True)[1]"
    if n and model.dtype.kind not in "iu":
        raise TypeError(f"expected models counted from 0, got dtype {model.dtype}: {how}")
    wrong = np.flatnonzero((model < 0) | (model >= MODELS))
    if len(wrong):
        raise ValueError(f"expected models counted from 0, got {model[wrong[0]]} at row {wrong[0]}: {how}")
    count = int(model.max(initial=0)) + 1
    trust = np.ones(count) if weights is None else np.array(as_floats(weights, "weights"), np.float64)
    if trust.ndim != 1 or len(trust) < count:
        raise ValueError(f"expected a weight for each of {count} models, got shape {trust.shape}")
    if not (np.isfinite(trust) & (trust > 0)).all():
        raise ValueError(f"expected weights above 0, got {trust.tolist()}")
    # Only the ratios of weights matter. Weights divided by a power of two are exact, and no sum of them overflows.
    return model.astype(np.int64), np.ldexp(trust, -int(np.frexp(trust.max())[1]))


def _have_area(boxes: Boxes) -> Any:
    corners = boxes.corners()
    return (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
