"""Losses of rotated boxes: 1 less ProbIoU, and the divergence of two Gaussians; and IoU's loss, on their kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.kernels.codes import BLOCK, PLAIN, QUADS, ROTATED
from fastbox.losses.deltas import Deltas
from fastbox.losses.outcome import REDUCTIONS, Loss, Options, Outcome
from fastbox.ops.checks import as_collection
from fastbox.ops.geometry import geometry_of
from fastbox.values.arguments import named
from fastbox.values.numbers import as_choice, as_number

__all__ = ["kld_loss", "probiou_loss", "rotated_loss"]

SMALLEST = 8_192  # boxes below which another thread does not pay


@named
def probiou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - ProbIoU, the Hellinger distance of two Gaussians, of rotated rectangles (Llerena et al., 2021).

    Boxes that lie apart have a gradient. No epsilon is added; ultralytics adds 1e-3 to the sum of covariances and to
    the distances, in square pixels.

    Parameters
    ----------
    pred, target : RotatedBoxes
        Rectangles; row i of ``pred`` belongs to row i of ``target``. One of the two may be plain boxes.
    reduction, weights, out, grad_out
        As for :func:`iou_loss`.
    return_grad : bool
        Also return the gradient with respect to ``pred``, ``(n, 5)`` in its format: by the angle in radians or degrees,
        as it counts there.

    Returns
    -------
    array or float, or LossAndGrad with return_grad
        As for :func:`iou_loss`. Equal boxes have a loss and a gradient of 0, a box without area a loss of 1 and a
        gradient of 0.

    Raises
    ------
    ValueError
        As for :func:`iou_loss`; boxes of which none are rotated; quadrilaterals.

    Examples
    --------
    >>> import fastbox
    >>> pred, target = (fastbox.RotatedBoxes([[x, 0, 4, 2, 30]], "cxcywhd") for x in (0.5, 0))
    >>> loss, grad = fastbox.probiou_loss(pred, target, return_grad=True)
    >>> round(loss, 6), grad.round(6)
    (0.200464, array([[ 0.392762, -0.29155 , -0.01052 , -0.028054,  0.001272]]))
    """
    return rotated_loss("probiou", pred, target, (reduction, weights, return_grad, out, grad_out))


@named
def kld_loss(
    pred: Any,
    target: Any,
    *,
    tau: float = 1.0,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - 1 / (tau + log(1 + D)) of rotated rectangles (Yang et al., KLD, NeurIPS 2021).

    D = ½ (dᵀ P⁻¹ d + tr(P⁻¹ T) + ln(|P| / |T|)) - 1 is the Kullback-Leibler divergence of two Gaussians: d is the
    offset of the centres, P and T are the covariances R diag(w²/4, h²/4) Rᵀ of prediction and target. This is
    mmrotate's ``GDLoss`` with ``loss_type="kld"``, ``fun="log1p"``, ``sqrt=False`` and ``alpha=1``.

    Parameters
    ----------
    pred, target : RotatedBoxes
        As for :func:`probiou_loss`. The loss is not symmetric.
    tau : float
        From 1 on; or 0 for log(1 + D) itself, as in mmrotate.
    reduction, weights, return_grad, out, grad_out
        As for :func:`probiou_loss`.

    Returns
    -------
    array or float, or LossAndGrad with return_grad
        As for :func:`probiou_loss`. A box without area has the loss of boxes infinitely far apart, 1 (or infinity with
        a tau of 0), and a gradient of 0.

    Raises
    ------
    ValueError
        As for :func:`probiou_loss`; another tau.

    Examples
    --------
    >>> import fastbox
    >>> pred, target = (fastbox.RotatedBoxes([[x, 0, 4, 2, 30]], "cxcywhd") for x in (0.5, 0))
    >>> loss, grad = fastbox.kld_loss(pred, target, return_grad=True)
    >>> round(loss, 6), grad.round(6)
    (0.050553, array([[ 0.186967, -0.138787, -0.010016, -0.02671 ,  0.001211]]))
    """
    tau = as_number(tau, "tau")
    if not (tau == 0 or 1 <= tau < np.inf):
        raise ValueError(f"expected a tau of 0 or from 1 on, got {tau!r}")
    return rotated_loss("kld", pred, target, (reduction, weights, return_grad, out, grad_out), tau)


def rotated_loss(loss: str, pred: Any, target: Any, options: Options, tau: float = 0.0) -> Loss:
    """Compute a loss of rotated rectangles with the kernels of their geometry."""
    reduction, _, return_grad, _, _ = options
    as_choice(reduction, REDUCTIONS, "a reduction")
    deltas = pred if isinstance(pred, Deltas) else None
    pred = as_collection(pred if deltas is None else deltas.boxes(), "pred", grouped=False)
    target = as_collection(target, "target", grouped=False)
    _check_rectangles(loss, geometry_of(pred, target))
    n = len(pred)
    if len(target) != n:
        raise ValueError(f"expected as many predicted boxes as targets, got {n} and {len(target)}")
    dtype = pred.dtype if pred.dtype == target.dtype else np.result_type(pred.dtype, target.dtype)
    outcome = Outcome(options, (n,), (n,), (n, len(pred.columns)), dtype, (pred.columns, target.columns))
    sides = pred.astype(dtype).kernel_args(ROTATED), target.astype(dtype).kernel_args(ROTATED)
    outputs = outcome.losses, outcome.grad.ravel(), outcome.sums
    kernel = parallel.kernel("loss.rotated", "ROTATED_LOSSES", dtype, loss)
    parallel.run_blocks(kernel, (*sides, tau, outcome.weights.values, outcome.scale), outputs, n, BLOCK, SMALLEST)
    if return_grad and deltas is not None:
        deltas.chain(outcome.grad)
    return outcome.result()


def _check_rectangles(loss: str, geometry: str) -> None:
    """Refuse plain boxes alone, and quadrilaterals."""
    if geometry == PLAIN:
        raise ValueError(f"expected rotated boxes for {loss}_loss, got plain boxes: give RotatedBoxes(boxes, FORMAT)")
    if geometry == QUADS:
        raise ValueError(f"expected rectangles for {loss}_loss, got quadrilaterals: give boxes.rectangles()")
