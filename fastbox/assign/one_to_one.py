"""Matches in which a truth is given to one detection: greedy by score as in COCO, or the cheapest of all as in DETR."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox import parallel
from fastbox.boxes.container import FORMATS, Boxes, as_boxes
from fastbox.ops.search import DISTANCES, METRICS, check_metric
from fastbox.values.arguments import named
from fastbox.values.flags import as_flags
from fastbox.values.groups import align_images
from fastbox.values.labels import as_labels, codes_of
from fastbox.values.numbers import as_array, as_column, as_floats, as_number, as_sides, in_dtype

__all__ = ["Greedy", "Optimal", "match_greedy", "match_optimal", "optimizer"]

NEARLY_ONE = 1 - 1e-10  # COCO's cap on the threshold: an IoU of 1 but for its last bits still reaches 1
SOLVED = 2_000  # pairs that take the solver about as long as waking a thread ten times

Ints = NDArray[np.int64]


class Greedy(NamedTuple):
    """For each detection: the row of its truth, and their value; -1 and nan where it has none."""

    truths: Ints
    values: NDArray[Any]


class Optimal(NamedTuple):
    """The matched rows of the detections, ascending, their rows of the truths, and what each match costs."""

    rows: Ints
    cols: Ints
    costs: NDArray[Any]


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
) -> Greedy:
    """Match detections to truths as COCO's evaluation does: by descending score, each to the best truth still free.

    A truth is given once, to the first detection whose value with it reaches the threshold and is its highest; of
    equal values the last truth's wins. A crowd can be given to any number of detections, but only to those that no
    other truth suits; its value is the share of the detection that lies in it (``iof``). Equal scores go by row. An
    invalid box, or a score of nan, matches nothing.

    Parameters
    ----------
    detections : Boxes or array of shape (n, 4)
    scores : array of shape (n,)
    truths : Boxes or array of shape (m, 4)
        Grouped sets are matched image by image.
    threshold : float
        What a value must reach, rounded to the boxes' dtype; above 1 - 1e-10 it is that, as in COCO's. At 0 boxes match
        that don't meet, also as there.
    classes, truth_classes : arrays of shape (n,) and (m,), optional
        Integers or strings; only boxes of one class match. Both or neither.
    crowd : array of shape (m,), optional
        Which truths are crowds: booleans; numbers, set unless 0 or nan; or text, set where it is 1, true or yes.
    metric : str
        A similarity of ``fastbox.METRICS``.

    Returns
    -------
    Greedy
        ``truths``: rows of the truths, int64, -1 for none; ``values``, nan for none; both of shape (n,).

    Raises
    ------
    ValueError
        An unknown metric or a distance, a threshold of nan, arrays of a wrong length, only one side grouped or classed.

    References
    ----------
    ``COCOeval.evaluateImg`` of pycocotools, whose matches these are, bit for bit in float64.

    Examples
    --------
    >>> import fastbox.assign.one_to_one
    >>> detections, truths = [[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 9, 12]], [[0, 0, 4, 4], [0, 0, 9, 9]]
    >>> fastbox.assign.one_to_one.match_greedy(detections, [0.5, 0.9, 0.1], truths, crowd=[False, True])
    Greedy(truths=array([ 1,  0, -1]), values=array([1.  , 0.75,  nan]))
    """
    check_metric(metric)
    if metric in DISTANCES:
        similarities = ", ".join(name for name in METRICS if name not in DISTANCES)
        raise ValueError(f"expected a similarity ({similarities}), got the distance {metric!r}")
    if np.isnan(as_number(threshold, "threshold")):
        raise ValueError("expected a threshold that is a number, got nan")
    a, b, starts_a, starts_b = _two(detections, truths)
    given = as_column(as_floats(scores, "scores"), "scores", len(a))
    kinds_a, kinds_b = _codes(classes, truth_classes, len(a), len(b))
    crowds = np.broadcast_to(False, len(b)) if crowd is None else as_flags(crowd, "crowd", len(b))
    least = in_dtype(min(threshold, NEARLY_ONE), a.dtype)
    below = np.nextafter(least, a.dtype.type(-np.inf))
    found = Greedy(np.full(len(a), -1, np.int64), np.full(len(a), np.nan, a.dtype))

    from fastbox.kernels.assign import greedy

    kernel = greedy.GREEDY[a.dtype, metric]
    sides = ((FORMATS.index(side.format), *side.columns) for side in (a, b))
    common = (*sides, starts_a, starts_b)
    order = np.empty(len(a), np.int64)

    def match(first: int, last: int) -> None:
        rows = slice(starts_a[first], starts_a[last])
        image = np.repeat(np.arange(first, last), np.diff(starts_a[first : last + 1]))
        ranked = np.lexsort((-given[rows], image)) + rows.start
        order[rows] = np.where(np.isnan(given[ranked]), -1, ranked)
        kernel(*common, first, last, order, kinds_a, kinds_b, crowds, least, below, *found)

    parallel.run(match, parallel.cut(_cost(starts_a, starts_b)))
    return found


@named
def match_optimal(
    detections: Any,
    truths: Any,
    *,
    probabilities: ArrayLike | None = None,
    truth_classes: ArrayLike | None = None,
    cost_class: float = 1.0,
    cost_l1: float = 5.0,
    cost_giou: float = 2.0,
    size: tuple[ArrayLike, ArrayLike] | None = None,
) -> Optimal:
    """Match detections to truths one to one, at the lowest cost in all, as DETR does.

    The cost of a detection with a truth is ``cost_class * -probability of the truth's class + cost_l1 * |difference of
    centre x, centre y, width and height| + cost_giou * -GIoU``. Each image is solved by itself, by
    ``scipy.optimize.linear_sum_assignment``, and only its own matrix is ever in memory, one a thread: as many matches
    as it has detections or truths, whichever are fewer. Invalid boxes are in none.

    Parameters
    ----------
    detections, truths : Boxes or arrays of shape (n, 4) and (m, 4)
        Grouped sets are matched image by image.
    probabilities : array of shape (n, c), optional
        Of each class, for each detection. Any figures do of which more is better, such as the negative of Deformable
        DETR's focal cost. A detection with nan for a class matches no truth of it.
    truth_classes : array of integers, shape (m,), optional
        Columns of the probabilities. Both or neither.
    cost_class, cost_l1, cost_giou : float
        Weights; the defaults are DETR's.
    size : (width, height), optional
        Of the images, in pixels: the L1 distance is taken of coordinates divided by it. Scalars, or one of each for
        every image that either set has, by ascending id. DETR's own boxes are divided already.

    Returns
    -------
    Optimal
        ``rows``, ``cols`` (int64) and ``costs`` (the boxes' dtype), by image and row. Of equal totals, SciPy's choice.

    Raises
    ------
    ValueError
        Weights that aren't finite, arrays of a wrong shape, classes out of range, only one side grouped.
    ImportError
        SciPy is missing: it comes with ``fastbox-engine[optimize]``.

    References
    ----------
    Carion et al., End-to-End Object Detection with Transformers, ECCV 2020, equation 1 and section 3.1.

    Examples
    --------
    >>> import fastbox.assign.one_to_one
    >>> detections, truths = [[0, 0, 2, 2], [5, 5, 9, 9], [0, 0, 2, 3]], [[5, 5, 9, 8], [0, 0, 2, 3]]
    >>> found = fastbox.assign.one_to_one.match_optimal(detections, truths, size=(10, 10))
    >>> found.rows, found.cols
    (array([1, 2]), array([0, 1]))
    """
    solve = optimizer("match_optimal").linear_sum_assignment
    weights = {"cost_class": cost_class, "cost_l1": cost_l1, "cost_giou": cost_giou}
    for name, weight in weights.items():
        if not np.isfinite(as_number(weight, name)):
            raise ValueError(f"expected a finite {name}, got {weight!r}")
    a, b, starts_a, starts_b = _two(detections, truths)
    likely, wanted = _likelihoods(probabilities, truth_classes, len(a), len(b), a.dtype)
    sides = _sides(size, len(starts_a) - 1, a.dtype)
    centres_a, centres_b = _centres(a), _centres(b)
    by_class, by_l1, by_giou = (in_dtype(weight, a.dtype) for weight in weights.values())
    none, bases, skip = a.dtype.type(0), np.zeros(1, np.int64), np.zeros(1, np.bool_)

    from fastbox.kernels.compare import dense as reduce

    kernel = reduce.MATRIX[a.dtype, "giou"]
    packed = [(FORMATS.index(boxes.format), *boxes.columns) for boxes in (a, b)]

    def match(first: int, last: int) -> list[tuple[Ints, Ints, NDArray[Any]]]:
        with np.errstate(invalid="ignore", over="ignore"):
            return [one(g) for g in range(first, last)]

    def one(g: int) -> tuple[Ints, Ints, NDArray[Any]]:
        span_a, span_b = starts_a[g : g + 2], starts_b[g : g + 2]
        rows, cols = slice(*span_a), slice(*span_b)
        costs = np.empty((rows.stop - rows.start, cols.stop - cols.start), a.dtype)
        kernel(none, *packed, span_a, span_b, skip, 0, rows.start, rows.stop, bases, False, costs.reshape(-1))
        costs *= -by_giou
        for here, there, side in zip(centres_a, centres_b, sides, strict=True):
            costs += by_l1 * np.abs(here[rows, None] / side[g] - there[None, cols] / side[g])
        if likely is not None:
            costs -= by_class * likely[rows].take(wanted[cols], axis=1)
        met, matched = _solved(costs, solve)
        return met + rows.start, matched + cols.start, costs[met, matched]

    found = [part for piece in parallel.run(match, parallel.cut(_cost(starts_a, starts_b), SOLVED)) for part in piece]
    nothing = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, a.dtype)
    matched_rows, matched_cols, costs = (np.concatenate(parts) for parts in zip(nothing, *found, strict=True))
    return Optimal(matched_rows, matched_cols, costs)


def optimizer(purpose: str) -> Any:
    """Import ``scipy.optimize``, which is an extra.

    Raises
    ------
    ImportError
        It is missing.
    """
    try:
        return importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise ImportError(
            f"expected SciPy for {purpose}, got none: install it with pip install 'fastbox-engine[optimize]'"
        ) from error


def _two(detections: Any, truths: Any) -> tuple[Boxes, Boxes, Ints, Ints]:
    a, b = as_boxes(detections, "detections"), as_boxes(truths, "truths")
    dtype = np.result_type(a.dtype, b.dtype)
    a, b = a.astype(dtype), b.astype(dtype)
    _, starts_a, starts_b = align_images(a, b, ("detections", "truths"))
    return a, b, starts_a, starts_b


def _cost(starts_a: Ints, starts_b: Ints) -> Ints:
    """What each image costs, in pairs."""
    cost: Ints = np.diff(starts_a) * (np.diff(starts_b) + parallel.ROW_COST)
    return cost


def _codes(classes: ArrayLike | None, truth_classes: ArrayLike | None, n: int, m: int) -> tuple[Ints, Ints]:
    """A number for each class, the same on both sides; 0 for all without classes, in no memory."""
    if classes is None and truth_classes is None:
        zero = np.int64(0)
        return np.broadcast_to(zero, n), np.broadcast_to(zero, m)
    if classes is None or truth_classes is None:
        given, missing = ("truth_classes", "classes") if classes is None else ("classes", "truth_classes")
        raise ValueError(f"expected classes= and truth_classes= or neither, got {given} and no {missing}")
    a = as_column(as_labels(classes, "classes", n), "classes", n)
    b = as_column(as_labels(truth_classes, "truth_classes", m), "truth_classes", m)
    codes = codes_of(a, b, names=("classes", "truth_classes"))
    return codes[0], codes[1]


def _likelihoods(
    probabilities: ArrayLike | None, truth_classes: ArrayLike | None, n: int, m: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any] | None, Ints]:
    if probabilities is None and truth_classes is None:
        return None, np.empty(0, np.int64)
    if probabilities is None or truth_classes is None:
        given, missing = "truth_classes", "probabilities"
        given, missing = (given, missing) if probabilities is None else (missing, given)
        raise ValueError(f"expected probabilities= and truth_classes= or neither, got {given} and no {missing}")
    likely = in_dtype(as_floats(probabilities, "probabilities"), dtype)
    if likely.ndim != 2 or len(likely) != n:
        raise ValueError(f"expected probabilities of shape ({n}, classes), got {likely.shape}")
    wanted = as_column(as_array(truth_classes, "truth_classes"), "truth_classes", m)
    if m and wanted.dtype.kind not in "iu":
        raise TypeError(f"expected truth_classes of integers, got dtype {wanted.dtype}")
    wrong = np.flatnonzero((wanted < 0) | (wanted >= likely.shape[1])) if m else wanted
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"expected truth_classes from 0 to {likely.shape[1] - 1}, got {wanted[row]} at row {row}")
    return likely, wanted.astype(np.int64, copy=False)


def _sides(size: tuple[ArrayLike, ArrayLike] | None, images: int, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """What centre x, centre y, width and height of each image's boxes are divided by."""
    sides = [in_dtype(side, dtype) for side in as_sides((1.0, 1.0) if size is None else size)]
    if any(side.shape not in ((), (images,)) for side in sides):
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"expected size=(width, height) as scalars or arrays of shape ({images},), got {shapes}")
    if not all(np.all(np.isfinite(side) & (side > 0)) for side in sides):
        raise ValueError("expected a size of finite numbers above 0, got one that is not")
    return [np.broadcast_to(side, images) for side in sides] * 2


def _centres(boxes: Boxes) -> tuple[NDArray[Any], ...]:
    """Centre x, centre y, width and height."""
    if boxes.format == "cxcywh":
        return boxes.columns
    half = boxes.dtype.type(0.5)
    with np.errstate(invalid="ignore", over="ignore"):
        x0, y0, x1, y1 = boxes.corners().T
        return half * (x0 + x1), half * (y0 + y1), x1 - x0, y1 - y0


def _solved(costs: NDArray[Any], solve: Any) -> tuple[Ints, Ints]:
    """The cheapest of the matchings with the most pairs of finite cost."""
    finite = np.isfinite(costs)
    if finite.all():
        met, matched = solve(costs)
        return met, matched
    rows, cols = np.flatnonzero(finite.any(axis=1)), np.flatnonzero(finite.any(axis=0))
    inside = np.ix_(rows, cols)
    possible, worth = finite[inside], costs[inside].astype(np.float64)
    worth[~possible] = 1 + 2 * np.abs(worth[possible]).sum()  # dearer than all others together
    met, matched = solve(worth)
    kept = possible[met, matched]
    return rows[met[kept]], cols[matched[kept]]
