"""Boxes as deltas from anchors (Girshick et al., R-CNN, CVPR 2014, appendix C), and deltas as boxes."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.by_row import Sides, by_row, few_by_row
from fastbox.boxes.container import as_boxes
from fastbox.kernels.codes import LANES
from fastbox.values.arguments import named
from fastbox.values.formats import FORMATS
from fastbox.values.numbers import as_array, as_choice, as_floats, as_number, in_dtype, shown
from fastbox.values.spare import empty

__all__ = ["decode", "encode"]

CLAMPS = ("above", "both")
MAX_RATIO = 1000 / 16
SMALLEST = 8192  # boxes that make a thread worth waking

ONES, ZEROS = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0)  # the defaults: equal constants of a module are one object
Four = tuple[float, float, float, float]
Terms = tuple[tuple[Any, ...], ...]  # weights, means and standard deviations, as kernels take them


@named
def encode(
    boxes: Any,
    anchors: Any,
    *,
    weights: Four = (1.0, 1.0, 1.0, 1.0),
    means: Four = (0.0, 0.0, 0.0, 0.0),
    stds: Four = (1.0, 1.0, 1.0, 1.0),
) -> NDArray[Any]:
    """Compute the deltas that move and stretch each anchor onto its box.

    The deltas are wx (x - xa) / wa, wy (y - ya) / ha, ww log(w / wa) and wh log(h / ha), of centres, widths and
    heights; then means are subtracted and stds divided by. torchvision and detectron2 have the weights, mmdetection the
    means and stds: weights of (10, 10, 5, 5) are stds of (0.1, 0.1, 0.2, 0.2).

    Parameters
    ----------
    boxes, anchors : Boxes or array of shape (n, 4)
        Row i of one belongs to row i of the other. Arrays are xyxy corners in pixels; grouping makes no difference.
    weights, means, stds : four floats
        For x, y, w and h.

    Returns
    -------
    array of shape (n, 4)
        float32 if both are, else float64. A row is nan, never infinite, where a box or an anchor is invalid or has a
        side of 0, or where a delta is beyond the dtype: ``numpy.isnan(deltas[:, 0]).sum()`` counts them.

    Raises
    ------
    ValueError
        Lengths that differ, or invalid weights, means or stds.

    Examples
    --------
    >>> from fastbox.coder import encode
    >>> encode([[2, 0, 6, 4], [3, 3, 3, 9]], [[0, 0, 4, 4], [0, 0, 4, 4]], weights=(10, 10, 5, 5))
    array([[ 5.,  0.,  0.,  0.],
           [nan, nan, nan, nan]])
    """
    defaults = weights is stds is ONES and means is ZEROS
    if defaults and (few := few_by_row(boxes, anchors)) is not None:
        deltas = _encoded(len(boxes), boxes.dtype, few, _default_terms(boxes.dtype))
        if not math.isnan(np.minimum.reduce(deltas, None)):
            return deltas
    n, dtype, sides, _ = by_row(boxes, anchors, ("boxes", "anchors"), ("boxes", "anchors"))
    return _encoded(n, dtype, sides, _terms(weights, means, stds, dtype))


@named
def decode(
    deltas: Any,
    anchors: Any,
    *,
    weights: Four = (1.0, 1.0, 1.0, 1.0),
    means: Four = (0.0, 0.0, 0.0, 0.0),
    stds: Four = (1.0, 1.0, 1.0, 1.0),
    clamp: str | None = "above",
    max_ratio: float = MAX_RATIO,
    ctr_clamp: float | None = None,
    size: tuple[Any, Any] | None = None,
    format: str = "xyxy",
) -> NDArray[Any]:
    """Move and stretch anchors by deltas: the inverse of :func:`encode`.

    Parameters
    ----------
    deltas : array of shape (n, 4), (n, 4 k) or (n, k, 4)
        Deltas of one box for each anchor, or of k boxes, one for each class.
    anchors : Boxes or array of shape (n, 4)
        Arrays are xyxy corners in pixels; grouping makes no difference.
    weights, means, stds : four floats
        The values that the deltas were encoded with.
    clamp : str, optional
        ``"above"``: no side grows by more than `max_ratio` (torchvision, detectron2); ``"both"``: nor shrinks by more
        (mmdetection); None: no limit.
    max_ratio : float
        At least 1.
    ctr_clamp : float, optional
        No centre moves farther than this in either direction, in pixels (YOLOF: 32, with clamp ``"above"``).
    size : (width, height), optional
        Clip the boxes to the image: scalars, or one of each per anchor, in pixels.
    format : str
        The format of the result: xyxy, xywh, cxcywh or yxyx.

    Returns
    -------
    array of shape (n, 4) or (n, k, 4)
        float32 if both are, else float64. A row is nan where an anchor is invalid or has a side of 0.

    Raises
    ------
    ValueError
        Shapes that do not match, or an invalid option.

    Examples
    --------
    >>> from fastbox.coder import decode
    >>> decode([[0.5, 0, 0, 0], [0, 0, 99, 0]], [[0, 0, 4, 4], [0, 0, 4, 4]], size=(100, 100))
    array([[  2.,   0.,   6.,   4.],
           [  0.,   0., 100.,   4.]])
    """
    few = few_by_row(deltas, anchors)
    if few is None:
        rows, shape, sides = _rows_of(deltas, anchors)
    else:
        rows, shape, sides = deltas, deltas.shape, few[1]
    n, dtype = len(rows), rows.dtype
    limits = _limits(clamp, max_ratio, ctr_clamp, size is not None, dtype)
    as_choice(format, FORMATS, "a format")
    terms = _terms(weights, means, stds, dtype)
    given = terms, limits, rows, sides, _bounds(size, n, dtype), FORMATS.index(format)
    out, classes = empty(rows.shape, dtype), rows.shape[1] // 4
    smallest = max(1, SMALLEST // max(1, classes))
    parallel.run_blocks(parallel.kernel("loss.coder", "DECODE", dtype), given, out, n, LANES, smallest)
    if few is not None and math.isnan(np.minimum.reduce(out, None)):
        as_boxes(anchors, "anchors", grouped=False)  # warns of inverted ones
    return out if shape[1:] == (4,) else out.reshape(n, classes, 4)


def _rows_of(deltas: Any, anchors: Any) -> tuple[NDArray[Any], tuple[int, ...], tuple[Any, ...]]:
    """Read deltas and anchors: a row of deltas for each anchor, the shape they had, and the anchors as kernels do."""
    a, given = as_boxes(anchors, "anchors", grouped=False), as_floats(deltas, "deltas")
    n = len(a)
    if given.ndim == 1 and given.size == 0:
        given = given.reshape(0, 4)
    by_class = given.ndim == 3 and given.shape[2] == 4
    if given.shape[:1] != (n,) or not (by_class or (given.ndim == 2 and given.shape[1] % 4 == 0)):
        raise ValueError(f"expected deltas of shape ({n}, 4), ({n}, 4 k) or ({n}, k, 4), got {given.shape}")
    dtype = given.dtype if given.dtype == a.dtype else np.result_type(given, a.dtype)
    rows = given.reshape(n, math.prod(given.shape[1:])).astype(dtype, copy=False)
    return rows, given.shape, a.astype(dtype).kernel_args()


def _limits(clamp: Any, max_ratio: Any, ctr_clamp: Any, clipped: bool, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return the limits of growth, of moves and of coordinates; those of plain numbers are read once."""
    plain = (clamp is None or type(clamp) is str) and {type(max_ratio), type(ctr_clamp)} <= {int, float, type(None)}
    return (_plain_limits if plain else _read_limits)(clamp, max_ratio, ctr_clamp, clipped, dtype)


def _read_limits(clamp: Any, max_ratio: Any, ctr_clamp: Any, clipped: bool, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    if clamp is not None and not (isinstance(clamp, str) and clamp in CLAMPS):
        raise ValueError(f"expected clamp to be {', '.join(map(repr, CLAMPS))} or None, got {shown(clamp)}")
    if not as_number(max_ratio, "max_ratio") >= 1:
        raise ValueError(f"expected max_ratio to be at least 1, got {max_ratio!r}")
    if ctr_clamp is not None and not as_number(ctr_clamp, "ctr_clamp") >= 0:
        raise ValueError(f"expected ctr_clamp to be at least 0, got {ctr_clamp!r}")
    shrink, grow = limits_of(clamp, float(max_ratio))
    move = math.inf if ctr_clamp is None else ctr_clamp
    return *(in_dtype(limit, dtype) for limit in (shrink, grow, move)), dtype.type(0 if clipped else -math.inf)


_plain_limits = lru_cache(maxsize=64)(_read_limits)


@lru_cache(maxsize=64)
def limits_of(clamp: str | None, max_ratio: float) -> tuple[float, float]:
    """Return the least and the greatest logarithm of the growth of a side."""
    if clamp is None:
        return -math.inf, math.inf

    from fastbox.kernels.geometry.elementary import FUNCTIONS

    grow = np.empty(1)
    FUNCTIONS[grow.dtype, "log"](np.array([max_ratio], np.float64), grow)
    return (-grow[0] if clamp == "both" else -math.inf), grow[0]


def _encoded(n: int, dtype: np.dtype[Any], sides: Sides, terms: Terms) -> NDArray[Any]:
    """Return the deltas of n boxes from their anchors."""
    deltas = empty((n, 4), dtype)
    kernel = parallel.kernel("loss.coder", "ENCODE", dtype)
    parallel.run_blocks(kernel, (terms, *sides), deltas, n, LANES, SMALLEST)
    return deltas


def _terms(weights: Any, means: Any, stds: Any, dtype: np.dtype[Any]) -> Terms:
    """Return weights, means and standard deviations in a dtype; plain ones, which most calls repeat, are read once."""
    plain = type(weights) is type(means) is type(stds) is tuple
    if plain and {*map(type, (*weights, *means, *stds))} <= {int, float}:
        return _plain_terms(weights, means, stds, dtype)
    return _read_terms(weights, means, stds, dtype)


@cache
def _default_terms(dtype: np.dtype[Any]) -> Terms:
    return _read_terms(ONES, ZEROS, ONES, dtype)


@lru_cache(maxsize=64)
def _plain_terms(weights: Four, means: Four, stds: Four, dtype: np.dtype[Any]) -> Terms:
    return _read_terms(weights, means, stds, dtype)


def _read_terms(weights: Any, means: Any, stds: Any, dtype: np.dtype[Any]) -> Terms:
    terms = []
    for name, values, positive in (("weights", weights, True), ("means", means, False), ("stds", stds, True)):
        four = as_array(values, name)
        if four.shape != (4,) or four.dtype.kind not in "iuf" or not np.isfinite(four).all():
            raise ValueError(f"expected {name} to be four finite numbers, got {shown(values)}")
        if positive and not (four > 0).all():
            raise ValueError(f"expected {name} above 0, got {shown(values)}")
        cast = in_dtype(four, dtype)
        if not np.isfinite(cast).all() or (positive and not (cast > 0).all()):
            raise ValueError(f"expected {name} that {dtype} holds, got {shown(values)}: give float64 boxes")
        terms.append(tuple(cast.tolist()))
    return tuple(terms)


def _bounds(size: tuple[Any, Any] | None, n: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Return the greatest x and y of each row, without a copy where all rows have the same."""
    if size is None:
        return (_repeated(_endless(dtype), n),) * 2
    plain = type(size) is tuple and {*map(type, size)} <= {int, float}
    sides = (_plain_sides if plain else _sides_of)(size, n, dtype)
    return tuple(side if side.ndim else _repeated(side, n) for side in sides)


def _sides_of(size: Any, n: int, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """Return the width and the height of the images: of all rows, or of each of n."""
    try:
        sides = [in_dtype(as_floats(side, "size"), dtype) for side in size]
    except (TypeError, ValueError):
        sides = []
    if len(sides) != 2 or not all(side.shape in ((), (n,)) and (side >= 0).all() for side in sides):
        raise ValueError(
            f"expected size=(width, height) of at least 0, as scalars or of shape ({n},), got {shown(size)}"
        )
    return sides


_plain_sides = lru_cache(maxsize=64)(_sides_of)


@cache
def _endless(dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.array(math.inf, dtype)


def _repeated(number: NDArray[Any], n: int) -> NDArray[Any]:
    """Return a number n times, without a copy; ``numpy.broadcast_to`` would take ten times as long for few."""
    return np.ndarray((n,), number.dtype, number, strides=(0,))
