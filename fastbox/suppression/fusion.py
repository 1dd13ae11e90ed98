"""Weighted boxes fusion: the boxes of several detectors as one set, per image and class."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.kernels.codes import CONFIDENCES
from fastbox.suppression.segments import as_scores, as_threshold, image_bounds, kept_rows, order, segments
from fastbox.values.labels import as_labels
from fastbox.values.numbers import as_array, as_choice, as_column, as_floats, as_number

__all__ = ["CONFIDENCES", "FusedBoxes", "weighted_boxes_fusion"]

THEIRS = {"boxes_list", "scores_list", "labels_list", "iou_thr", "skip_box_thr"}  # arguments of ensemble_boxes
MODELS = 1 << 16  # so many are no numbers of detectors but names

Fusion = Callable[..., "FusedBoxes"]


class FusedBoxes(NamedTuple):
    """Fused boxes, by image, then by descending score.

    ``boxes`` are corners of shape (m, 4), ``classes`` None where none were given; those of image g are
    ``offsets[g]:offsets[g + 1]``, and ``rows`` has for each the input's best box that it is made of.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    classes: NDArray[Any] | None
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]


def _of_one_array(fusion: Fusion) -> Fusion:
    """Refuse a call in the manner of ``ensemble_boxes``, a list of boxes for each detector, and say what to call."""

    @functools.wraps(fusion)
    def checked(*given: Any, **options: Any) -> FusedBoxes:
        if len(given) > 2 or THEIRS & set(options) or _nested(given[0] if given else options.get("boxes")):
            raise TypeError(
                "expected the boxes of all detectors in one array, in pixels, and options by their names, got a call "
                "in the manner of ensemble_boxes: join the lists, weighted_boxes_fusion("
                'Boxes(np.concatenate(boxes_list), "rel_xyxy", size=(width, height)), np.concatenate(scores_list), '
                "classes=np.concatenate(labels_list), "
                "models=np.repeat(np.arange(len(boxes_list)), [len(boxes) for boxes in boxes_list]), "
                "weights=weights, iou_threshold=iou_thr, skip_box_threshold=skip_box_thr)"
            )
        return fusion(*given, **options)

    return checked


def _nested(boxes: Any) -> bool:
    """Whether these are lists of lists of boxes, or of arrays of boxes."""
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
    """Fuse the boxes of several detectors: each cluster of overlapping ones becomes their mean, weighted by score.

    Solovyev et al., Weighted boxes fusion, Image and Vision Computing 2021. From the highest weighted score down, a box
    joins the cluster whose mean has the highest IoU with it above the threshold, or begins one. The result is that of
    the authors' ``ensemble_boxes``, in absolute coordinates and in float64 throughout, the IoU and the threshold too,
    with ties in the order of rows.
    Invalid boxes, those without an area and scores that are not finite are left out. Each box is compared with the
    clusters of its image and class, so the work grows with the square of what is in one.

    Parameters
    ----------
    boxes, scores, classes
        As for :func:`nms`: the detectors' boxes one after the other, or, grouped, image by image.
    models : array of shape (n,), optional
        Which detector each box is from, counted from 0; all from one when left out.
    weights : array of shape (m,), optional
        How far each detector is trusted, above 0; 1 when left out. Their number is that of the detectors: give them
        where the last of these found nothing.
    iou_threshold : float
        From 0 to 1.
    skip_box_threshold : float
        Boxes of lower score are left out; at least 0.
    conf_type : str
        The score of a cluster. ``"avg"``: the mean, scaled by how many boxes it has of as many as there are detectors.
        ``"max"``: the highest. ``"box_and_model_avg"``, ``"absent_model_aware_avg"``: means that count the weights of
        the detectors that are in the cluster, or not.
    allows_overflow : bool
        Let the scale of ``"avg"`` exceed 1, where a detector has several boxes in a cluster.

    Returns
    -------
    FusedBoxes

    Raises
    ------
    ValueError, TypeError
        As :func:`nms`, for an unknown conf_type, and for models, weights or a threshold that can't be.

    Examples
    --------
    >>> import fastbox.suppression.fusion
    >>> fused = fastbox.suppression.fusion.weighted_boxes_fusion(
    ...     [[0, 0, 4, 4], [1, 0, 4, 4], [8, 8, 9, 9]], [0.75, 0.25, 0.5], models=[0, 1, 1]
    ... )
    >>> fused.boxes
    array([[0.25, 0.  , 4.  , 4.  ],
           [8.  , 8.  , 9.  , 9.  ]])
    >>> fused.scores, fused.rows
    (array([0.5 , 0.25]), array([0, 2]))
    """
    as_choice(conf_type, CONFIDENCES, "a conf_type")
    if not as_number(skip_box_threshold, "skip_box_threshold") >= 0:
        raise ValueError(f"expected a skip_box_threshold of at least 0, got {skip_box_threshold!r}")
    boxes, threshold = as_boxes(boxes), as_threshold(iou_threshold)
    start, (model, trust) = as_scores(scores, len(boxes)), _models(models, weights, len(boxes))
    rows, bounds = segments(boxes, classes)
    with np.errstate(invalid="ignore", over="ignore"):
        usable = (start >= skip_box_threshold) & (start < np.inf) & (boxes.invalid() == 0) & _have_area(boxes)
    start = np.where(usable, start, -1.0) * np.where(usable, trust[model], 1.0)
    order(start, rows, bounds)
    left, corners = np.full(len(boxes), np.nan), np.empty((len(boxes), 4), boxes.dtype)
    rule = threshold, CONFIDENCES.index(conf_type), bool(allows_overflow)
    common = (boxes.kernel_args(), start, model), trust, (rows, bounds), rule
    kernel = parallel.kernels("suppress.fusion").FUSE[boxes.dtype, ""]
    sizes = np.diff(bounds)
    pieces = parallel.cut(sizes * (sizes + parallel.ROW_COST))
    parallel.run(lambda *span: kernel(*common, span, (corners, left)), pieces)
    found, fused = kept_rows(boxes, left)
    offsets = np.concatenate(([0], np.cumsum(left == left)))[image_bounds(boxes)]
    labels = None if classes is None else as_labels(classes, "classes")[found]
    dtype = as_floats(scores, "scores").dtype
    return FusedBoxes(corners[found], fused.astype(dtype, copy=False), labels, offsets, found)


def _models(models: Any, weights: Any, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The detector of each box, and the weight of each detector."""
    model = np.zeros(n, np.int64) if models is None else as_column(as_array(models, "models"), "models", n)
    if n and model.dtype.kind not in "iu":
        raise TypeError(f"expected models counted from 0, got dtype {model.dtype}")
    if n and model.min() < 0:
        raise ValueError(f"expected models counted from 0, got {model.min()}")
    count = int(model.max(initial=0)) + 1
    if count > MODELS:
        came = f"{count - 1} at row {int(model.argmax())}"
        raise ValueError(
            f"expected models counted from 0, got {came}: number them, models=np.unique(models, return_inverse=True)[1]"
        )
    trust = np.ones(count) if weights is None else np.array(as_floats(weights, "weights"), np.float64)
    if trust.ndim != 1 or len(trust) < count:
        raise ValueError(f"expected a weight for each of {count} models, got shape {trust.shape}")
    if not (np.isfinite(trust) & (trust > 0)).all():
        raise ValueError(f"expected weights above 0, got {trust.tolist()}")
    # Only their ratios matter: in units of a power of two, which is exact, no sum of them overflows.
    return model.astype(np.int64), np.ldexp(trust, -int(np.frexp(trust.max())[1]))


def _have_area(boxes: Boxes) -> Any:
    corners = boxes.corners()
    return (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
