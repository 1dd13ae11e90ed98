"""Optimal matching: one to one, at the lowest total cost, as in DETR."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox import parallel
from fastbox.assign.result import OptimalMatches
from fastbox.assign.sides import Ints, costs_of, sides_of
from fastbox.boxes.container import Boxes
from fastbox.values.arguments import both_or_neither, named
from fastbox.values.numbers import as_array, as_column, as_floats, as_number, as_sides, as_whole, in_dtype, shown

__all__ = ["match_optimal", "optimizer"]

SOLVED = 2_000  # pairs that take the solver about ten times as long as starting a thread


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
    repeat: ArrayLike = 1,
    groups: int = 1,
) -> OptimalMatches:
    """Match detections with truths one to one, at the lowest total cost, as DETR does.

    The cost of a detection with a truth is ``cost_class * -probability of the truth's class + cost_l1 * |difference of
    centre x, centre y, width and height| + cost_giou * -GIoU``. ``scipy.optimize.linear_sum_assignment`` solves each
    image on its own, and each thread has the matrix of one image in memory. An image has as many matches as it has
    detections or truths, whichever are fewer. Invalid boxes match nothing.

    Detectors that learn more than one detection for each truth match copies of the truths, or groups of detections:
    ``repeat=6`` is H-DETR's second set of queries, and ``groups=13`` Group-DETR's, LW-DETR's and RF-DETR's training.

    Parameters
    ----------
    detections, truths : Boxes or arrays of shape (n, 4) and (m, 4)
        Grouped sets are matched image by image.
    probabilities : array of shape (n, c), optional
        The probability of each class, for each detection; or other numbers of which greater ones are better, such as
        the negative of Deformable DETR's focal cost. A detection with nan for a class matches no truth of this class.
    truth_classes : array of integers, shape (m,), optional
        The column of the probabilities for each truth. Give both or neither.
    cost_class, cost_l1, cost_giou : float
        Weights; the defaults are DETR's.
    size : (width, height), optional
        The images' size in pixels, which coordinates are divided by for the L1 distance: scalars, or one width and
        height for every image of either set, by ascending id. DETR's own boxes are divided already.

    Returns
    -------
    OptimalMatches
        ``rows``, ``cols`` (int64) and ``costs`` (the boxes' dtype), by image and row. SciPy chooses among equal totals.
        With `repeat` or `groups` a column appears more than once.

    Raises
    ------
    ValueError
        Weights that are not finite, arrays of a wrong shape, classes out of range, sets of which only one is grouped by
        image; a `repeat` or `groups` below 1, or an image whose detections can't be cut into equal groups.
    ImportError
        SciPy is missing: it comes with ``fastbox-engine[optimize]``.

    References
    ----------
    Carion et al., End-to-End Object Detection with Transformers, ECCV 2020, equation 1 and section 3.1.

    Examples
    --------
    >>> import fastbox
    >>> detections, truths = [[0, 0, 2, 2], [5, 5, 9, 9], [0, 0, 2, 3]], [[5, 5, 9, 8], [0, 0, 2, 3]]
    >>> found = fastbox.match_optimal(detections, truths, size=(10, 10))
    >>> found.rows, found.cols
    (array([1, 2]), array([0, 1]))
    >>> fastbox.match_optimal([*detections, [0, 0, 2, 2]], truths, repeat=2, size=(10, 10)).cols
    array([1, 0, 1, 0])
    >>> found = fastbox.match_optimal(detections + truths[::-1] + [[5, 5, 9, 9]], truths, groups=2, size=(10, 10))
    >>> found.rows, found.cols
    (array([1, 2, 3, 4]), array([0, 1, 1, 0]))
    """
    solve = optimizer("match_optimal").linear_sum_assignment
    weights = {"cost_class": cost_class, "cost_l1": cost_l1, "cost_giou": cost_giou}
    for name, weight in weights.items():
        if not np.isfinite(as_number(weight, name)):
            raise ValueError(f"expected a finite {name}, got {weight!r}")
    a, b, starts_a, starts_b = sides_of(detections, truths)
    likely, wanted = _likelihoods(probabilities, truth_classes, len(a), len(b), a.dtype)
    sides = _sides(size, len(starts_a) - 1, a.dtype)
    copies, slices = _copies(repeat, len(starts_a) - 1), as_whole(groups, "groups", 1)
    _check_groups(slices, starts_a)
    centres_a, centres_b = _centres(a), _centres(b)
    per_class, per_l1, per_giou = (in_dtype(weight, a.dtype) for weight in weights.values())
    none, bases, skip = a.dtype.type(0), np.zeros(1, np.int64), np.zeros(1, np.bool_)
    kernel = parallel.kernels("compare.matrix").MATRIX[a.dtype, "giou"]
    both = a.kernel_args(), b.kernel_args()

    def match(first: int, last: int) -> list[tuple[Ints, Ints, NDArray[Any]]]:
        with np.errstate(invalid="ignore", over="ignore"):
            return [one(g) for g in range(first, last)]

    def one(g: int) -> tuple[Ints, Ints, NDArray[Any]]:
        span_a, span_b = starts_a[g : g + 2], starts_b[g : g + 2]
        rows, cols = slice(*span_a), slice(*span_b)
        costs = np.empty((rows.stop - rows.start, cols.stop - cols.start), a.dtype)
        span = 0, rows.start, rows.stop
        kernel(none, both, (span_a, span_b, skip), span, (bases, False, costs.reshape(-1)))
        costs *= -per_giou
        for here, there, side in zip(centres_a, centres_b, sides, strict=True):
            costs += per_l1 * np.abs(here[rows, None] / side[g] - there[None, cols] / side[g])
        if likely is not None:
            costs -= per_class * likely[rows].take(wanted[cols], axis=1)
        met, matched = _solved_in_groups(costs, int(copies[g]), slices, solve)
        return met + rows.start, matched + cols.start, costs[met, matched]

    spans = parallel.cut(costs_of(starts_a, starts_b) * copies, SOLVED)
    found = [image for images in parallel.run(match, spans) for image in images]
    nothing = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, a.dtype)
    matched_rows, matched_cols, costs = (np.concatenate(parts) for parts in zip(nothing, *found, strict=True))
    return OptimalMatches(matched_rows, matched_cols, costs)


def optimizer(purpose: str) -> Any:
    """Import ``scipy.optimize``, which comes with an extra; ``purpose`` names its user in the error.

    Raises
    ------
    ImportError
        SciPy is missing.
    """
    try:
        return importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise ImportError(
            f"expected SciPy for {purpose}, got none: install it with pip install 'fastbox-engine[optimize]'"
        ) from error


def _likelihoods(
    probabilities: ArrayLike | None, truth_classes: ArrayLike | None, n: int, m: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any] | None, Ints]:
    if not both_or_neither(probabilities=probabilities, truth_classes=truth_classes):
        return None, np.empty(0, np.int64)
    likely = in_dtype(as_floats(probabilities, "probabilities"), dtype)
    if likely.ndim != 2 or len(likely) != n:
        raise ValueError(f"expected probabilities of shape ({n}, classes), got {likely.shape}")
    wanted = as_column(as_array(truth_classes, "truth_classes"), "truth_classes", m)
    if m and wanted.dtype.kind not in "iu":
        raise TypeError(f"expected truth_classes of integers, got dtype {wanted.dtype}: cast them")
    wrong = np.flatnonzero((wanted < 0) | (wanted >= likely.shape[1])) if m else wanted
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"expected truth_classes from 0 to {likely.shape[1] - 1}, got {wanted[row]} at row {row}")
    return likely, wanted.astype(np.int64, copy=False)


def _sides(size: tuple[ArrayLike, ArrayLike] | None, images: int, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """Return the divisors of centre x, centre y, width and height for every image."""
    sides = [in_dtype(side, dtype) for side in as_sides((1.0, 1.0) if size is None else size)]
    if any(side.shape not in ((), (images,)) for side in sides):
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"expected size=(width, height) as scalars or arrays of shape ({images},), got {shapes}")
    if not all(np.all(np.isfinite(side) & (side > 0)) for side in sides):
        raise ValueError(f"expected a size of finite numbers above 0, got {shown(size)}")
    return [np.broadcast_to(side, images) for side in sides] * 2


def _centres(boxes: Boxes) -> tuple[NDArray[Any], ...]:
    """Return centre x, centre y, width and height of boxes."""
    if boxes.format == "cxcywh":
        return boxes.columns
    half = boxes.dtype.type(0.5)
    with np.errstate(invalid="ignore", over="ignore"):
        x0, y0, x1, y1 = boxes.corners().T
        return half * (x0 + x1), half * (y0 + y1), x1 - x0, y1 - y0


def _copies(repeat: ArrayLike, images: int) -> Ints:
    """Return the copies of truths in each image."""
    found = np.asarray(repeat)
    if found.dtype.kind not in "iu" or found.shape not in ((), (images,)) or (found < 1).any():
        raise ValueError(
            f"expected repeat as a whole number of at least 1, or one for each of {images} images, got {shown(repeat)}"
        )
    return np.broadcast_to(found.astype(np.int64), (images,))


def _check_groups(groups: int, starts: Ints) -> None:
    """Refuse images whose detections can't be cut into equal groups."""
    uneven = np.flatnonzero(np.diff(starts) % groups)
    if len(uneven):
        n = int(np.diff(starts)[uneven[0]])
        where = f" of image number {uneven[0]}" if len(starts) > 2 else ""
        raise ValueError(
            f"expected detections{where} in {groups} groups of one length, got {n}: give all queries, and the number "
            f"of groups that they were made in"
        )


def _solved_in_groups(costs: NDArray[Any], copies: int, groups: int, solve: Any) -> tuple[Ints, Ints]:
    """Return rows and columns of the matchings of each group of rows with copies of the columns, by row."""
    n, m = costs.shape
    whole = np.tile(costs, copies) if copies > 1 else costs
    found = [_solved(part, solve) for part in np.split(whole, groups)] if groups > 1 else [_solved(whole, solve)]
    rows = [met + k * (n // groups) for k, (met, _) in enumerate(found)]
    return np.concatenate(rows), np.concatenate([matched for _, matched in found]) % max(m, 1)


def _solved(costs: NDArray[Any], solve: Any) -> tuple[Ints, Ints]:
    """Return rows and columns of the matching with the most pairs of finite cost, and among these the lowest cost."""
    finite = np.isfinite(costs)
    if finite.all():
        met, matched = solve(costs)
        return met, matched
    rows, cols = np.flatnonzero(finite.any(axis=1)), np.flatnonzero(finite.any(axis=0))
    inside = np.ix_(rows, cols)
    possible, worth = finite[inside], costs[inside].astype(np.float64)
    worth[~possible] = 1 + 2 * np.abs(worth[possible]).sum()  # above the total of all other costs
    met, matched = solve(worth)
    kept = possible[met, matched]
    return rows[met[kept]], cols[matched[kept]]
