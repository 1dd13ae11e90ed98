"""Non-maximum suppression, hard and soft, per image and class."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.suppression.segments import as_scores, as_threshold, kept_rows, segments
from fastbox.values.arguments import named
from fastbox.values.numbers import as_choice, as_floats, as_number

__all__ = ["METHODS", "SoftNMS", "nms", "soft_nms"]

METHODS = ("linear", "gaussian")

DENSE = 384  # boxes of a segment from which on a grid is faster than to look at all of them
PIECE = 4096  # boxes that make a thread worth waking


class SoftNMS(NamedTuple):
    """The boxes kept, by image, then by descending score, and their scores."""

    indices: NDArray[np.int64]
    scores: NDArray[Any]


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
    SoftNMS
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
    SoftNMS(indices=array([1, 2, 0]), scores=array([0.9  , 0.7  , 0.125]))
    """
    as_choice(method, METHODS, "a method")
    if not (as_number(sigma, "sigma") > 0 and math.isfinite(sigma)):
        raise ValueError(f"expected a sigma above 0, got {sigma!r}")
    if not as_number(score_threshold, "score_threshold") >= 0:
        raise ValueError(f"expected a score_threshold of at least 0, got {score_threshold!r}")
    boxes = as_boxes(boxes)
    start = as_scores(scores, len(boxes))
    gaussian = method == "gaussian"
    least_overlap = 0.0 if gaussian else as_threshold(iou_threshold)
    how = _below(least_overlap, boxes.dtype), gaussian, float(sigma), float(score_threshold)
    left = _suppressed(boxes, start, classes, "soft", how)
    indices, left = kept_rows(boxes, np.where(left >= score_threshold, left, np.nan))
    return SoftNMS(indices, left.astype(as_floats(scores, "scores").dtype, copy=False))


def _suppressed(boxes: Boxes, scores: NDArray[Any], classes: Any, kind: str, how: tuple[Any, ...]) -> NDArray[Any]:
    """The final score of every box that is kept, nan for the others."""
    left = np.full(len(boxes), np.nan)
    members, bounds = segments(boxes, classes)
    sizes = np.diff(bounds)
    args, kernels = boxes.kernel_args(), parallel.kernels("suppress.nms")

    def one(segment: int, threads: bool = False) -> None:
        arrange = parallel.kernels("suppress.cells").ARRANGE[boxes.dtype, ""]
        resolve = kernels.RESOLVE_ARRANGED[boxes.dtype, kind]
        places, grid = arrange(args, scores, members[bounds[segment] : bounds[segment + 1]], how[0], left)
        n = len(places[1])
        state = np.zeros(n, np.uint8)
        pieces = parallel.blocks(n, 64, PIECE) if threads else [(0, n)]
        parallel.run(lambda *span: resolve(places, grid, span, how, state, left), pieces)

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
        resolve_segments = kernels.RESOLVE_SEGMENTS[boxes.dtype, kind]
        common = args, scores, (members, bounds)
        parallel.run(lambda *span: resolve_segments(*common, span, DENSE, how, left), pieces)
    return left


def _below(threshold: float, dtype: np.dtype[Any]) -> Any:
    """The greatest float of a dtype that is not above a threshold: an IoU of the dtype is above both or neither."""
    rounded = dtype.type(threshold)
    return np.nextafter(rounded, dtype.type(0)) if float(rounded) > threshold else rounded
