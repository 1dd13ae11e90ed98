"""The options of a loss, checked; the arrays that kernels write; and the result, with sums in a fixed order."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox.kernels.codes import BLOCK
from fastbox.ops.checks import STREAMED_BYTES, output
from fastbox.values.numbers import as_choice, as_floats, in_dtype
from fastbox.values.record_text import record_text

__all__ = ["Loss", "LossAndGrad", "Options", "Outcome", "check_reduction", "prepare"]

REDUCTIONS = ("none", "box", "sum", "mean")


class LossAndGrad(NamedTuple):
    """A loss, and its gradient with respect to the prediction, in the prediction's shape and format."""

    loss: Any
    grad: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)


Loss: TypeAlias = NDArray[Any] | float | LossAndGrad


class Options(NamedTuple):
    """The options that all losses share, as a caller gives them."""

    reduction: str
    weights: Any
    return_grad: bool
    out: NDArray[Any] | None
    grad_out: NDArray[Any] | None


class Weights(NamedTuple):
    """Weights in the form of kernels: none, one for each value, or one for four values (`shared` is 2: 2² = 4)."""

    values: NDArray[Any]
    shared: int
    total: float


class Outcome(NamedTuple):
    """The arrays that a kernel writes, of size 0 if not requested, and the numbers that turn them into the result.

    Attributes
    ----------
    losses, grad, sums : array
        One loss for each value or box, the gradient, and one sum for each block of values.
    streamed : bool
        True if the gradient is written with non-temporal stores.
    weights : Weights
    scale : float
        The factor of all gradients, in the dtype of the loss.
    reduction : str
    divisor : float
        The divisor of the mean.
    return_grad : bool
    """

    losses: NDArray[Any]
    grad: NDArray[Any]
    sums: NDArray[np.float64]
    streamed: bool
    weights: Weights
    scale: Any
    reduction: str
    divisor: float
    return_grad: bool

    def result(self) -> Loss:
        """Return the loss, with its gradient if requested."""
        loss: Any = self.losses
        if self.reduction in ("sum", "mean"):
            loss = _tree(self.sums)
            if self.reduction == "mean":
                loss = loss / self.divisor if self.divisor else float("nan")
            loss = loss if loss == loss else float("nan")  # the canonical nan
        return LossAndGrad(loss, self.grad) if self.return_grad else loss


def prepare(
    options: Options,
    values: tuple[int, ...],
    losses: tuple[int, ...],
    grad: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: tuple[NDArray[Any], ...],
) -> Outcome:
    """Check the options of a loss against its shapes and the arrays it reads, and make the arrays to write.

    The shapes are those of the values that the loss computes, of the losses it returns without a sum, and of its
    gradient.

    Raises
    ------
    ValueError
        Weights, ``out`` or ``grad_out`` that do not fit.
    """
    reduction, _, return_grad, out, grad_out = options
    one_each, count = reduction == "none" or reduction == "box", math.prod(values)
    weights = _weights(options.weights, values, dtype)
    if out is not None or grad_out is not None:
        _check_outputs(options, one_each, (*inputs, weights.values))
    divisor = float(count) if weights.values.size == 0 else weights.total
    scale = 1.0 if reduction != "mean" else 1.0 / divisor if divisor else float("nan")
    nothing = _no_weights(dtype).values
    slopes = output(grad_out, grad, dtype, "grad_out") if return_grad else nothing
    return Outcome(
        output(out, losses, dtype) if one_each else nothing,
        slopes,
        np.zeros(0 if one_each else -(-count // BLOCK)),
        grad_out is not None and slopes.nbytes >= STREAMED_BYTES,
        weights,
        in_dtype(scale, dtype),
        reduction,
        divisor,
        return_grad,
    )


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless a reduction is known."""
    as_choice(reduction, REDUCTIONS, "a reduction")


def _check_outputs(options: Options, one_each: bool, inputs: tuple[NDArray[Any], ...]) -> None:
    """Refuse arrays to write that are not used, and arrays that share memory with other arrays."""
    out, grad_out = options.out, options.grad_out
    if out is not None and not one_each:
        raise ValueError(f'expected out= with reduction="none" or "box", got out= with {options.reduction!r}')
    if grad_out is not None and not options.return_grad:
        raise ValueError("expected return_grad=True with grad_out=, got False")
    for name, array in (("out", out), ("grad_out", grad_out)):
        if array is not None and any(np.may_share_memory(array, given) for given in inputs):
            raise ValueError(f"expected {name} in memory of its own, got an array that overlaps an input")
    if out is not None and grad_out is not None and np.may_share_memory(out, grad_out):
        raise ValueError("expected grad_out in memory of its own, got an array that overlaps out")


@cache
def _no_weights(dtype: np.dtype[Any]) -> Weights:
    return Weights(np.empty(0, dtype), 0, 0.0)


def _weights(weights: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Weights:
    """Read weights for values of a shape: one for each value, or one for each row of the last axis."""
    if weights is None:
        return _no_weights(dtype)
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
    """Add neighbours until one sum is left, in an order that depends only on the number of blocks."""
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.append(sums, 0.0)
        with np.errstate(invalid="ignore"):
            sums = sums[0::2] + sums[1::2]
    return float(sums[0]) if len(sums) else 0.0
