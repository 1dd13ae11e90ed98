"""Greedy matching by score: each truth goes to at most one detection, as in COCO's evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastbox import parallel
from fastbox.assign.result import GreedyMatches
from fastbox.assign.sides import Ints, collections_of, costs_of
from fastbox.evaluation.protocols.coco import COCO
from fastbox.kernels.codes import PLAIN
from fastbox.kernels.metrics import FACTS, METRICS
from fastbox.ops.checks import check_metric
from fastbox.ops.geometry import sides_of
from fastbox.values.arguments import both_or_neither, named
from fastbox.values.flags import as_flags
from fastbox.values.groups import groups_of_rows
from fastbox.values.labels import as_labels, codes_of
from fastbox.values.numbers import as_column, as_floats, as_number_from, below_rounded, in_dtype

__all__ = ["match_greedy"]


@named
def match_greedy(
    detections: Any,
    scores: ArrayLike,
    truths: Any,
    *,
    threshold: float = 0.5,
    classes: ArrayLike | None = None,
    truth_classes: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    metric: str = "iou",
) -> GreedyMatches:
    """Match detections with truths as COCO's evaluation does: by descending score, each with the best free truth.

    A detection gets the free truth with which its value is highest, if the value reaches the threshold; of equal
    values the last truth wins. A crowd can match any number of detections, but only detections that match no other
    truth; the value with a crowd is the share of the detection that lies in the crowd (``iof``). Detections of equal
    scores go by row. An invalid box, or a score of nan, matches nothing.

    Parameters
    ----------
    detections : Boxes, RotatedBoxes or array of shape (n, 4)
    scores : array of shape (n,)
    truths : Boxes, RotatedBoxes or array of shape (m, 4)
        Grouped sets are matched image by image.
    threshold : float
        The value that a match must reach (value ≥ threshold), rounded to the boxes' dtype. As in COCO's evaluation, a
        threshold above 1 - 1e-10 is lowered to 1 - 1e-10, and with threshold 0 boxes match that do not overlap.
    classes, truth_classes : arrays of shape (n,) and (m,), optional
        Integers or strings; only boxes of one class match. Give both or neither.
    crowd : array of shape (m,), optional
        A flag for each truth that is a crowd: booleans; numbers, true unless 0 or nan; or text, true for 1, true and
        yes.
    metric : str
        A similarity of ``fastbox.METRICS``, or a metric of rotated boxes.

    Returns
    -------
    GreedyMatches
        ``truths``, the rows of the truths, int64, -1 for none; ``values``, nan for none; both of shape (n,).

    Raises
    ------
    ValueError
        An unknown metric or a distance, a threshold of nan, arrays of a wrong length, groups or classes on only one
        side.

    References
    ----------
    ``COCOeval.evaluateImg`` of pycocotools; the matches are the same, bit for bit in float64.

    Examples
    --------
    >>> import fastbox
    >>> detections, truths = [[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 9, 12]], [[0, 0, 4, 4], [0, 0, 9, 9]]
    >>> fastbox.match_greedy(detections, [0.5, 0.9, 0.1], truths, crowd=[False, True])
    GreedyMatches(truths=array([ 1,  0, -1]), values=array([1.  , 0.75,  nan]))
    """
    check_metric(metric, detections, truths)
    if FACTS[metric].distance:
        similarities = ", ".join(name for name, facts in METRICS.items() if not facts.distance)
        raise ValueError(f"expected a similarity ({similarities}), got the distance {metric!r}")
    threshold = as_number_from(threshold, "threshold")
    a, b, starts_a, starts_b = collections_of(detections, truths)
    given = as_column(as_floats(scores, "scores"), "scores", len(a))
    kinds_a, kinds_b = _codes(classes, truth_classes, len(a), len(b))
    crowds = np.broadcast_to(False, len(b)) if crowd is None else as_flags(crowd, "crowd", len(b))
    sides = sides_of(a, b)
    geometry, dtype, (args_a, args_b) = sides.geometry, sides.dtype, sides.args
    below = below_rounded(in_dtype(min(threshold, COCO.greatest_threshold), a.dtype), dtype)
    limits = np.nextafter(below, dtype.type(np.inf)), below
    matches, values = np.full(len(a), -1, np.int64), np.full(len(a), np.nan, dtype)
    kernel = parallel.kernels(f"assign.{'greedy' if geometry == PLAIN else geometry}").GREEDY[dtype, metric]
    wanted = args_b, starts_b, kinds_b, crowds
    order = np.empty(len(a), np.int64)

    def match(first: int, last: int) -> None:
        rows = slice(starts_a[first], starts_a[last])
        image = groups_of_rows(starts_a[first : last + 1])
        ranked = np.lexsort((-given[rows], image)) + rows.start
        order[rows] = np.where(np.isnan(given[ranked]), -1, ranked)
        kernel((args_a, starts_a, order, kinds_a), wanted, limits, (first, last), (matches, values))

    parallel.run(match, parallel.cut(costs_of(starts_a, starts_b)))
    return GreedyMatches(matches, values.astype(a.dtype, copy=False))


def _codes(classes: ArrayLike | None, truth_classes: ArrayLike | None, n: int, m: int) -> tuple[Ints, Ints]:
    """Return a number for the class of each box, the same on both sides; without classes a view of one 0."""
    if not both_or_neither(classes=classes, truth_classes=truth_classes):
        zero = np.int64(0)
        return np.broadcast_to(zero, n), np.broadcast_to(zero, m)
    a = as_column(as_labels(classes, "classes", n), "classes", n)
    b = as_column(as_labels(truth_classes, "truth_classes", m), "truth_classes", m)
    codes = codes_of(a, b, names=("classes", "truth_classes"))
    return codes[0], codes[1]
