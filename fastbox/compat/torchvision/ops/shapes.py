"""Boxes of a tensor converted, clipped, measured and selected by torch's own operations, with their gradients."""

from __future__ import annotations

import torch

from fastbox.compat.torchvision.ops.tensors import as_plain_format, check_boxes, widened

__all__ = ["box_area", "box_convert", "clip_boxes_to_image", "remove_small_boxes"]

Columns = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def box_area(boxes: torch.Tensor, fmt: str = "xyxy") -> torch.Tensor:
    """Compute width times height of each box.

    Parameters
    ----------
    boxes : tensor of shape (..., 4)
    fmt : str
        ``"xyxy"``, ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``.

    Returns
    -------
    tensor of shape (...)
        float32 or float64, nan for an invalid box; half precision gives float32. Integers give int64, in which no area
        wraps (torchvision's int32 wraps from 46,341 × 46,341 on); integers have no nan, so an inverted box of integers
        has the product of its sides.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import box_area
    >>> box_area(torch.tensor([[0, 0, 50_000, 50_000]], dtype=torch.int32))
    tensor([2500000000])
    """
    fmt = as_plain_format(fmt, "fmt")
    check_boxes(boxes=boxes)
    if not boxes.is_floating_point():
        w, h = _sides(boxes.to(torch.int64), fmt)
        return w * h
    boxes = boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()
    w, h = _sides(boxes, fmt)
    return torch.where(_valid(boxes, fmt), w * h, torch.nan)


def box_convert(boxes: torch.Tensor, in_fmt: str, out_fmt: str) -> torch.Tensor:
    """Convert boxes from one format to another, always into new memory.

    Parameters
    ----------
    boxes : tensor of shape (..., 4)
    in_fmt, out_fmt : str
        ``"xyxy"``, ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``, and fastbox's other names of them; torchvision's formats of
        rotated boxes are refused.

    Returns
    -------
    tensor of shape (..., 4)
        Of the same dtype. Integers of one or two bytes become int32, so that no corner wraps, and centres of integers
        are floats.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import box_convert
    >>> box_convert(torch.tensor([[10.0, 20.0, 30.0, 60.0]]), "xyxy", "cxcywh")
    tensor([[20., 40., 20., 40.]])
    """
    source, target = as_plain_format(in_fmt, "in_fmt"), as_plain_format(out_fmt, "out_fmt")
    check_boxes(boxes=boxes)
    if source == target:
        return boxes.clone()
    x0, y0, x1, y1 = _corners(widened(boxes), source)
    if target == "xywh":
        return torch.stack((x0, y0, x1 - x0, y1 - y0), -1)
    if target == "cxcywh":
        return torch.stack(((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0), -1)
    return torch.stack((y0, x0, y1, x1) if target == "yxyx" else (x0, y0, x1, y1), -1)


def clip_boxes_to_image(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Clip corners to an image.

    Parameters
    ----------
    boxes : tensor of shape (..., 4)
        xyxy corners.
    size : (height, width)

    Returns
    -------
    tensor of shape (..., 4)

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import clip_boxes_to_image
    >>> clip_boxes_to_image(torch.tensor([[-5.0, 10.0, 70.0, 90.0]]), (48, 64))
    tensor([[ 0., 10., 64., 48.]])
    """
    check_boxes(boxes=boxes)
    height, width = size
    x0, y0, x1, y1 = boxes.unbind(-1)
    return torch.stack((x0.clamp(0, width), y0.clamp(0, height), x1.clamp(0, width), y1.clamp(0, height)), -1)


def remove_small_boxes(boxes: torch.Tensor, min_size: float) -> torch.Tensor:
    """Find the boxes whose width and height are at least `min_size`.

    Parameters
    ----------
    boxes : tensor of shape (n, 4)
        xyxy corners.
    min_size : float

    Returns
    -------
    tensor of int64
        The rows of these boxes, ascending; a box with a nan is not among them.

    Raises
    ------
    TypeError, ValueError
        As :func:`box_iou`.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchvision.ops import remove_small_boxes
    >>> remove_small_boxes(torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 1.0]]), 2)
    tensor([0])
    """
    check_boxes(boxes=boxes)
    w, h = _sides(widened(boxes), "xyxy")
    return torch.where((w >= min_size) & (h >= min_size))[0]


def _corners(boxes: torch.Tensor, fmt: str) -> Columns:
    p, q, r, s = boxes.unbind(-1)
    if fmt == "xywh":
        return p, q, p + r, q + s
    if fmt == "cxcywh":
        w, h = 0.5 * r, 0.5 * s
        return p - w, q - h, p + w, q + h
    return (q, p, s, r) if fmt == "yxyx" else (p, q, r, s)


def _sides(boxes: torch.Tensor, fmt: str) -> tuple[torch.Tensor, torch.Tensor]:
    p, q, r, s = boxes.unbind(-1)
    if fmt in ("xywh", "cxcywh"):
        return r, s
    return (s - q, r - p) if fmt == "yxyx" else (r - p, s - q)


def _valid(boxes: torch.Tensor, fmt: str) -> torch.Tensor:
    x0, y0, x1, y1 = _corners(boxes, fmt)
    return torch.isfinite(boxes).all(-1) & (x1 >= x0) & (y1 >= y0)
