"""Regression losses between predicted and target boxes, summed in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes import Boxes, as_floats

__all__ = ["huber_loss", "l1_loss", "smooth_l1_loss"]

REDUCTIONS = ("none", "box", "sum", "mean")
SMALLEST = 262_144  # elements that make a thread worth waking


def smooth_l1_loss(pred: Any, target: Any, *, beta: float = 1.0, reduction: str = "mean") -> NDArray[Any] | float:
    """Compute 0.5 d²/beta where |d| < beta, and |d| - 0.5 beta elsewhere, of each coordinate (Girshick, Fast R-CNN).

    Parameters
    ----------
    pred, target : array or Boxes
        Arrays of one shape are taken number by number, box deltas as well as boxes, as torch does. Boxes are compared
        corner by corner, and one that is invalid gives nan.
    beta : float
        Where the loss turns linear, in pixels; 0 is exactly the L1 loss.
    reduction : str
        ``"none"``: one for each coordinate; ``"box"``: summed over the four of each box; ``"sum"``; ``"mean"`` over
        the coordinates, nan of nothing.

    Returns
    -------
    array or float
        Arrays are float32 if both inputs are, else float64. Sums accumulate in float64 in a fixed order: the same bits
        for any number of threads.

    Raises
    ------
    ValueError
        Unequal shapes, a negative beta, an unknown reduction, or ``"box"`` where the last axis isn't 4 long.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.smooth_l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]], reduction="none")
    array([[0.125, 0.   , 0.   , 2.5  ]])
    >>> fastbox.smooth_l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]])
    0.65625
    """
    if not beta >= 0:
        raise ValueError(f"expected beta to be at least 0, got {beta!r}")
    return _loss("smooth_l1_unit" if beta == 1 else "smooth_l1", pred, target, beta, reduction)


def huber_loss(pred: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> NDArray[Any] | float:
    """Compute 0.5 d² where |d| < delta, and delta (|d| - 0.5 delta) elsewhere (Huber 1964).

    It is delta times :func:`smooth_l1_loss` at beta = delta, whose parameters and results it shares.

    Raises
    ------
    ValueError
        As there, and if delta is not above 0.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.huber_loss([0.0, 0.0], [1.0, 4.0], delta=2.0, reduction="none")
    array([0.5, 6. ])
    """
    if not delta > 0:
        raise ValueError(f"expected delta above 0, got {delta!r}")
    return _loss("huber", pred, target, delta, reduction)


def l1_loss(pred: Any, target: Any, *, reduction: str = "mean") -> NDArray[Any] | float:
    """Compute |d| of each coordinate; parameters and results are those of :func:`smooth_l1_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]], reduction="box")
    array([3.5])
    """
    return _loss("l1", pred, target, 0.0, reduction)


def _loss(formula: str, pred: Any, target: Any, beta: float, reduction: str) -> NDArray[Any] | float:
    if reduction not in REDUCTIONS:
        raise ValueError(f"expected a reduction of {', '.join(REDUCTIONS)}, got {reduction!r}")
    pred, target = _numbers(pred), _numbers(target)
    shape = pred.shape
    if target.shape != shape:
        raise ValueError(f"expected pred and target of one shape, got {shape} and {target.shape}")
    if reduction == "box" and shape[-1:] != (4,):
        raise ValueError(f'expected a last axis of 4 coordinates for reduction="box", got shape {shape}')
    dtype = np.result_type(pred, target)
    pred = np.ascontiguousarray(pred, dtype).reshape(-1)
    target = np.ascontiguousarray(target, dtype).reshape(-1)
    beta = dtype.type(beta)

    from fastbox.kernels import losses

    if reduction == "box":
        out = np.empty(shape[:-1], dtype)
        kernel, flat = losses.BOXED[dtype, formula], out.reshape(-1)
        pieces = parallel.blocks(out.size, 1, SMALLEST // 4)
        parallel.run(lambda first, last: kernel(pred, target, beta, first, last, flat), pieces)
        return out
    pieces = parallel.blocks(pred.size, losses.BLOCK, SMALLEST)
    if reduction == "none":
        out = np.empty(shape, dtype)
        kernel, flat = losses.EACH[dtype, formula], out.reshape(-1)
        parallel.run(lambda first, last: kernel(pred, target, beta, first, last, flat), pieces)
        return out
    sums = np.zeros(-(-pred.size // losses.BLOCK))
    kernel = losses.SUMMED[dtype, formula]
    parallel.run(lambda first, last: kernel(pred, target, beta, first, last, sums), pieces)
    total = _tree(sums)
    return total if reduction == "sum" else total / pred.size if pred.size else float("nan")


def _numbers(values: Any) -> NDArray[Any]:
    """Arrays as they are, boxes as corners with nan for those that are invalid."""
    if not isinstance(values, Boxes):
        return as_floats(values)
    corners = values.corners()
    corners[values.invalid() != 0] = np.nan
    return corners


def _tree(sums: NDArray[np.float64]) -> float:
    """Add neighbours until one is left: an order that only the number of blocks decides."""
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.append(sums, 0.0)
        sums = sums[0::2] + sums[1::2]
    return float(sums[0]) if len(sums) else 0.0
