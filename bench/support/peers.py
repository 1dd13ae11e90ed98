"""Peers at the same work: those of the package, and torch; conversions to their formats and dtypes are not timed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbox.benchmarks.peers import (
    ALIGNED,
    BETA,
    MATRIX,
    Peer,
    able,
    best,
    iou,
    loop_best,
    loop_matrix,
    pairs,
    smooth,
    split,
)
from fastbox.benchmarks.shapes import Floats

__all__ = [
    "ALIGNED", "MATRIX", "Peer", "able", "best", "histogram", "loop_best", "loop_matrix", "pairs", "smooth", "split",
    "top", "torch_giou_backward", "torch_smooth_l1", "torch_smooth_l1_backward",
]  # fmt: skip

EPSILON = 1e-7  # what torchvision adds to denominators


def top(a: Floats, b: Floats, k: int) -> tuple[Floats, Floats]:
    """The k best in each row, best first, with numpy."""
    values = iou(a, b)
    columns = np.argpartition(values, -k, axis=1)[:, -k:]
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(columns, order, axis=1)


def histogram(a: Floats, b: Floats, bins: int) -> Floats:
    """Counts of all values, with numpy."""
    return np.histogram(iou(a, b), bins, (0, 1))[0]


def torch_smooth_l1(threads: int, reduction: str) -> tuple[Callable[[Floats], Any], Callable[[Any, Any], Any]]:
    """Return the function that makes a tensor of an array, and torch's loss on a number of threads."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    loss = torch.nn.functional.smooth_l1_loss
    return torch.from_numpy, lambda pred, target: loss(pred, target, beta=BETA, reduction=reduction)


def torch_smooth_l1_backward(threads: int) -> tuple[Callable[[Floats], Any], Callable[[Any, Any], Any]]:
    """Return the loss with its gradient, by autograd."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    loss = torch.nn.functional.smooth_l1_loss

    def run(pred: Any, target: Any) -> Any:
        pred = pred.detach().requires_grad_()
        loss(pred, target, beta=BETA).backward()
        return pred.grad.numpy()

    return torch.from_numpy, run


def torch_giou_backward(threads: int) -> tuple[Callable[[Floats], Any], Callable[[Any, Any], Any]]:
    """The mean GIoU loss and its gradient by torch's autograd, with torchvision's epsilon."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)

    def run(pred: Any, target: Any) -> Any:
        pred = pred.detach().requires_grad_()
        x0, y0, x1, y1 = pred.unbind(dim=-1)
        u0, v0, u1, v1 = target.unbind(dim=-1)
        left, top = torch.max(x0, u0), torch.max(y0, v0)
        right, bottom = torch.min(x1, u1), torch.min(y1, v1)
        inter = torch.zeros_like(x0)
        met = (bottom > top) & (right > left)
        inter[met] = (right[met] - left[met]) * (bottom[met] - top[met])
        union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - inter
        iou = inter / (union + EPSILON)
        width, height = torch.max(x1, u1) - torch.min(x0, u0), torch.max(y1, v1) - torch.min(y0, v0)
        hull = width * height
        (1 - (iou - (hull - union) / (hull + EPSILON))).mean().backward()
        return pred.grad.numpy()

    return torch.from_numpy, run
