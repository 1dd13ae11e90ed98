"""What a loss is asked for, checked, and what comes of it: where kernels write, and sums in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox.kernels.codes import BLOCK
from fastbox.ops.search import STREAMED_BYTES, output
from fastbox.values.numbers import as_choice, as_floats, in_dtype

__all__ = ["Loss", "LossAndGrad", "Outcome", "Weights", "prepare", "weigh"]

REDUCTIONS = ("none", "box", "sum", "mean")


class LossAndGrad(NamedTuple):
    """A loss, and its gradient by the prediction, in the prediction's shape and format."""

    loss: Any
    grad: NDArray[Any]


Loss: TypeAlias = NDArray[Any] | float | LossAndGrad


class Weights(NamedTuple):
    """Weights as kernels take them: none, one for each value, or one for four (`shared` is 2, the power of two)."""

    values: NDArray[Any]
    shared: int
    total: float


@dataclass
class Outcome:
    """Where a kernel writes, each of size 0 where nothing is wanted of it; and what is made of it afterwards."""

    losses: NDArray[Any]
    grad: NDArray[Any]
    sums: NDArray[np.float64]
    streamed: bool
    scale: Any  # what the kernel multiplies gradients by
    reduction: str
    divisor: float
    graded: bool

    def result(self) -> Loss:
        """What the caller gets."""
        loss: Any = self.losses
        if self.reduction in ("sum", "mean"):
            loss = _tree(self.sums)
            if self.reduction == "mean":
                loss = loss / self.divisor if self.divisor else float("nan")
            loss = loss if loss == loss else float("nan")  # the one nan
        return LossAndGrad(loss, self.grad) if self.graded else loss


def prepare(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    values: int,
    dtype: np.dtype[Any],
    weights: Weights,
    inputs: tuple[NDArray[Any], ...],
    *,
    reduction: str,
    return_grad: bool,
    out: NDArray[Any] | None,
    grad_out: NDArray[Any] | None,
) -> Outcome:
    """Check what is asked for, and make room for it: losses and gradient of these shapes, a sum of so many values."""
    one_each = reduction in ("none", "box")
    if out is not None and not one_each:
        raise ValueError(f'expected out= with reduction="none" or "box", got it with {reduction!r}')
    if grad_out is not None and not return_grad:
        raise ValueError("expected return_grad=True with grad_out=, got False")
    for name, array in (("out", out), ("grad_out", grad_out)):
        if array is not None and any(np.may_share_memory(array, given) for given in inputs):
            raise ValueError(f"expected {name} in memory of its own, got an array that overlaps what is read")
    if out is not None and grad_out is not None and np.may_share_memory(out, grad_out):
        raise ValueError("expected grad_out in memory of its own, got an array that overlaps out")
    divisor = float(values) if weights.values.size == 0 else weights.total
    scale = 1.0 if reduction != "mean" else 1.0 / divisor if divisor else float("nan")
    nothing = np.empty(0, dtype)
    grad = output(grad_out, shapes[1], dtype, "grad_out") if return_grad else nothing
    return Outcome(
        losses=output(out, shapes[0], dtype) if one_each else nothing,
        grad=grad,
        sums=np.zeros(0 if one_each else -(-values // BLOCK)),
        streamed=grad_out is not None and grad.nbytes >= STREAMED_BYTES,
        scale=in_dtype(scale, dtype),
        reduction=reduction,
        divisor=divisor,
        graded=return_grad,
    )


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless it is known."""
    as_choice(reduction, REDUCTIONS, "a reduction")


def weigh(weights: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Weights:
    """Weights for values of this shape: one each, or one for each row of the last axis."""
    if weights is None:
        return Weights(np.empty(0, dtype), 0, 0.0)
    given = in_dtype(as_floats(weights, "weights"), dtype)
    with np.errstate(invalid="ignore"):
        total = float(given.sum(dtype=np.float64))
    if given.shape == shape:
        return Weights(given.reshape(-1), 0, total)
    if len(shape) < 2 or given.shape != shape[:-1]:
        other = f" or {shape[:-1]}" if len(shape) > 1 else ""
        raise ValueError(f"expected weights of shape {shape}{other}, got {given.shape}")
    total *= shape[-1]
    if shape[-1] == 4:
        return Weights(given.reshape(-1), 2, total)
    return Weights(np.repeat(given.reshape(-1), shape[-1]), 0, total)


def _tree(sums: NDArray[np.float64]) -> float:
    """Add neighbours until one is left: an order that only the number of blocks decides."""
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.append(sums, 0.0)
        with np.errstate(invalid="ignore"):
            sums = sums[0::2] + sums[1::2]
    return float(sums[0]) if len(sums) else 0.0
