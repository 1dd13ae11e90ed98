"""Losses of coordinates, number by number: of boxes' corners, or of box deltas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.kernels.codes import BLOCK
from fastbox.losses.deltas import Deltas
from fastbox.losses.outcome import REDUCTIONS, Loss, Options, Outcome
from fastbox.values.arguments import named
from fastbox.values.numbers import as_choice, as_floats, as_number, as_number_from, in_dtype

__all__ = ["huber_loss", "l1_loss", "smooth_l1_loss"]

SMALLEST = 262_144  # numbers below which another thread does not pay


@named
def smooth_l1_loss(
    pred: Any,
    target: Any,
    *,
    beta: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 0.5 d²/beta where |d| < beta, and |d| - 0.5 beta elsewhere, of each coordinate (Girshick, Fast R-CNN).

    Parameters
    ----------
    pred, target : array or Boxes
        Arrays of one shape are compared number by number, deltas or boxes, as in torch. Boxes are compared corner by
        corner, and an invalid box gives nan. With :class:`fastbox.Deltas` the targets are encoded first.
    beta : float
        The difference, in pixels, from which the loss is linear; 0 is exactly the L1 loss.
    reduction : str
        ``"none"``: one loss for each coordinate; ``"box"``: the sum of the four coordinates of each box; ``"sum"``;
        ``"mean"`` over the coordinates, nan without any.
    weights : array, optional
        Factors of losses and gradients: one for each row of the last axis (each box), or one for each coordinate. The
        mean is then the weighted mean of the coordinates, so weights of 1 change nothing.
    return_grad : bool
        Also return the gradient of the loss with respect to ``pred``.
    out, grad_out : array, optional
        Arrays to write losses (not sums) and gradients to: C-contiguous, of the result's shape and dtype. Large arrays
        that are used again are written two to four times faster than those in new memory.

    Returns
    -------
    array or float, or LossAndGrad with return_grad
        Arrays are float32 if both inputs are, else float64. Sums accumulate in float64 in a fixed order: the same bits
        for any number of threads. The gradient has the shape of ``pred``, and for boxes ``(n, 4)`` in the format of
        ``pred``; it is 0 where ``d`` is 0.

    Raises
    ------
    ValueError
        Unequal shapes, a negative beta, an unknown reduction, ``"box"`` with a last axis that is not 4 long, or
        weights, ``out`` or ``grad_out`` that do not fit.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.smooth_l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]], reduction="none")
    array([[0.125, 0.   , 0.   , 2.5  ]])
    >>> fastbox.smooth_l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]], return_grad=True)
    LossAndGrad(loss=0.65625, grad=array([[-0.125,  0.   ,  0.   , -0.25 ]]))
    """
    beta = as_number_from(beta, "beta", 0)
    formula = "smooth_l1_unit" if beta == 1 else "smooth_l1"
    return _loss(formula, pred, target, beta, (reduction, weights, return_grad, out, grad_out))


@named
def huber_loss(
    pred: Any,
    target: Any,
    *,
    delta: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 0.5 d² where |d| < delta, and delta (|d| - 0.5 delta) elsewhere (Huber 1964).

    The Huber loss is delta times :func:`smooth_l1_loss` at beta = delta; all other parameters and the result are the
    same.

    Raises
    ------
    ValueError
        As for :func:`smooth_l1_loss`; a delta that is not above 0.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.huber_loss([0.0, 0.0], [1.0, 4.0], delta=2.0, reduction="none")
    array([0.5, 6. ])
    """
    if not as_number(delta, "delta") > 0:
        raise ValueError(f"expected delta above 0, got {delta!r}")
    return _loss("huber", pred, target, delta, (reduction, weights, return_grad, out, grad_out))


@named
def l1_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute |d| of each coordinate; parameters and results are those of :func:`smooth_l1_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.l1_loss([[0.0, 0, 4, 4]], [[0.5, 0, 4, 7]], reduction="box")
    array([3.5])
    """
    return _loss("l1", pred, target, 0.0, (reduction, weights, return_grad, out, grad_out))


def _loss(formula: str, pred: Any, target: Any, beta: float, options: Options) -> Loss:
    reduction, _, return_grad, _, _ = options
    as_choice(reduction, REDUCTIONS, "a reduction")
    if isinstance(pred, Deltas):
        pred, target = pred.values, pred.encoded(target)
    its_format = pred.format if isinstance(pred, Boxes) else "xyxy"
    pred, target = _numbers(pred, "pred"), _numbers(target, "target")
    shape, boxed = pred.shape, reduction == "box"
    if target.shape != shape:
        raise ValueError(f"expected pred and target of one shape, got {shape} and {target.shape}")
    if boxed and shape[-1:] != (4,):
        raise ValueError(f'expected a last axis of 4 coordinates for reduction="box", got shape {shape}')
    dtype = pred.dtype if pred.dtype == target.dtype else np.result_type(pred, target)
    outcome = Outcome(options, shape, shape[:-1] if boxed else shape, shape, dtype, ((pred, target),))
    a = np.ascontiguousarray(pred, dtype).reshape(-1)
    b = np.ascontiguousarray(target, dtype).reshape(-1)
    outputs = outcome.losses.reshape(-1), boxed, outcome.grad.ravel(), outcome.streamed, outcome.sums
    weights, beta = outcome.weights[:2], in_dtype(beta, dtype)
    kernel = parallel.kernel("loss.coordinates", "COORDINATE_LOSSES", dtype, formula)
    parallel.run_blocks(kernel, ((a, b), beta, weights, outcome.scale), outputs, a.size, BLOCK, SMALLEST)
    if return_grad:
        _change(outcome.grad, its_format)
    return outcome.result()


def _numbers(values: Any, name: str) -> NDArray[Any]:
    """Return arrays as they are, and boxes, also those of frames, as corners with nan for invalid boxes."""
    if hasattr(values, "__arrow_c_stream__") and hasattr(values, "columns"):
        values = as_boxes(values, name, grouped=False)
    if not isinstance(values, Boxes):
        return as_floats(values, name)
    with np.errstate(invalid="ignore", over="ignore"):
        corners = values.corners()
    corners[values.invalid() != 0] = np.nan
    return corners


def _change(grad: NDArray[Any], to: str) -> None:
    """Change a gradient of corners, in place, to the gradient of the numbers of another format."""
    if to == "yxyx":
        grad[:] = grad[:, [1, 0, 3, 2]]
    elif to != "xyxy":
        near, far = grad[:, :2].copy(), grad[:, 2:]
        grad[:, :2] += far
        if to == "cxcywh":
            far -= near
            far *= 0.5
