"""IoU and its relatives of every box of one tensor with every box of another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes
from fastbox.compat.torchvision.ops.tensors import as_arrays, as_eps, as_plain_format, check_boxes
from fastbox.ops.search import pairwise
from fastbox.values.formats import columns_of

__all__ = ["box_iou", "complete_box_iou", "distance_box_iou", "generalized_box_iou"]


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, fmt: str = "xyxy") -> torch.Tensor:
    """Compute the IoU of every box of a tensor with every box of another, as ``torchvision.ops.box_iou`` does.

    Parameters
    ----------
    boxes1, boxes2 : tensor of shape (..., n, 4) and (..., m, 4)
        On the CPU, without a gradient. Leading dimensions are broadcast.
    fmt : str
        ``"xyxy"``, ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``, in pixels; rotated boxes are refused.

    Returns
    -------
    tensor of shape (..., n, m)
        float64 if one of both is, float32 for other floats, and torch's default dtype for integers. nan for an invalid
        box; 0 for two boxes that are the same point, where torchvision gives nan. Valid float32 and float64 boxes have
        torchvision's bits. Integers are compared in float64, torchvision's in the integer dtype and then float32.

    Raises
    ------
    TypeError
        An argument that is not a tensor of real numbers.
    ValueError
        A tensor that is not on the CPU or requires a gradient, another shape, or an unknown format.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import box_iou
    >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]]))
    tensor([[0.3333, 1.0000]])
    """
    return _matrix(boxes1, boxes2, "iou", as_plain_format(fmt, "fmt"))


def generalized_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """Compute the GIoU of every box of a tensor with every box of another, with torchvision's bits.

    Parameters, results and errors are those of :func:`box_iou`; boxes are xyxy corners.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import generalized_box_iou
    >>> generalized_box_iou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]]))
    tensor([[-0.3333]])
    """
    return _matrix(boxes1, boxes2, "giou")


def distance_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float = 1e-7) -> torch.Tensor:
    """Compute the DIoU of every box of a tensor with every box of another.

    Parameters, results and errors are those of :func:`box_iou`; boxes are xyxy corners. torchvision adds `eps` to the
    squared diagonal of the hull. fastbox adds nothing and guards only a zero denominator, so `eps` has no effect, and
    a value above 1e-6 is refused. Results differ by about eps divided by that squared diagonal: below float32's
    precision for boxes of a pixel or more, and by up to 1e-3 for normalized boxes of 1% of the image.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import distance_box_iou
    >>> distance_box_iou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]]))
    tensor([[-0.4000]])
    """
    as_eps(eps)
    return _matrix(boxes1, boxes2, "diou")


def complete_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float = 1e-7) -> torch.Tensor:
    """Compute the CIoU of every box of a tensor with every box of another.

    Parameters, results, errors and the effect of `eps` are those of :func:`distance_box_iou`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import complete_box_iou
    >>> complete_box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
    tensor([[1.]])
    """
    as_eps(eps)
    return _matrix(boxes1, boxes2, "ciou")


def _matrix(boxes1: torch.Tensor, boxes2: torch.Tensor, metric: str, fmt: str = "xyxy") -> torch.Tensor:
    check_boxes(2, boxes1=boxes1, boxes2=boxes2)
    (a, b), dtype = as_arrays(boxes1=boxes1, boxes2=boxes2)
    if a.ndim == b.ndim == 2:
        found = pairwise(_boxes(a, fmt), _boxes(b, fmt), metric=metric)
        return torch.from_numpy(found).to(dtype)
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"expected boxes1 and boxes2 with leading dimensions that fit, got shapes {shapes}") from None
    n, m = a.shape[-2], b.shape[-2]
    flat = [np.broadcast_to(side, (*lead, *side.shape[-2:])).reshape(-1, 4) for side in (a, b)]
    groups = np.arange(math.prod(lead) + 1)
    own, its = (_boxes(side, fmt, groups * size) for side, size in zip(flat, (n, m), strict=True))
    found = np.empty(math.prod((*lead, n, m)), a.dtype)
    pairwise(own, its, metric=metric, out=found)
    return torch.from_numpy(found.reshape(*lead, n, m)).to(dtype)


def _boxes(array: NDArray[Any], fmt: str, offsets: NDArray[np.int64] | None = None) -> Boxes:
    """View an array as boxes; nothing in them is checked or warned of."""
    return Boxes.of(columns_of(array), fmt, offsets)
