"""The naive twin of every operation: NumPy broadcasting in the boxes' own dtype, obviously right and slow.

Boxes are ``(n, 4)`` corners x0, y0, x1, y1 here. Operations run in the plain IEEE order of the definitions, so that
`iou` and `giou` can be compared bit for bit, and the others to rounding. Invalid boxes are found by looking at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIMILARITIES = ("iou", "iof", "ios", "giou", "diou", "ciou", "eiou")
DISTANCES = ("l1", "smooth_l1")
METRICS = SIMILARITIES + DISTANCES
SYMMETRIC = tuple(m for m in METRICS if m != "iof")


class Found(NamedTuple):
    values: Array
    indices: Array


class PairList(NamedTuple):
    rows: Array
    cols: Array
    values: Array


class Group(NamedTuple):
    """The boxes of one image, and the row where they begin in their collection."""

    first_a: int
    a: Array
    first_b: int
    b: Array


def to_format(corners: Array, format: str) -> Array:
    """Write corners in another format."""
    x0, y0, x1, y1 = corners.T
    half = corners.dtype.type(0.5)
    columns = {
        "xyxy": (x0, y0, x1, y1),
        "xywh": (x0, y0, x1 - x0, y1 - y0),
        "cxcywh": (half * (x0 + x1), half * (y0 + y1), x1 - x0, y1 - y0),
        "yxyx": (y0, x0, y1, x1),
    }
    return np.stack(columns[format], axis=1)


def from_format(coords: Array, format: str) -> Array:
    """Read the corners of boxes in some format."""
    p, q, r, s = coords.T
    half = coords.dtype.type(0.5)
    corners = {
        "xyxy": (p, q, r, s),
        "xywh": (p, q, p + r, q + s),
        "cxcywh": (p - half * r, q - half * s, p + half * r, q + half * s),
        "yxyx": (q, p, s, r),
    }
    return np.stack(corners[format], axis=1)


def invalid(corners: Array) -> Array:
    """0 valid, 1 not finite, 2 inverted."""
    codes = np.zeros(len(corners), np.uint8)
    for i, (x0, y0, x1, y1) in enumerate(corners):
        if not all(np.isfinite(c) for c in (x0, y0, x1, y1)):
            codes[i] = 1
        elif x1 < x0 or y1 < y0:
            codes[i] = 2
    return codes


def area(boxes: Array) -> Array:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def ratio(x: Array, y: Array) -> Array:
    """x / y, and 0 where y is 0."""
    return np.where(y == 0, y.dtype.type(0), x / np.where(y == 0, y.dtype.type(1), y))


def smooth(d: Array, beta: float) -> Array:
    """Smooth L1 of a difference."""
    far = np.abs(d)
    if beta == 0:
        return far
    half, beta = d.dtype.type(0.5), d.dtype.type(beta)
    return np.where(far < beta, half * far * far / beta, far - half * beta)


def usual(boxes: Array) -> Array:
    """Whether no formula can overflow or underflow: on each axis what is farthest from 0 is 0, or in these bounds."""
    far = np.maximum(-boxes[..., :2], boxes[..., 2:])
    return (((far >= 2.0**-38) & (far <= 2.0**60)) | (far == 0)).all(-1)


def values(a: Array, b: Array, metric: str, beta: float = 1.0) -> Array:
    """The metric of boxes that broadcast against each other, with as many exponents as it takes."""
    with np.errstate(all="ignore"):
        result = _values(a, b, metric, beta)
        widest = _values(a.astype(np.longdouble), b.astype(np.longdouble), metric, beta).astype(result.dtype)
        result = np.where(usual(a) & usual(b), result, widest)
    bad = _bad(a) | _bad(b)
    return np.where(bad, result.dtype.type(np.nan), result)


def _bad(boxes: Array) -> Array:
    return ~np.isfinite(boxes).all(-1) | (boxes[..., 2] < boxes[..., 0]) | (boxes[..., 3] < boxes[..., 1])


def _values(a: Array, b: Array, metric: str, beta: float) -> Array:
    kind = a.dtype.type
    if metric == "l1":
        return np.abs(a - b).sum(-1, dtype=kind)
    if metric == "smooth_l1":
        return smooth(a - b, beta).sum(-1, dtype=kind)
    wide = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    high = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    inter = np.maximum(kind(0), wide) * np.maximum(kind(0), high)
    if metric == "iof":
        return ratio(inter, area(a) + np.zeros_like(inter))
    if metric == "ios":
        return ratio(inter, np.minimum(area(a), area(b)))
    union = area(a) + area(b) - inter
    iou = ratio(inter, union)
    if metric == "iou":
        return iou
    hull_w = np.maximum(a[..., 2], b[..., 2]) - np.minimum(a[..., 0], b[..., 0])
    hull_h = np.maximum(a[..., 3], b[..., 3]) - np.minimum(a[..., 1], b[..., 1])
    if metric == "giou":
        hull = hull_w * hull_h
        return iou - ratio(hull - union, hull)
    dx = (a[..., 0] + a[..., 2]) / kind(2) - (b[..., 0] + b[..., 2]) / kind(2)
    dy = (a[..., 1] + a[..., 3]) / kind(2) - (b[..., 1] + b[..., 3]) / kind(2)
    diou = iou - ratio(dx * dx + dy * dy, hull_w * hull_w + hull_h * hull_h)
    if metric == "diou":
        return diou
    aw, ah, bw, bh = a[..., 2] - a[..., 0], a[..., 3] - a[..., 1], b[..., 2] - b[..., 0], b[..., 3] - b[..., 1]
    if metric == "eiou":
        return diou - ratio((aw - bw) ** 2, hull_w * hull_w) - ratio((ah - bh) ** 2, hull_h * hull_h)
    assert metric == "ciou", metric
    turn = np.arctan2(bw, abs(bh)) - np.arctan2(aw, abs(ah))  # pi/2 without height, 0 of a point
    v = kind(4 / np.pi**2) * turn * turn
    alpha = np.where(v == 0, kind(0), ratio(v, kind(1) - iou + v))
    return diou - alpha * v


def pairwise(a: Array, b: Array, metric: str = "iou", beta: float = 1.0) -> Array:
    return values(a[:, None], b[None], metric, beta)


def aligned(a: Array, b: Array, metric: str = "iou", beta: float = 1.0) -> Array:
    return values(a, b, metric, beta)


def best(matrix: Array, metric: str = "iou") -> Found:
    """The best column of each row of a matrix of values; on equal values the lowest."""
    found = top(matrix, 1, metric)
    return Found(found.values[:, 0], found.indices[:, 0])


def top(matrix: Array, k: int, metric: str = "iou") -> Found:
    """The k best columns of each row, best first, lowest first among equals; nan and -1 where there are no more."""
    found = Found(np.full((len(matrix), k), np.nan, matrix.dtype), np.full((len(matrix), k), -1, np.int64))
    sign = -1 if metric in DISTANCES else 1
    for i, row in enumerate(matrix):
        numbers = np.flatnonzero(~np.isnan(row))
        order = numbers[np.argsort(-sign * row[numbers], kind="stable")][:k]
        found.values[i, : len(order)], found.indices[i, : len(order)] = row[order], order
    return found


def pairs(matrix: Array, threshold: float, metric: str = "iou", itself: bool = False) -> PairList:
    """Every pair on the good side of the threshold, which is rounded to the dtype of the values."""
    limit = matrix.dtype.type(threshold)
    keep = matrix <= limit if metric in DISTANCES else matrix >= limit
    rows, cols = np.nonzero(np.triu(keep, 1) if itself else keep)
    return PairList(rows, cols, matrix[rows, cols])


def histogram(matrix: Array, bins: int, range: tuple[float, float]) -> Array:
    return np.histogram(matrix[~np.isnan(matrix)], bins, range)[0]


Side = Sequence[tuple[Any, Array]]


def groups(a: Side, b: Side) -> Iterator[Group]:
    """Align two lists of (image id, boxes) by id, in ascending order of the ids of both."""
    nothing = np.empty((0, 4), np.result_type(*(boxes for _, boxes in [*a, *b])) if a or b else np.float64)
    first_a = first_b = 0
    for image in sorted({i for i, _ in a} | {i for i, _ in b}):
        in_a, in_b = dict(a).get(image, nothing), dict(b).get(image, nothing)
        yield Group(first_a, in_a, first_b, in_b)
        first_a, first_b = first_a + len(in_a), first_b + len(in_b)
