"""Fit a few widths and heights to those of many boxes: k-means with the distance 1 - IoU, differential evolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple

__all__ = ["Cover", "by_area", "cluster", "cover", "mean_best", "refine"]

Floats = NDArray[np.float64]

RESTARTS = 5  # repetitions of the clustering: on COCO the best of five is within 0.5% of the refined result
ROUNDS = 100
POPULATION = 64
GENERATIONS = 300
SPREAD = 0.1  # the spread of the first generation around the clusters, as a share of the square root of a side
DIGITS = 4  # significant digits of shapes: figures are measured with the shapes that are printed

ROWS = 16_384  # boxes below which another thread does not pay


class Cover(NamedTuple):
    """The best IoU of each box with the shapes, the number of the shape that has this IoU, and the best fit of the box.

    A fit is the lower of two ratios: the smaller width over the larger one, and the same of heights.
    """

    overlaps: Floats
    indices: NDArray[np.int64]
    fits: Floats


def cover(w: Floats, h: Floats, shapes: Floats) -> Cover:
    """Compare boxes of widths and heights (n,) with shapes (k, 2), all centred on one point; the first shape wins ties.

    Examples
    --------
    >>> import numpy as np
    >>> cover(np.array([4.0]), np.array([4.0]), np.array([[2.0, 4.0], [8.0, 8.0]]))
    Cover(overlaps=array([0.5]), indices=array([0]), fits=array([0.5]))
    """
    from fastbox.kernels.common.anchor_shapes import NEAREST

    kernel = NEAREST[w.dtype, ""]
    found = Cover(np.empty(len(w)), np.empty(len(w), np.int64), np.empty(len(w)))
    parallel.run_blocks(kernel, ((w, h), shapes), tuple(found), len(w), 1024, ROWS)
    return found


def mean_best(w: Floats, h: Floats, candidates: Floats) -> Floats:
    """Return the mean best IoU of all boxes with each set of shapes, (c,); candidates are of shape (c, k, 2)."""
    from fastbox.kernels.common.anchor_shapes import COVERED

    kernel = COVERED[w.dtype, ""]
    sums = np.empty(len(candidates))
    smallest = max(1, ROWS // max(1, len(w) * candidates.shape[1]))
    parallel.run_blocks(kernel, ((w, h), candidates), sums, len(candidates), 1, smallest)
    return sums / len(w)


def cluster(w: Floats, h: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Find shapes (count, 2) by k-means with the distance 1 - IoU, the best of several repetitions.

    Redmon and Farhadi, YOLO9000, CVPR 2017, section 2. Centres start from k-means++ (Arthur and Vassilvitskii, SODA
    2007) and moved to the median of their boxes, which a few huge boxes do not change. A centre that loses all its
    boxes moves to the box with the lowest IoU, so that the number of centres stays. There must be at least `count`
    different boxes.
    """
    runs = [_run(w, h, _begin(w, h, count, rng)) for _ in range(RESTARTS)]
    return max(runs, key=lambda run: run[0])[1]


def refine(w: Floats, h: Floats, shapes: Floats, optimize: Any, rng: np.random.Generator) -> Floats:
    """Improve shapes by SciPy's differential evolution (Storn and Price, 1997) of their mean best IoU.

    The search is over square roots of sides: they spread small sides, and every processor rounds them alike.
    """
    start = np.sqrt(shapes).ravel()
    low, high = np.sqrt(min(w.min(), h.min())), np.sqrt(max(w.max(), h.max()))
    first = np.clip(start * (1 + SPREAD * rng.standard_normal((POPULATION, len(start)))), low, high)
    first[0] = start

    def lacking(columns: Floats) -> Floats:
        roots = np.ascontiguousarray(columns.T).reshape(-1, *shapes.shape)
        return 1 - mean_best(w, h, roots * roots)

    found = optimize.differential_evolution(
        lacking,
        [(low, high)] * len(start),
        init=first,
        maxiter=GENERATIONS,
        tol=0,
        polish=False,
        updating="deferred",
        vectorized=True,
        rng=rng,
    )
    refined: Floats = np.square(found.x).reshape(shapes.shape)
    return refined


def by_area(shapes: Floats) -> Floats:
    """Return shapes in their final form: four significant digits, the smallest area first, then the narrowest.

    Examples
    --------
    >>> import numpy as np
    >>> by_area(np.array([[10.0, 20.0], [3.14159, 12345.678], [20.0, 10.0]])).tolist()
    [[10.0, 20.0], [20.0, 10.0], [3.142, 12350.0]]
    """
    rounded = np.array([[float(f"{side:.{DIGITS}g}") for side in shape] for shape in shapes])
    return rounded[np.lexsort((rounded[:, 0], rounded.prod(axis=1)))]


def _begin(w: Floats, h: Floats, count: int, rng: np.random.Generator) -> Floats:
    rows = [int(rng.integers(len(w)))]
    best = np.zeros(len(w))
    while len(rows) < count:
        best = np.maximum(best, cover(w, h, _at(w, h, rows[-1:])).overlaps)
        far = np.cumsum(1 - best)
        row = int(np.searchsorted(far, rng.random() * far[-1], side="right"))
        rows.append(min(row, len(w) - 1))  # if all boxes are equal within rounding, no distance is above 0
    return _at(w, h, rows)


def _run(w: Floats, h: Floats, shapes: Floats) -> tuple[float, Floats]:
    """Move the centres until no box changes its centre; return the best mean IoU of all rounds, and its centres."""
    best, kept, last = -1.0, shapes, np.empty(0, np.int64)
    for _ in range(ROUNDS):
        overlaps, indices, _ = cover(w, h, shapes)
        mean = float(overlaps.mean())
        if mean > best:
            best, kept = mean, shapes
        if np.array_equal(indices, last):
            break
        last, shapes = indices, shapes.copy()
        for k in range(len(shapes)):
            mine = indices == k
            if mine.any():
                shapes[k] = np.median(w[mine]), np.median(h[mine])
            else:
                row = int(np.argmin(overlaps))
                shapes[k] = w[row], h[row]
                overlaps = np.maximum(overlaps, cover(w, h, shapes[k : k + 1]).overlaps)
    return best, kept


def _at(w: Floats, h: Floats, rows: list[int]) -> Floats:
    return np.stack([w[rows], h[rows]], axis=1)
