"""The regression losses for torch tensors on the CPU, differentiable with respect to the prediction.

One pass over the boxes computes the loss and its gradient. Tensors are read and returned without a copy, except for
tensors of half precision, which are computed in float32.
"""

from __future__ import annotations

from functools import partial

import torch

from fastbox import losses
from fastbox.kernels.codes import FORMATS
from fastbox.torch.autograd import applied, of_boxes
from fastbox.torch.rotated import RECTANGLES

__all__ = [
    "ciou_loss",
    "diou_loss",
    "eiou_loss",
    "giou_loss",
    "huber_loss",
    "iou_loss",
    "l1_loss",
    "smooth_l1_loss",
]


def iou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "xyxy",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.iou_loss`, 1 - IoU, of each predicted box with its target.

    Parameters
    ----------
    pred, target : tensor of shape (n, 4), or (n, 5) for rotated boxes
        Row i of ``pred`` belongs to row i of ``target``: float16, bfloat16, float32 or float64 on the CPU, of any
        strides. The target may also be of integers, and must not require a gradient.
    format : str
        The format of both: ``"xyxy"``, ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``, in pixels. Here alone it may also be one
        of rotated boxes, as for :func:`probiou_loss`.
    reduction : str
        ``"none"`` or ``"box"``: one loss for each box; ``"sum"``; ``"mean"`` over the boxes, as in :mod:`fastbox`. The
        default of torchvision's losses is ``"none"``.
    weights : tensor of shape (n,), optional
        Factors of the losses; the mean divides by the sum of the weights. Weights are constants without a gradient.

    Returns
    -------
    tensor
        In the dtype that torch promotes both to, or float32 if this dtype is of half precision. The gradient with
        respect to ``pred`` is in the dtype of ``pred``, and can't be differentiated again. An invalid box gives nan.

    Raises
    ------
    TypeError
        An argument that is not a tensor, or a tensor of complex numbers; a prediction of integers.
    ValueError
        A tensor that is not on the CPU; a target or weights that require a gradient; shapes that do not fit; an unknown
        format or reduction.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import iou_loss
    >>> pred = torch.tensor([[0.0, 0.0, 4.0, 4.0]], requires_grad=True)
    >>> loss = iou_loss(pred, torch.tensor([[1.0, 0.0, 4.0, 4.0]]))
    >>> loss.backward()
    >>> loss.item(), pred.grad
    (0.25, tensor([[-0.1875, -0.0234, -0.0312,  0.0234]]))
    """
    return of_boxes(losses.iou_loss, pred, target, format, reduction, weights, (*FORMATS, *RECTANGLES))


def giou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "xyxy",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.giou_loss`; parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import giou_loss
    >>> pred = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    >>> giou_loss(pred, torch.tensor([[3.0, 0.0, 4.0, 1.0]])).backward()
    >>> pred.grad
    tensor([[ 0.1250,  0.0000, -0.2500,  0.0000]])
    """
    return of_boxes(losses.giou_loss, pred, target, format, reduction, weights)


def diou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "xyxy",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.diou_loss`; parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import diou_loss
    >>> diou_loss(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]]))
    tensor(1.4000)
    """
    return of_boxes(losses.diou_loss, pred, target, format, reduction, weights)


def ciou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "xyxy",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.ciou_loss`; parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import ciou_loss
    >>> ciou_loss(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]), reduction="none")
    tensor([0.])
    """
    return of_boxes(losses.ciou_loss, pred, target, format, reduction, weights)


def eiou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "xyxy",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.eiou_loss`; parameters, results and errors are those of :func:`iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import eiou_loss
    >>> eiou_loss(torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.tensor([[2.0, 1.0, 4.0, 2.0]]), format="cxcywh")
    tensor(0.8000)
    """
    return of_boxes(losses.eiou_loss, pred, target, format, reduction, weights)


def smooth_l1_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    beta: float = 1.0,
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.smooth_l1_loss` number by number, as torch does.

    Parameters
    ----------
    pred, target : tensor
        Of the same shape, which is any shape; otherwise as for :func:`iou_loss`.
    beta : float
        The difference from which the loss is linear; 0 is exactly the L1 loss.
    reduction : str
        ``"none"``: one loss for each number; ``"box"``: the sum over a last axis of four; ``"sum"``; ``"mean"`` over
        the numbers.
    weights : tensor, optional
        One weight for each number, or one for each row of the last axis; the mean is then the weighted mean.

    Returns
    -------
    tensor
        As :func:`iou_loss`.

    Raises
    ------
    TypeError, ValueError
        As :func:`iou_loss`; a negative beta.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import smooth_l1_loss
    >>> deltas = torch.tensor([0.0, 0.5, 3.0], requires_grad=True)
    >>> smooth_l1_loss(deltas, torch.zeros(3), reduction="sum").backward()
    >>> deltas.grad
    tensor([0.0000, 0.5000, 1.0000])
    """
    return applied(partial(losses.smooth_l1_loss, beta=beta, reduction=reduction), pred, target, weights)


def huber_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    delta: float = 1.0,
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.huber_loss`; parameters, results and errors are those of :func:`smooth_l1_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import huber_loss
    >>> huber_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 4.0]), delta=2.0, reduction="none")
    tensor([0.5000, 6.0000])
    """
    return applied(partial(losses.huber_loss, delta=delta, reduction=reduction), pred, target, weights)


def l1_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.l1_loss`; parameters, results and errors are those of :func:`smooth_l1_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import l1_loss
    >>> l1_loss(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[0.5, 0.0, 4.0, 7.0]]), reduction="box")
    tensor([3.5000])
    """
    return applied(partial(losses.l1_loss, reduction=reduction), pred, target, weights)
