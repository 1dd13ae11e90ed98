"""Tensors as callers give them: checked, and viewed as arrays of one float dtype."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastbox.values.formats import ALIASES, FORMATS
from fastbox.values.numbers import as_choice, as_number

try:
    import torch
except ImportError as error:
    raise ImportError(
        "expected torch for fastbox.compat.torchvision, got none: install it with pip install 'fastbox-engine[torch]'"
    ) from error

__all__ = ["as_arrays", "as_eps", "as_plain_format", "check_boxes", "check_tensors", "widened"]

MOST_EPS = 1e-6  # a greater epsilon changes the figures of ordinary boxes
NARROW = (torch.uint8, torch.int8, torch.int16)


def check_tensors(**tensors: Any) -> None:
    """Refuse what is not a tensor of real numbers on the CPU; names are those of the arguments.

    Raises
    ------
    TypeError, ValueError
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"expected {name} to be a tensor, got {type(tensor).__name__}: give torch.as_tensor({name})"
            )
        if tensor.device.type != "cpu":
            raise ValueError(f"expected {name} on the CPU, got a tensor on {tensor.device}: give {name}.cpu()")
        if tensor.is_quantized or tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f"expected {name} of real numbers, got {tensor.dtype}: give floats or integers")


def check_boxes(least: int = 1, **tensors: Any) -> None:
    """Refuse what :func:`check_tensors` does, fewer dimensions than `least`, and a last axis that is not of four.

    Raises
    ------
    TypeError, ValueError
    """
    check_tensors(**tensors)
    for name, tensor in tensors.items():
        if tensor.dim() < least or tensor.shape[-1] != 4:
            shape = "(..., n, 4)" if least == 2 else "(..., 4)"
            raise ValueError(f"expected {name} of shape {shape}, got {tuple(tensor.shape)}")


def as_arrays(**tensors: torch.Tensor) -> tuple[list[NDArray[Any]], torch.dtype]:
    """View tensors as arrays of one dtype, float32 or float64, and return the dtype of results.

    Half precision becomes float32. Integers become float64; results of integers alone have torch's default dtype.

    Raises
    ------
    ValueError
        A tensor that requires a gradient.
    """
    if torch.is_grad_enabled():
        for name, tensor in tensors.items():
            if tensor.requires_grad:
                raise ValueError(
                    f"expected {name} without a gradient, got one that requires it: give {name}.detach(), or take "
                    "the loss of this module, which has gradients"
                )
    dtypes = {tensor.dtype for tensor in tensors.values()}
    inner = torch.float32 if dtypes <= {torch.float16, torch.bfloat16, torch.float32} else torch.float64
    floats = [dtype for dtype in dtypes if dtype.is_floating_point]
    dtype = torch.float64 if torch.float64 in floats else torch.float32 if floats else torch.get_default_dtype()
    return [tensor.detach().to(inner).numpy() for tensor in tensors.values()], dtype


def widened(boxes: torch.Tensor) -> torch.Tensor:
    """Return boxes of integers of one or two bytes as int32, and others unchanged."""
    return boxes.to(torch.int32) if boxes.dtype in NARROW else boxes


def as_plain_format(name: str, argument: str) -> str:
    """Return the name of a format in pixels, without aliases.

    Raises
    ------
    ValueError
        An unknown format, among them those of rotated boxes.
    """
    as_choice(name, [*FORMATS, *ALIASES], f"{argument} to be")
    return ALIASES.get(name, name)


def as_eps(eps: float) -> None:
    """Refuse an epsilon that would change the figures of ordinary boxes: none is added to a denominator.

    Raises
    ------
    ValueError
    """
    if not 0 <= as_number(eps, "eps") <= MOST_EPS:
        raise ValueError(f"expected eps from 0 to {MOST_EPS:g}, got {eps:g}: fastbox adds none, leave eps out")
