"""The losses of rotated boxes for torch tensors on the CPU, differentiable with respect to the prediction."""

from __future__ import annotations

from functools import partial

import torch

from fastbox import losses
from fastbox.kernels.codes import ROTATED_FORMATS
from fastbox.torch.autograd import of_boxes

__all__ = ["RECTANGLES", "kld_loss", "probiou_loss"]

RECTANGLES = ROTATED_FORMATS[:-1]  # the formats of five numbers


def probiou_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "cxcywhr",
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.probiou_loss`, 1 - ProbIoU, of each rotated rectangle with its target.

    Parameters
    ----------
    pred, target : tensor of shape (n, 5)
        As for :func:`iou_loss`.
    format : str
        The format of both: ``"cxcywhr"``, as ultralytics has boxes (``xywhr``), or ``"cxcywhd"`` in degrees, with
        ``ccw_`` in front if the angle counts the other way.
    reduction, weights
        As for :func:`iou_loss`.

    Returns
    -------
    tensor
        As :func:`iou_loss`. The gradient by the angle is per radian or per degree, as the angle is given.

    Raises
    ------
    TypeError, ValueError
        As :func:`iou_loss`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import probiou_loss
    >>> pred = torch.tensor([[0.5, 0.0, 4.0, 2.0, 0.5]], requires_grad=True)
    >>> probiou_loss(pred, torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.5]])).backward()
    >>> pred.grad
    tensor([[ 0.3863, -0.2886, -0.0110, -0.0263,  0.0722]])
    """
    return of_boxes(losses.probiou_loss, pred, target, format, reduction, weights, RECTANGLES)


def kld_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    *,
    format: str = "cxcywhr",
    tau: float = 1.0,
    reduction: str = "mean",
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute :func:`fastbox.kld_loss`, mmrotate's loss of the divergence of two Gaussians.

    Parameters
    ----------
    pred, target, format, reduction, weights
        As for :func:`probiou_loss`.
    tau : float
        From 1 on, or 0 for the logarithm itself, as for :func:`fastbox.kld_loss`.

    Returns
    -------
    tensor
        As :func:`probiou_loss`.

    Raises
    ------
    TypeError, ValueError
        As :func:`probiou_loss`; another tau.

    Examples
    --------
    >>> import torch
    >>> from fastbox.torch import kld_loss
    >>> target = torch.tensor([[0.0, 0.0, 4.0, 2.0, 30.0]])
    >>> kld_loss(target + torch.tensor([0.5, 0.0, 0.0, 0.0, 0.0]), target, format="cxcywhd")
    tensor(0.0506)
    """
    return of_boxes(partial(losses.kld_loss, tau=tau), pred, target, format, reduction, weights, RECTANGLES)
