"""Non-maximum suppression of the boxes of a tensor."""

from __future__ import annotations

from typing import Any

import torch

from fastbox.compat.torchvision.ops.tensors import check_boxes, check_tensors
from fastbox.suppression.nms import nms as keep

__all__ = ["batched_nms", "nms"]


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Find the boxes that non-maximum suppression keeps: those of ``torchvision.ops.nms`` on the CPU.

    Parameters
    ----------
    boxes : tensor of shape (n, 4)
        xyxy corners, on the CPU.
    scores : tensor of shape (n,)
        A box whose score is nan, and an invalid box, are not kept; torchvision keeps them.
    iou_threshold : float
        The IoU above which a box is suppressed, from 0 to 1.

    Returns
    -------
    tensor of int64
        Rows of the boxes kept, by descending score, the lower row first at ties.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`; a threshold outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import nms
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [8.0, 8.0, 9.0, 9.0]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    return _kept(boxes, scores, None, iou_threshold)


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Find the boxes that non-maximum suppression keeps within each category.

    Only boxes of one category are compared, exactly. torchvision shifts the boxes of each category apart if there are
    1,000 boxes or fewer; the rounding of the shifted corners changes some of its decisions near the threshold.

    Parameters
    ----------
    boxes, scores, iou_threshold
        As for :func:`nms`.
    idxs : tensor of shape (n,)
        The category of each box.

    Returns
    -------
    tensor of int64
        As :func:`nms`.

    Raises
    ------
    TypeError, ValueError
        As :func:`nms`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import batched_nms
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [8.0, 8.0, 9.0, 9.0]])
    >>> batched_nms(boxes, torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0, 1, 0]), 0.5)
    tensor([1, 2, 0])
    """
    if isinstance(boxes, torch.Tensor) and not boxes.numel():
        return torch.empty(0, dtype=torch.int64)
    check_tensors(idxs=idxs)
    if idxs.is_floating_point():
        idxs = torch.unique(idxs, return_inverse=True)[1]
    return _kept(boxes, scores, idxs.numpy(), iou_threshold)


def _kept(boxes: torch.Tensor, scores: torch.Tensor, classes: Any, iou_threshold: float) -> torch.Tensor:
    check_boxes(2, boxes=boxes)
    check_tensors(scores=scores)
    half = (torch.float16, torch.bfloat16)
    own, its = (given.detach().float() if given.dtype in half else given.detach() for given in (boxes, scores))
    return torch.from_numpy(keep(own.numpy(), its.numpy(), iou_threshold=float(iou_threshold), classes=classes))
