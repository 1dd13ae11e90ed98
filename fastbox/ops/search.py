"""Comparisons of two sets of boxes. Each function checks its arguments, allocates the result and runs one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.kernels.codes import NO_SCREEN, PLAIN
from fastbox.kernels.metrics import FACTS
from fastbox.ops import few
from fastbox.ops import indexing as index
from fastbox.ops.bins import edges_of
from fastbox.ops.checks import STREAMED_BYTES, as_collection, by_image, output
from fastbox.ops.geometry import Sides, sides_of
from fastbox.ops.result import Best, Pairs, Ragged, Top, in_row_order
from fastbox.values.arguments import named
from fastbox.values.numbers import as_number, below_rounded, in_dtype, shown
from fastbox.values.spare import empty

__all__ = ["best", "histogram", "pairs", "pairwise", "top"]

FEW_PAIRS = 16  # rows for each pair found from which sorting the pairs is faster than a count of pairs for each row
SCATTERED = 50_000  # pairs found from which another thread pays that moves them to their places


@named
def pairwise(
    a: Any, b: Any, *, metric: str = "iou", beta: float = 1.0, out: NDArray[Any] | None = None
) -> NDArray[Any] | Ragged:
    """Compute a metric of every box of a with every box of b.

    Parameters
    ----------
    a, b : Boxes, RotatedBoxes or array of shape (n, 4) and (m, 4)
        Arrays are xyxy corners in pixels. Grouped sets are compared image by image; a frame or an Arrow table with a
        column ``image_id`` is grouped by it.
    metric : str
        A name from ``fastbox.METRICS``; of rotated boxes ``iou``, ``iof``, ``ios``, ``giou`` or ``probiou``.
    beta : float
        The distance in pixels from which ``smooth_l1`` is linear.
    out : array, optional
        The array to write: C-contiguous, of the result's dtype and shape, in memory of its own; for grouped sets
        one-dimensional, as long as all matrices together. Reusing a large array is two to four times faster than making
        a new one.

    Returns
    -------
    array of shape (n, m), or Ragged
        float32 if both are, else float64. nan for invalid boxes. For grouped sets one matrix for each image.

    Raises
    ------
    ValueError, TypeError
        Unknown metric, no boxes, image ids of two kinds, a wrong shape, an unfit `out`, or only one side grouped.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.pairwise([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 5]])
    array([[1.        , 0.33333333, 0.        ]])
    """
    if (found := few.values_of(a, b, metric, beta, out=out)) is not None:
        return found
    a, b, starts_a, starts_b = by_image(a, b, metric, beta)
    grouped = a.offsets is not None
    if grouped:
        shapes = np.stack([np.diff(starts_a), np.diff(starts_b)], axis=1)
        offsets = np.concatenate(([0], np.cumsum(shapes[:, 0] * shapes[:, 1])))
    else:
        offsets = np.array([0, len(a) * len(b)])
    shape = (int(offsets[-1]),) if grouped else (len(a), len(b))
    reused = out is not None
    out = output(out, shape, a.dtype, inputs=(*a.columns, *b.columns))
    sides = sides_of(a, b)
    kernel = sides.kernel("MATRIX", metric)
    common = _arguments(sides, starts_a, starts_b, beta)
    written = offsets, reused and out.nbytes >= STREAMED_BYTES and sides.geometry == PLAIN, out.reshape(-1)
    parallel.run(kernel, [(*common, span, written) for span in sides.cuts(starts_a, starts_b)])
    return Ragged(out, offsets, shapes) if grouped else out


@named
def best(a: Any, b: Any, *, metric: str = "iou", beta: float = 1.0) -> Best:
    """Find for each box of a the box of b with the best value, without the matrix.

    The highest value is best, for the distances ``l1`` and ``smooth_l1`` the lowest; at ties the lowest row of b. In
    grouped sets only boxes of the same image are compared; indices are always rows of b, so ``b[indices]`` works.

    Returns
    -------
    Best
        ``values`` and ``indices``, both of shape (n,); nan and -1 without a valid pair.

    Raises
    ------
    ValueError, TypeError
        As :func:`pairwise`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.best([[0, 0, 2, 2], [0, 0, float("nan"), 2]], [[9, 9, 10, 10], [1, 0, 3, 2]])
    Best(values=array([0.33333333,        nan]), indices=array([ 1, -1]))
    """
    values, indices = _leaders(a, b, 1, metric, beta, "BEST")
    return Best(values.reshape(-1), indices.reshape(-1))


@named
def top(a: Any, b: Any, k: int, *, metric: str = "iou", beta: float = 1.0) -> Top:
    """Find for each box of a the k boxes of b with the best values, best first, without the matrix.

    Order, ties and grouping are as in :func:`best`.

    Returns
    -------
    Top
        ``values`` and ``indices``, both of shape (n, k); nan and -1 if there are fewer than k valid pairs.

    Raises
    ------
    ValueError, TypeError
        As :func:`pairwise`, and if k is not a whole number of at least 1.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.top([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 2]], 3).indices
    array([[ 1,  0, -1]])
    """
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"expected k to be a whole number of at least 1, got {shown(k)}")
    return Top(*_leaders(a, b, int(k), metric, beta, "TOP"))


@named
def pairs(a: Any, b: Any = None, *, threshold: float, metric: str = "iou", beta: float = 1.0) -> Pairs:
    """Find all pairs whose value reaches the threshold, without the matrix.

    A pair reaches the threshold if its value is at or above the threshold, for distances at or below; the threshold is
    rounded to the boxes' dtype. Without b: pairs i < j within a. In grouped sets only boxes of the same image are
    compared.

    Returns
    -------
    Pairs
        ``rows``, ``cols`` and ``values``, by row, then column.

    Raises
    ------
    ValueError, TypeError
        As :func:`pairwise`, and if the threshold is nan.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.pairs([[0, 0, 2, 2], [1, 0, 3, 2], [0, 0, 2, 2]], threshold=0.5)
    Pairs(rows=array([0]), cols=array([2]), values=array([1.]))
    """
    alone = b is None
    met = None if isinstance(a, Collection) else few.values_of(a, a if alone else b, metric, beta, searched=True)
    if met is not None:
        return Pairs(*few.reaching(met, _least(threshold, met.dtype), metric, alone=alone))
    if alone:
        a = b = as_collection(a, "a")
    a, b, starts_a, starts_b = by_image(a, b, metric, beta)
    least, sides = _least(threshold, a.dtype), sides_of(a, b)
    below = least if FACTS[metric].distance else below_rounded(least, sides.dtype)
    found = _indexed(sides, starts_a, starts_b, metric) if below >= FACTS[metric].least_of_overlap else []
    counts = np.zeros(len(a), np.int64)
    common = beta, *_ = _arguments(sides, starts_a, starts_b, beta, found)
    spans = sides.cuts(*common[-1])
    parts = parallel.run(sides.kernel("PAIRS", metric), [(*common, span, (below, alone), counts) for span in spans])
    if found:
        parts += index.query(sides.kernel("INDEXED_PAIRS", metric), beta, found, (below, alone), counts)
    total = sum(len(part[0]) for part in parts)
    if parts and not found and total < len(a) // FEW_PAIRS:
        return in_row_order(parts, a.dtype)
    ends = np.cumsum(counts)
    rows, cols, values = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, sides.dtype)
    scatter, places = parallel.kernels("compare.dense").SCATTER[sides.dtype, ""], ends - counts
    moves = [(part, places, (rows, cols, values)) for part in parts]
    if total < SCATTERED:
        for move in moves:
            scatter(*move)
    else:
        parallel.run(scatter, moves)
    if found:
        index.order(found, ends, cols, values)
    return Pairs(rows, cols, values.astype(a.dtype, copy=False))


@named
def histogram(
    a: Any,
    b: Any,
    *,
    bins: int = 20,
    range: tuple[float, float] | None = None,
    metric: str = "iou",
    beta: float = 1.0,
) -> NDArray[np.int64]:
    """Count the values of all pairs in equal bins, without the matrix; counts of parts add up to those of the whole.

    The bins are those of ``numpy.histogram``: closed below, the last one above too; values outside are left out.

    Parameters
    ----------
    bins : int
    range : (low, high), optional
        By default the range of the metric, if it has one.

    Returns
    -------
    array of int64, shape (bins,)

    Raises
    ------
    ValueError, TypeError
        As :func:`pairwise`, and if bins or range are out of bounds.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.histogram([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], bins=4)
    array([1, 1, 0, 1])
    """
    a, b, starts_a, starts_b = by_image(a, b, metric, beta)
    if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
        raise ValueError(f"expected bins to be a whole number of at least 1, got {shown(bins)}")
    if range is None and not FACTS[metric].bounded:
        raise ValueError(f"expected range=(low, high) for {metric}, which has no range of its own, got none")
    sides = sides_of(a, b)
    edges = edges_of(bins, FACTS[metric].range if range is None else range, a.dtype).astype(sides.dtype, copy=False)
    kernel = sides.kernel("HISTOGRAM", metric)
    common = _arguments(sides, starts_a, starts_b, beta)

    def count(*span: int) -> NDArray[np.int64]:
        counts = np.zeros(bins, np.int64)
        kernel(*common, span, (edges, counts))
        return counts

    return sum(parallel.run(count, sides.cuts(starts_a, starts_b)), np.zeros(bins, np.int64))


def _least(threshold: float, dtype: np.dtype[Any]) -> Any:
    least = in_dtype(as_number(threshold, "threshold"), dtype)
    if least != least:
        raise ValueError("expected a threshold that is a number, got nan")
    return least


def _leaders(a: Any, b: Any, k: int, metric: str, beta: float, which: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the k best values and their indices for each row of a, both of shape (n, k)."""
    met = few.values_of(a, b, metric, beta, searched=True)
    if met is not None:
        return few.leaders(met, k, metric)
    a, b, starts_a, starts_b = by_image(a, b, metric, beta)
    sides = sides_of(a, b)
    which = which if sides.geometry == PLAIN else "TOP"  # of one: only measured where frames leave room
    found = _indexed(sides, starts_a, starts_b, metric)
    values, indices = _dense_leaders(sides, starts_a, starts_b, k, metric, beta, which, found)
    if found:
        outputs = (values, indices) if which == "TOP" else (values.reshape(-1), indices.reshape(-1))
        index.query(sides.kernel(f"INDEXED_{which}", metric), in_dtype(beta, sides.rounded), found, outputs)
    for one in found:
        if FACTS[metric].zero_apart:
            index.fill_zeros(one, a, b, values, indices)
            continue
        rows = one.rows[0] + np.flatnonzero(indices[slice(*one.rows), -1] < 0)
        others = b[slice(*one.cols)]
        ends = np.array([0, len(rows)]), np.array([0, len(others)])
        values[rows], columns = _dense_leaders(sides_of(a[rows], others), *ends, k, metric, beta, which)
        indices[rows] = np.where(columns < 0, -1, columns + one.cols[0])
    return values.astype(a.dtype, copy=False), indices


def _dense_leaders(
    sides: Sides,
    starts_a: NDArray[np.int64],
    starts_b: NDArray[np.int64],
    k: int,
    metric: str,
    beta: float,
    which: str,
    found: Sequence[index.Indexed] = (),
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows = int(starts_a[-1])
    values, indices = empty((rows, k), sides.dtype), empty((rows, k), np.int64)
    common = _arguments(sides, starts_a, starts_b, beta, found)
    outputs = (values, indices) if which == "TOP" else (values.reshape(-1), indices.reshape(-1))
    spans = sides.cuts(*common[-1])
    parallel.run(sides.kernel(which, metric), [(*common, span, outputs) for span in spans])
    return values, indices


def _arguments(
    sides: Sides,
    starts_a: NDArray[np.int64],
    starts_b: NDArray[np.int64],
    beta: float,
    found: Sequence[index.Indexed] = (),
) -> tuple[Any, ...]:
    skip = np.zeros(len(starts_a) - 1, np.bool_)  # the images that have an index: dense kernels leave them out
    if found:
        skip[[one.image for one in found]] = True
    return in_dtype(beta, sides.rounded), sides.args, (starts_a, starts_b, skip)


def _indexed(
    sides: Sides, starts_a: NDArray[np.int64], starts_b: NDArray[np.int64], metric: str
) -> list[index.Indexed]:
    rows_a, rows_b, facts = int(starts_a[-1]), int(starts_b[-1]), FACTS[metric]
    if facts.screen == NO_SCREEN or rows_a * rows_b < index.GAIN * (rows_a + rows_b):  # nor has any image enough pairs
        return []
    return index.plan(sides, starts_a, starts_b, angles=facts.angles or sides.geometry != PLAIN)
