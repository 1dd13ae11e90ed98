"""The regression losses of torchvision, differentiable with respect to both tensors of boxes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fastbox import torch as fastbox_torch
from fastbox.compat.torchvision.ops.tensors import as_eps, check_boxes
from fastbox.values.numbers import as_choice

__all__ = ["complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss"]

REDUCTIONS = ("none", "mean", "sum")

Loss = Callable[..., torch.Tensor]


def generalized_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """Compute 1 - GIoU of each box with the box of its row.

    Parameters
    ----------
    boxes1, boxes2 : tensor of shape (..., 4)
        xyxy corners on the CPU. One of both or both may require a gradient.
    reduction : str
        ``"none"``, ``"mean"`` or ``"sum"``; the mean of no boxes is 0.
    eps : float
        Without effect: torchvision adds it to denominators, fastbox adds nothing and guards only a zero denominator.
        A value above 1e-6 is refused. Losses differ by about eps divided by the union: below float32's precision for
        boxes of a pixel or more, and by up to 1e-3 for normalized boxes of 1% of the image's sides.

    Returns
    -------
    tensor
        float64 if one of both is, else float32. An invalid box gives nan, and so does a mean or a sum with it:
        torchvision gives a number, with which a training goes on unnoticed.

    Raises
    ------
    TypeError
        An argument that is not a tensor of real numbers.
    ValueError
        A tensor that is not on the CPU, shapes that do not fit, an unknown reduction, or an `eps` above 1e-6.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import generalized_box_iou_loss
    >>> pred = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    >>> generalized_box_iou_loss(pred, torch.tensor([[3.0, 0.0, 4.0, 1.0]]), reduction="mean").backward()
    >>> pred.grad
    tensor([[ 0.1250,  0.0000, -0.2500,  0.0000]])
    """
    return _loss(fastbox_torch.giou_loss, boxes1, boxes2, reduction, eps)


def distance_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """Compute 1 - DIoU of each box with the box of its row.

    Parameters, results and errors are those of :func:`generalized_box_iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import distance_box_iou_loss
    >>> distance_box_iou_loss(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]]))
    tensor([1.4000])
    """
    return _loss(fastbox_torch.diou_loss, boxes1, boxes2, reduction, eps)


def complete_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """Compute 1 - CIoU of each box with the box of its row; its weight alpha is a constant without a gradient.

    Parameters, results and errors are those of :func:`generalized_box_iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import complete_box_iou_loss
    >>> complete_box_iou_loss(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 2.0]))
    tensor(0.)
    """
    return _loss(fastbox_torch.ciou_loss, boxes1, boxes2, reduction, eps)


def _loss(loss: Loss, boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str, eps: float) -> torch.Tensor:
    as_choice(reduction, REDUCTIONS, "a reduction")
    as_eps(eps)
    check_boxes(boxes1=boxes1, boxes2=boxes2)
    try:
        one, other = torch.broadcast_tensors(boxes1, boxes2)
    except RuntimeError:
        shapes = f"{tuple(boxes1.shape)} and {tuple(boxes2.shape)}"
        raise ValueError(f"expected boxes1 and boxes2 of one shape, got {shapes}") from None
    lead = one.shape[:-1]
    one, other = (given if given.is_floating_point() else given.float() for given in (one, other))
    how = "sum" if reduction == "mean" and not lead.numel() else reduction  # the mean of nothing is 0
    found = _with_gradients(loss, one.reshape(-1, 4), other.reshape(-1, 4), how)
    return found.reshape(lead) if reduction == "none" else found


def _with_gradients(loss: Loss, one: torch.Tensor, other: torch.Tensor, reduction: str) -> torch.Tensor:
    """Compute a loss that is the same for both orders of its boxes, with the gradients of those that require one."""
    if not other.requires_grad:
        return loss(one, other, reduction=reduction)
    swapped = loss(other, one.detach(), reduction=reduction)
    if not one.requires_grad:
        return swapped
    return loss(one, other.detach(), reduction=reduction) + (swapped - swapped.detach())
