"""Losses of fastbox as functions of tensors that autograd differentiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from fastbox.boxes.container import Boxes
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import FORMATS
from fastbox.torch.checks import check_tensors
from fastbox.values.numbers import as_choice

__all__ = ["applied", "of_boxes"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

Measure = Callable[..., Any]  # a loss of (pred, target, weights), as fastbox.losses has it


def of_boxes(
    loss: Measure,
    pred: torch.Tensor,
    target: torch.Tensor,
    format: str,
    reduction: str,
    weights: torch.Tensor | None,
    formats: tuple[str, ...] = FORMATS,
) -> torch.Tensor:
    """Compute a loss of boxes in one of some formats."""
    as_choice(format, formats, "a format")
    boxes: Any = Boxes if format in FORMATS else RotatedBoxes

    def measure(pred: Any, target: Any, **options: Any) -> Any:
        if boxes is Boxes:
            _check_plain(pred, format, formats)
        return loss(boxes(pred, format), boxes(target, format), reduction=reduction, **options)

    return applied(measure, pred, target, weights)


def _check_plain(pred: Any, format: str, formats: tuple[str, ...]) -> None:
    """Refuse rows of five numbers as plain boxes."""
    if pred.ndim == 2 and pred.shape[1] == 5:
        todo = "give the four of the box alone, as pred[:, :4]"
        if formats != FORMATS:
            todo = "name the format of rotated boxes, format='cxcywhr' (radians) or format='cxcywhd' (degrees)"
        raise ValueError(f"expected pred of shape (n, 4) for format {format!r}, got {pred.shape}: {todo}")


def applied(measure: Measure, pred: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Check the tensors, and compute a gradient only where autograd may need it."""
    check_tensors(pred=pred, target=target, **({} if weights is None else {"weights": weights}))
    if pred.dtype not in FLOATS:
        raise TypeError(f"expected pred of float16, bfloat16, float32 or float64, got {pred.dtype}: give pred.float()")
    if torch.is_grad_enabled() and pred.requires_grad:
        loss: torch.Tensor = _LossAndGrad.apply(pred, target, weights, measure)
        return loss
    return _measure(measure, pred, target, weights)[0]


def _measure(
    measure: Measure,
    pred: torch.Tensor,
    target: torch.Tensor,
    weights: torch.Tensor | None,
    *,
    graded: bool = False,
) -> tuple[torch.Tensor, Any]:
    """Call a loss with views of the tensors; return views of the loss and, where wanted, of the gradient."""
    promoted = torch.promote_types(pred.dtype, target.dtype)
    dtype = promoted if promoted.itemsize > 2 else torch.float32
    a, b, w = (None if given is None else given.detach().to(dtype).numpy() for given in (pred, target, weights))
    found = measure(a, b, weights=w, return_grad=graded)
    loss, grad = (found.loss, torch.from_numpy(found.grad).reshape(pred.shape)) if graded else (found, None)
    return torch.as_tensor(loss, dtype=dtype, device="cpu"), grad


class _LossAndGrad(torch.autograd.Function):
    """A loss whose gradient is computed in the same pass, and kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, pred: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None, measure: Measure
    ) -> torch.Tensor:
        loss, grad = _measure(measure, pred, target, weights, graded=True)
        ctx.save_for_backward(pred, target, weights)
        ctx.dtype, ctx.measure, ctx.made = pred.dtype, measure, [grad]
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # A caller may add to a gradient in place, so each gradient is returned once; another backward pass through a
        # retained graph computes it again.
        grad = ctx.made.pop() if ctx.made else _measure(ctx.measure, *ctx.saved_tensors, graded=True)[1]
        if outer.dim() or outer.item() != 1:
            grad *= outer.reshape(*outer.shape, *[1] * (grad.dim() - outer.dim()))
        return grad.to(ctx.dtype), None, None, None
