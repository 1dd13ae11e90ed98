"""The losses and the assignment of points for torch tensors on the CPU.

Losses are differentiable with respect to the prediction: one pass over the boxes computes the loss and its gradient.
Tensors are read and returned without a copy, except for tensors of half precision, which are computed in float32.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "expected torch for fastbox.torch, got none: install it with pip install 'fastbox-engine[torch]'"
    ) from error

from fastbox.torch.losses import (
    ciou_loss,
    diou_loss,
    eiou_loss,
    giou_loss,
    huber_loss,
    iou_loss,
    l1_loss,
    smooth_l1_loss,
)
from fastbox.torch.points import Targets, assign
from fastbox.torch.rotated import kld_loss, probiou_loss

__all__ = [
    "Targets",
    "assign",
    "ciou_loss",
    "diou_loss",
    "eiou_loss",
    "giou_loss",
    "huber_loss",
    "iou_loss",
    "kld_loss",
    "l1_loss",
    "probiou_loss",
    "smooth_l1_loss",
]
