"""Losses of overlap: 1 minus IoU, GIoU, DIoU, CIoU or EIoU, with analytic gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.by_row import by_row, few_by_row
from fastbox.kernels.codes import BLOCK, PLAIN
from fastbox.losses.deltas import Deltas
from fastbox.losses.outcome import REDUCTIONS, Loss, LossAndGrad, Options, Outcome, tree_sum
from fastbox.losses.rotated import rotated_loss
from fastbox.ops.checks import output
from fastbox.ops.geometry import geometry_of
from fastbox.values.arguments import named
from fastbox.values.numbers import as_choice

__all__ = ["ciou_loss", "diou_loss", "eiou_loss", "giou_loss", "iou_loss"]

SMALLEST = 32_768  # boxes below which another thread does not pay


@named
def iou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - IoU of each predicted box with its target (Yu et al., UnitBox, 2016, in its linear form).

    Boxes that do not overlap have a loss of 1 and a gradient of exactly 0. No epsilon is added; torchvision adds 1e-7.

    Parameters
    ----------
    pred, target : Boxes, RotatedBoxes or array of shape (n, 4)
        Row i of ``pred`` belongs to row i of ``target``. Arrays are xyxy corners in pixels; groups make no difference.
        Rotated boxes must be rectangles; their gradient has five numbers in their format, per degree for degrees.
        The prediction may be :class:`fastbox.Deltas` from anchors; the gradient is then with respect to the deltas.
    reduction : str
        ``"none"`` or ``"box"``: one loss for each box; ``"sum"``; ``"mean"`` over the boxes, nan without any.
    weights : array of shape (n,), optional
        Factors of losses and gradients; the mean divides by the sum of the weights.
    return_grad : bool
        Also return the gradient with respect to ``pred``, in the format of ``pred``: x, y, w, h for ``"xywh"``.
    out, grad_out : array, optional
        Arrays to write losses (not sums), ``(n,)``, and gradients, ``(n, 4)``, to: C-contiguous, of the result's dtype.
        Large arrays that are used again are written two to four times faster than those in new memory.

    Returns
    -------
    array or float, or LossAndGrad with return_grad
        Arrays are float32 if both inputs are, else float64. An invalid box gives nan for loss and gradient. Sums
        accumulate in float64 in a fixed order: the same bits for any number of threads. Where corners of both boxes
        coincide, each argument of a min or max gets half of the gradient, as in torch's autograd; the intersection of
        boxes that only touch has no gradient.

    Raises
    ------
    ValueError
        Lengths that differ, an unknown reduction, or weights, ``out`` or ``grad_out`` that do not fit.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.iou_loss([[0, 0, 2, 2], [5, 5, 6, 6]], [[1, 0, 3, 2], [0, 0, 1, 1]], reduction="none")
    array([0.66666667, 1.        ])
    >>> fastbox.iou_loss([[0, 0, 4, 4]], [[1, 0, 4, 4]], return_grad=True)
    LossAndGrad(loss=0.25, grad=array([[-0.1875   , -0.0234375, -0.03125  ,  0.0234375]]))
    """
    options = (reduction, weights, return_grad, out, grad_out)
    if geometry_of(pred, target) != PLAIN:
        return rotated_loss("iou", pred, target, options)
    return _loss("iou", pred, target, options)


@named
def giou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - GIoU (Rezatofighi et al., CVPR 2019); boxes that do not overlap have a gradient, too.

    Parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.giou_loss([[0, 0, 1, 1]], [[2, 0, 3, 1]], return_grad=True)
    LossAndGrad(loss=1.3333333333333333, grad=array([[ 0.11111111,  0.        , -0.33333333,  0.        ]]))
    """
    return _loss("giou", pred, target, (reduction, weights, return_grad, out, grad_out))


@named
def diou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - DIoU (Zheng et al., AAAI 2020): IoU less a term for the distance of the centres.

    Parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.diou_loss([[0, 0, 1, 1]], [[2, 0, 3, 1]])
    1.4
    """
    return _loss("diou", pred, target, (reduction, weights, return_grad, out, grad_out))


@named
def ciou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - CIoU (Zheng et al., AAAI 2020): DIoU's loss and a term for the aspect ratio.

    The gradient treats the weight of this term as a constant, as in the paper and in torchvision. Parameters, results
    and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.ciou_loss([[0, 0, 2, 2]], [[0, 0, 2, 2]], return_grad=True)
    LossAndGrad(loss=0.0, grad=array([[0., 0., 0., 0.]]))
    """
    return _loss("ciou", pred, target, (reduction, weights, return_grad, out, grad_out))


@named
def eiou_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weights: Any = None,
    return_grad: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> Loss:
    """Compute 1 - EIoU (Zhang et al., Focal and Efficient IoU Loss, 2022): DIoU's loss and terms for width and height.

    Parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.eiou_loss([[0, 0, 2, 2]], [[0, 0, 4, 2]], reduction="none")
    array([0.8])
    """
    return _loss("eiou", pred, target, (reduction, weights, return_grad, out, grad_out))


def _loss(metric: str, pred: Any, target: Any, options: Options) -> Loss:
    if (found := _loss_of_few(metric, pred, target, options)) is not None:
        return found
    reduction, _, return_grad, _, _ = options
    as_choice(reduction, REDUCTIONS, "a reduction")
    deltas = pred if isinstance(pred, Deltas) else None
    pred = pred if deltas is None else deltas.boxes()
    n, dtype, sides, columns = by_row(pred, target, ("pred", "target"), ("predicted boxes", "targets"))
    outcome = Outcome(options, (n,), (n,), (n, 4), dtype, columns)
    outputs = outcome.losses, outcome.grad.ravel(), outcome.streamed, outcome.sums
    kernel = parallel.kernel("loss.overlap", "OVERLAP_LOSSES", dtype, metric)
    parallel.run_blocks(kernel, (*sides, outcome.weights.values, outcome.scale), outputs, n, BLOCK, SMALLEST)
    if return_grad and deltas is not None:
        deltas.chain(outcome.grad)
    return outcome.result()


def _loss_of_few(metric: str, pred: Any, target: Any, options: Options) -> Loss | None:
    """Return the loss of as many boxes as one thread does; None where the caller must check more.

    That is with weights, with outputs that are not used or share memory, and where a loss is nan.
    """
    reduction, weights, return_grad, out, grad_out = options
    plain = type(reduction) is str and reduction in REDUCTIONS and type(return_grad) is bool and weights is None
    one_each = reduction in ("none", "box")
    plain &= (out is None or one_each) and (grad_out is None or return_grad)
    plain &= out is None or grad_out is None or not np.may_share_memory(out, grad_out)
    if not plain or (few := few_by_row(pred, target, 2 * SMALLEST)) is None:
        return None
    n, dtype, inputs = len(pred), pred.dtype, (pred, target)
    nothing = np.empty(0, dtype)
    grad = output(grad_out, (n, 4), dtype, "grad_out", inputs) if return_grad else nothing
    losses = output(out, (n,), dtype, inputs=inputs) if one_each else nothing
    sums = np.empty(0 if one_each else -(-n // BLOCK))
    kernel = parallel.kernel("loss.overlap", "OVERLAP_LOSSES", dtype, metric)
    kernel(*few, nothing, 1 / n if reduction == "mean" else 1.0, (0, n), (losses, grad.reshape(-1), False, sums))
    loss: Any = losses if one_each else tree_sum(sums)
    if math.isnan(np.minimum.reduce(losses) if one_each else loss):
        return None
    loss = loss / n if reduction == "mean" else loss
    return LossAndGrad(loss, grad) if return_grad else loss
