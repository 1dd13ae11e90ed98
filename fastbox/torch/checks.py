"""Checks of tensors that are computed on the CPU."""

from __future__ import annotations

import torch

__all__ = ["check_tensors"]


def check_tensors(**tensors: torch.Tensor) -> None:
    """Refuse what is no tensor, tensors of another device or of complex numbers, and constants with a gradient."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"expected {name} to be a tensor, got {type(tensor).__name__}: give torch.as_tensor({name})"
            )
        if tensor.device.type != "cpu":
            raise ValueError(f"expected {name} on the CPU, got a tensor on {tensor.device}: give {name}.cpu()")
        if tensor.is_complex():
            raise TypeError(f"expected {name} of real numbers, got {tensor.dtype}")
        if name != "pred" and tensor.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"expected {name} without a gradient, got one that requires it: give {name}.detach()")
