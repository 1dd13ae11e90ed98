"""Non-maximum suppression, hard and soft, per image and class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.boxes.base import Collection
from fastbox.ops.checks import as_collection
from fastbox.suppression.arranged import arranged
from fastbox.suppression.segments import as_scores, as_threshold, kept_rows, segments
from fastbox.values.arguments import named
from fastbox.values.formats import FLOATS, are_corners
from fastbox.values.numbers import as_choice, as_floats, as_number, as_number_from
from fastbox.values.record_text import record_text

__all__ = ["METHODS", "SoftNMS", "nms", "soft_nms"]

SOFT_METHODS = ("linear", "gaussian")
METHODS = ("nms", *(f"soft-{method}" for method in SOFT_METHODS))

DENSE = 384  # the number of boxes of a segment above which a tree is faster than comparing all pairs
ALONE = 256  # the number of boxes above which it is, where there is no other segment
FEW = 256  # boxes up to which comparing all by one call is faster than the preparation of segments
NO_CLASSES = np.empty(0, np.int64)
SMALLEST = 1024  # boxes below which another thread does not pay
LISTED = 8192  # the same, of boxes that are only asked whether a leader suppresses them


class SoftNMS(NamedTuple):
    """The rows of the boxes that are kept, by image and descending score, and their lowered scores."""

    indices: NDArray[np.int64]
    scores: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)


@named
def nms(boxes: Any, scores: Any, *, iou_threshold: float, classes: Any = None) -> NDArray[np.int64]:
    """Find the boxes that greedy non-maximum suppression keeps.

    From the highest score down, the lowest row first at ties, a box is kept unless its IoU with a box kept before it is
    above the threshold. The IoU is in the boxes' dtype, the threshold is not rounded: 0.3 in float32 is above 0.3. Only
    boxes of one image are compared, and with classes only boxes of one class. ``torchvision.ops.nms`` follows the same
    rule on CPUs; on GPUs it rounds the threshold, too. The work grows with the number of overlapping pairs, not with
    the number of all pairs.

    Parameters
    ----------
    boxes : Boxes, RotatedBoxes or array of shape (n, 4)
        Arrays are xyxy corners in pixels. Grouped boxes are suppressed image by image.
    scores : array of shape (n,)
        Confidences. An invalid box or a box whose score is nan is not kept and suppresses no other box.
    iou_threshold : float
        The IoU above which (IoU > threshold) a box is suppressed, from 0 to 1.
    classes : array of shape (n,), optional
        Integers or strings, none missing.

    Returns
    -------
    array of int64
        Rows of the boxes kept: by image, then by descending score, the lower row first at ties.

    Raises
    ------
    ValueError
        A threshold outside [0, 1], or scores or classes of another shape than (n,).
    TypeError
        Scores that are not numbers, classes that are neither integers nor strings.

    Examples
    --------
    >>> import fastbox
    >>> boxes = [[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]]
    >>> fastbox.nms(boxes, [0.5, 0.9, 0.7], iou_threshold=0.5)
    array([1, 2])
    >>> fastbox.nms(boxes, [0.5, 0.9, 0.7], iou_threshold=0.5, classes=["cat", "dog", "cat"])
    array([1, 2, 0])
    """
    if (few := _few(boxes, scores, classes, iou_threshold)) is not None:
        rows = np.empty(len(boxes), np.int64)
        count = parallel.kernels("suppress.few").KEEP[boxes.dtype, ""](*few, _below(iou_threshold, boxes.dtype), rows)
        if count >= 0:
            return rows[:count]
    boxes = as_collection(boxes)
    start = as_scores(scores, len(boxes))
    how = _below(as_threshold(iou_threshold), boxes.dtype), False, 1.0, 0.0
    return kept_rows(boxes, _suppressed(boxes, start, classes, "hard", how))[0]


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
) -> SoftNMS:
    """Lower the scores of boxes that overlap boxes of higher scores, instead of suppressing them.

    Bodla et al., Soft-NMS, ICCV 2017. The box with the highest score is kept, the lowest row at ties, and the scores of
    the boxes that overlap it are multiplied by a factor. This repeats with the remaining boxes while the highest score
    is at least `score_threshold`. Images, classes, invalid boxes and nan are treated as by :func:`nms`.

    Parameters
    ----------
    boxes, scores, classes
        As for :func:`nms`.
    method : str
        ``"linear"``: the factor is 1 - IoU where the IoU is above `iou_threshold`, compared as by :func:`nms`.
        ``"gaussian"``: the factor is exp(-IoU² / sigma).
    iou_threshold : float
        From 0 to 1; only for ``"linear"``.
    sigma : float
        Above 0; only for ``"gaussian"``.
    score_threshold : float
        The lowest score to keep (score ≥ threshold), at least 0.

    Returns
    -------
    SoftNMS
        ``indices`` and ``scores``, by image, then by descending score. Scores are computed in float64, and rounded at
        the end to the dtype of the given scores.

    Raises
    ------
    ValueError, TypeError
        As :func:`nms`; an unknown method, a sigma that is not above 0, or a negative score threshold.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.soft_nms([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], [0.5, 0.9, 0.7])
    SoftNMS(indices=array([1, 2, 0]), scores=array([0.9  , 0.7  , 0.125]))
    """
    as_choice(method, SOFT_METHODS, "a method")
    if not (as_number(sigma, "sigma") > 0 and math.isfinite(sigma)):
        raise ValueError(f"expected a sigma above 0, got {sigma!r}")
    score_threshold = as_number_from(score_threshold, "score_threshold", 0)
    gaussian = method == "gaussian"
    if (few := _few(boxes, scores, classes, 0.0 if gaussian else iou_threshold)) is not None:
        rows, left = np.empty(len(boxes), np.int64), np.empty(len(boxes))
        how = _below(0.0 if gaussian else iou_threshold, boxes.dtype), gaussian, float(sigma), score_threshold
        count = parallel.kernels("suppress.few").SOFTEN[boxes.dtype, ""](*few, how, rows, left)
        if count >= 0:
            return SoftNMS(rows[:count], left[:count].astype(scores.dtype, copy=False))
    boxes = as_collection(boxes)
    start = as_scores(scores, len(boxes))
    least_overlap = 0.0 if gaussian else as_threshold(iou_threshold)
    how = _below(least_overlap, boxes.dtype), gaussian, float(sigma), score_threshold
    left = _suppressed(boxes, start, classes, "soft", how)
    indices, left = kept_rows(boxes, np.where(left >= score_threshold, left, np.nan))
    return SoftNMS(indices, left.astype(as_floats(scores, "scores").dtype, copy=False))


def _few(boxes: Any, scores: Any, classes: Any, threshold: float) -> tuple[NDArray[Any], ...] | None:
    """Return few boxes without groups, their scores and classes, as kernels take them.

    None where the caller must check more; inverted boxes are left to the kernels.
    """
    if not (
        are_corners(boxes)
        and len(boxes) <= FEW
        and type(scores) is np.ndarray
        and scores.dtype in FLOATS
        and scores.shape == (len(boxes),)
        and type(threshold) is float
        and 0 <= threshold <= 1
    ):
        return None
    if classes is None:
        return boxes, scores.astype(np.float64), NO_CLASSES
    if type(classes) is not np.ndarray or classes.dtype.kind != "i" or classes.shape != scores.shape:
        return None
    return boxes, scores.astype(np.float64), classes.astype(np.int64)


def _suppressed(boxes: Collection, scores: NDArray[Any], classes: Any, kind: str, how: tuple[Any, ...]) -> NDArray[Any]:
    """Return the final score of every box that is kept, nan for the others."""
    left = np.full(len(boxes), np.nan)
    members, bounds = segments(boxes, classes)
    sizes = bounds[1:] - bounds[:-1]
    side = arranged(boxes)

    def spans_of(n: int, threads: bool, smallest: int = SMALLEST) -> list[tuple[int, int]]:
        return parallel.blocks(n, 64, smallest) if threads else [(0, n)]

    def decide(rows: NDArray[np.int64], threads: bool) -> None:
        resolve = side.kernels.RESOLVE_ARRANGED[boxes.dtype, kind]
        places, tree = side.tree(scores, rows, how[0], left)
        state = np.zeros(len(places[1]), np.uint8)
        parallel.run(lambda *span: resolve(places, tree, span, how, state, left), spans_of(len(state), threads))

    def one(segment: int, threads: bool = False) -> None:
        rows = members[bounds[segment] : bounds[segment + 1]]
        if kind == "hard" and len(leaders := side.leaders(scores, rows, how[0])):
            decide(leaders, threads)
            kept = leaders[left[leaders] == left[leaders]]
            rows = side.remaining(kept, rows, how[0], spans_of(len(rows), threads, LISTED))
        decide(rows, threads)

    if len(sizes) == 1 and sizes[0] > min(DENSE, ALONE):
        one(0, threads=kind == "hard")
        return left
    large = np.flatnonzero(sizes > DENSE)
    if len(large):
        # All threads work on a segment with more boxes than one thread's share; soft suppression can't be divided.
        wide = (kind == "hard") & (sizes[large] * parallel.get_num_threads() > sizes.sum())
        parallel.run(one, [(int(segment),) for segment in large[~wide]])
        for segment in large[wide]:
            one(int(segment), threads=True)
    costs = np.where(sizes > DENSE, 0, sizes * (sizes + parallel.ROW_COST))
    spans = parallel.cut(costs)
    if spans:
        resolve_segments = side.kernels.RESOLVE_SEGMENTS[boxes.dtype, kind]
        common = side.args, scores, (members, bounds)
        parallel.run(lambda *span: resolve_segments(*common, span, DENSE, how, left), spans)
    return left


def _below(threshold: float, dtype: np.dtype[Any]) -> Any:
    """Return the greatest float of a dtype that is not above a threshold: both suppress the same IoUs of this dtype."""
    rounded = dtype.type(threshold)
    return np.nextafter(rounded, dtype.type(0)) if float(rounded) > threshold else rounded
