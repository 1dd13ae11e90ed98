"""One box for one object: non-maximum suppression, hard and soft, and weighted boxes fusion, per image and class."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import FORMATS, Boxes, as_boxes
from fastbox.values.arguments import named
from fastbox.values.labels import as_labels, codes_of
from fastbox.values.numbers import as_array, as_choice, as_floats, as_number

__all__ = ["CONFIDENCES", "METHODS", "Fused", "Softened", "nms", "segments", "soft_nms", "weighted_boxes_fusion"]

METHODS = ("linear", "gaussian")
THEIRS = {"boxes_list", "scores_list", "labels_list", "iou_thr", "skip_box_thr"}  # arguments of ensemble_boxes
CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")

MODELS = 1 << 16  # so many are no numbers of detectors but names
DENSE = 384  # boxes of a segment from which on a grid is faster than to look at all of them
PIECE = 4096  # boxes that make a thread worth waking


Fusion = Callable[..., "Fused"]


class Softened(NamedTuple):
    """The boxes kept, by image, then by descending score, and their scores."""

    indices: NDArray[np.int64]
    scores: NDArray[Any]


class Fused(NamedTuple):
    """Fused boxes, by image, then by descending score.

    ``boxes`` are corners of shape (m, 4), ``classes`` None where none were given; those of image g are
    ``offsets[g]:offsets[g + 1]``, and ``rows`` has for each the input's best box that it is made of.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    classes: NDArray[Any] | None
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]


@named
def nms(boxes: Any, scores: Any, *, iou_threshold: float, classes: Any = None) -> NDArray[np.int64]:
    """Find the boxes that greedy non-maximum suppression keeps.

    From the highest score down, the lowest row first at ties, a box is kept unless its IoU with one kept before it is
    above the threshold. The IoU is in the boxes' dtype, the threshold as it is given: 0.3 in float32 is above 0.3. Only
    boxes of one image meet, and with classes only those of one class. That is the rule of ``torchvision.ops.nms`` on
    CPUs; on GPUs it rounds the threshold too. The work grows with the boxes that overlap, not with all pairs.

    Parameters
    ----------
    boxes : Boxes or array of shape (n, 4)
        Arrays are xyxy corners in pixels. Grouped ones are suppressed image by image.
    scores : array of shape (n,)
        Confidences. A box whose score is nan is not kept, nor is an invalid box; neither suppresses any other.
    iou_threshold : float
        From 0 to 1.
    classes : array of shape (n,), optional
        Integers or strings, none missing.

    Returns
    -------
    array of int64
        Rows of the boxes kept: by image, then by descending score, the lower row first at ties.

    Raises
    ------
    ValueError
        A threshold outside [0, 1], or scores or classes that are not one for each box.
    TypeError
        Scores that are not numbers, classes that are neither integers nor strings.

    Examples
    --------
    >>> import fastbox.suppression.nms
    >>> boxes = [[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]]
    >>> fastbox.suppression.nms.nms(boxes, [0.5, 0.9, 0.7], iou_threshold=0.5)
    array([1, 2])
    >>> fastbox.suppression.nms.nms(boxes, [0.5, 0.9, 0.7], iou_threshold=0.5, classes=["cat", "dog", "cat"])
    array([1, 2, 0])
    """
    boxes = as_boxes(boxes)
    start = _scores(scores, len(boxes))
    how = _below(_threshold(iou_threshold), boxes.dtype), False, 1.0, 0.0
    return _kept(boxes, _suppressed(boxes, start, classes, "hard", how))[0]


@named
def soft_nms(
    boxes: Any,
    scores: Any,
    *,
    method: str = "linear",
    iou_threshold: float = 0.5,
    sigma: float = 0.5,
    score_threshold: float = 0.001,
    classes: Any = None,
) -> Softened:
    """Lower the scores of boxes that overlap better ones, instead of dropping them.

    Bodla et al., Soft-NMS, ICCV 2017: the box with the highest score is taken, the lowest row at ties, the scores of
    those it overlaps are multiplied, and so on with the rest, until none has a score of at least `score_threshold`.
    Images, classes, invalid boxes and nan are treated as by :func:`nms`.

    Parameters
    ----------
    boxes, scores, classes
        As for :func:`nms`.
    method : str
        ``"linear"``: by 1 - IoU where the IoU is above `iou_threshold`, as :func:`nms` compares them. ``"gaussian"``:
        by exp(-IoU² / sigma).
    iou_threshold : float
        From 0 to 1, for ``"linear"`` alone.
    sigma : float
        Above 0, for ``"gaussian"`` alone.
    score_threshold : float
        The least score to keep, at least 0.

    Returns
    -------
    Softened
        ``indices`` and ``scores``, by image, then by descending score. Scores are computed in float64, and rounded at
        the end to the dtype they came in.

    Raises
    ------
    ValueError, TypeError
        As :func:`nms`, for an unknown method, and for a sigma or score threshold that can't be.

    Examples
    --------
    >>> import fastbox.suppression.nms
    >>> fastbox.suppression.nms.soft_nms([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], [0.5, 0.9, 0.7])
    Softened(indices=array([1, 2, 0]), scores=array([0.9  , 0.7  , 0.125]))
    """
    as_choice(method, METHODS, "a method")
    if not (as_number(sigma, "sigma") > 0 and math.isfinite(sigma)):
        raise ValueError(f"expected a sigma above 0, got {sigma!r}")
    if not as_number(score_threshold, "score_threshold") >= 0:
        raise ValueError(f"expected a score_threshold of at least 0, got {score_threshold!r}")
    boxes = as_boxes(boxes)
    start = _scores(scores, len(boxes))
    gaussian = method == "gaussian"
    least_overlap = 0.0 if gaussian else _threshold(iou_threshold)
    how = _below(least_overlap, boxes.dtype), gaussian, float(sigma), float(score_threshold)
    left = _suppressed(boxes, start, classes, "soft", how)
    indices, left = _kept(boxes, np.where(left >= score_threshold, left, np.nan))
    return Softened(indices, left.astype(as_floats(scores, "scores").dtype, copy=False))


def _of_one_array(fusion: Fusion) -> Fusion:
    """Refuse a call in the manner of ``ensemble_boxes``, a list of boxes for each detector, and say what to call."""

    @functools.wraps(fusion)
    def checked(*given: Any, **options: Any) -> Fused:
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
) -> Fused:
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
    Fused

    Raises
    ------
    ValueError, TypeError
        As :func:`nms`, for an unknown conf_type, and for models, weights or a threshold that can't be.

    Examples
    --------
    >>> import fastbox.suppression.nms
    >>> fused = fastbox.suppression.nms.weighted_boxes_fusion(
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
    boxes, threshold = as_boxes(boxes), _threshold(iou_threshold)
    start, (model, trust) = _scores(scores, len(boxes)), _models(models, weights, len(boxes))
    rows, bounds = segments(boxes, classes)
    with np.errstate(invalid="ignore", over="ignore"):
        usable = (start >= skip_box_threshold) & (start < np.inf) & (boxes.invalid() == 0) & _have_area(boxes)
    start = np.where(usable, start, -1.0) * np.where(usable, trust[model], 1.0)
    _order(start, rows, bounds)
    left, corners = np.full(len(boxes), np.nan), np.empty((len(boxes), 4), boxes.dtype)
    side, confidence = (FORMATS.index(boxes.format), *boxes.columns), CONFIDENCES.index(conf_type)
    common = side, start, model, trust, rows, bounds
    options = threshold, confidence, bool(allows_overflow), corners, left
    kernel = parallel.kernels("suppress.fusion").FUSED[boxes.dtype, ""]
    sizes = np.diff(bounds)
    parallel.run(lambda *piece: kernel(*common, *piece, *options), parallel.cut(sizes * (sizes + parallel.ROW_COST)))
    found, fused = _kept(boxes, left)
    images = np.array([0, len(boxes)]) if boxes.offsets is None else boxes.offsets
    offsets = np.concatenate(([0], np.cumsum(left == left)))[images]
    labels = None if classes is None else as_labels(classes, "classes")[found]
    dtype = as_floats(scores, "scores").dtype
    return Fused(corners[found], fused.astype(dtype, copy=False), labels, offsets, found)


def segments(boxes: Boxes, classes: Any = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by image and class, ascending within each, and the bounds of those segments.

    Raises
    ------
    ValueError, TypeError
        As :func:`nms` for its classes.
    """
    n = len(boxes)
    rows = np.arange(n)
    images = np.array([0, n]) if boxes.offsets is None else boxes.offsets
    if classes is None:
        return rows, images
    codes = _codes(classes, n)
    _order(-codes, rows, images)
    codes = codes[rows]
    begins = np.zeros(n + 1, np.bool_)
    begins[1:n] = codes[1:] != codes[:-1]
    begins[images] = True
    return rows, np.flatnonzero(begins)


def _suppressed(boxes: Boxes, scores: NDArray[Any], classes: Any, kind: str, how: tuple[Any, ...]) -> NDArray[Any]:
    """The final score of every box that is kept, nan for the others."""
    left = np.full(len(boxes), np.nan)
    members, bounds = segments(boxes, classes)
    sizes = np.diff(bounds)
    side, kernels = (FORMATS.index(boxes.format), *boxes.columns), parallel.kernels("suppress.nms")

    def one(segment: int, threads: bool = False) -> None:
        arrange, resolved = (
            parallel.kernels("compare.grid").ARRANGE[boxes.dtype, ""],
            kernels.RESOLVED[boxes.dtype, kind],
        )
        grid = arrange(side, scores, members[bounds[segment] : bounds[segment + 1]], how[0], left)
        n = len(grid[1])
        state = np.zeros(n, np.uint8)
        pieces = parallel.blocks(n, 64, PIECE) if threads else [(0, n)]
        parallel.run(lambda first, last: resolved(*grid, first, last, how, state, left), pieces)

    large = np.flatnonzero(sizes > DENSE)
    if len(large):
        # A segment that outweighs the share of a thread is settled by all of them; scores fall in one order alone.
        wide = (kind == "hard") & (sizes[large] * parallel.get_num_threads() > sizes.sum())
        parallel.run(one, [(int(segment),) for segment in large[~wide]])
        for segment in large[wide]:
            one(int(segment), threads=True)
    costs = np.where(sizes > DENSE, 0, sizes * (sizes + parallel.ROW_COST))
    pieces = parallel.cut(costs)
    if pieces:
        swept = kernels.SWEPT[boxes.dtype, kind]
        parallel.run(lambda *piece: swept(side, scores, members, bounds, *piece, DENSE, how, left), pieces)
    return left


def _kept(boxes: Boxes, left: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The rows that have a score, by image and descending score, and the scores."""
    rows = np.flatnonzero(left == left)
    images = np.array([0, len(boxes)]) if boxes.offsets is None else boxes.offsets
    _order(left, rows, np.searchsorted(rows, images))
    return rows, left[rows]


def _order(keys: NDArray[Any], rows: NDArray[np.int64], bounds: NDArray[np.int64]) -> None:
    """Sort the rows of each image by descending key, in place."""
    kernel = parallel.kernels("common.sorting").ORDERED[keys.dtype, ""]
    parallel.run(lambda first, last: kernel(keys, rows, bounds, first, last), parallel.cut(np.diff(bounds) * 8))


def _threshold(value: float) -> float:
    if not 0 <= as_number(value, "iou_threshold") <= 1:
        raise ValueError(f"expected an iou_threshold from 0 to 1, got {value!r}")
    return float(value)


def _below(threshold: float, dtype: np.dtype[Any]) -> Any:
    """The greatest float of a dtype that is not above a threshold: an IoU of the dtype is above both or neither."""
    rounded = dtype.type(threshold)
    return np.nextafter(rounded, dtype.type(0)) if float(rounded) > threshold else rounded


def _scores(scores: Any, n: int) -> NDArray[np.float64]:
    array = as_floats(scores, "scores")
    if array.shape != (n,):
        raise ValueError(f"expected one score for each of {n} boxes, got shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.float64)


def _codes(classes: Any, n: int) -> NDArray[np.float64]:
    """Classes as floats that differ where they do."""
    array = as_labels(classes, "classes", n)
    if array.shape != (n,):
        raise ValueError(f"expected one class for each of {n} boxes, got shape {array.shape}")
    exact = array.dtype.kind == "i" and n and max(-int(array.min()), int(array.max())) < 2**53
    return (array if exact else codes_of(array)[0]).astype(np.float64)


def _models(models: Any, weights: Any, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The detector of each box, and the weight of each detector."""
    model = np.zeros(n, np.int64) if models is None else as_array(models, "models")
    if model.shape != (n,):
        raise ValueError(f"expected one model for each of {n} boxes, got shape {model.shape}")
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
