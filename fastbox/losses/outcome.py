"""The options of a loss, checked; the arrays that kernels write; and the result, with sums in a fixed order."""

from __future__ import annotations

import math
from functools import cache
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.kernels.codes import BLOCK
from fastbox.ops.checks import STREAMED_BYTES, output
from fastbox.values.flags import as_flag
from fastbox.values.numbers import as_floats, in_dtype
from fastbox.values.record_text import record_text

__all__ = ["REDUCTIONS", "Loss", "LossAndGrad", "Options", "Outcome", "tree_sum"]

REDUCTIONS = ("none", "box", "sum", "mean")
LARGE = 2.0**64  # a sum of weights


class LossAndGrad(NamedTuple):
    """A loss, and its gradient with respect to the prediction, in the prediction's shape and format."""

    loss: Any
    grad: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)


Loss: TypeAlias = NDArray[Any] | float | LossAndGrad


# The options that all losses share, as a caller gives them: reduction, weights, return_grad, out and grad_out.
Options: TypeAlias = tuple[str, Any, bool, NDArray[Any] | None, NDArray[Any] | None]


class Weights(NamedTuple):
    """Weights in the form of kernels: none, one for each value, or one for four values (`shared` is 2: 2² = 4)."""

    values: NDArray[Any]
    shared: int
    total: float


class Outcome:
    """The arrays that a kernel writes, of size 0 if not requested, and the numbers that turn them into the result.

    Parameters
    ----------
    options : Options
    values, losses, grad : tuple of int
        The shapes of the values that the loss computes, of the losses it returns without a sum, and of its gradient.
    dtype : dtype
    inputs : tuple of tuple of array
        The arrays that the loss reads, of each side.

    Attributes
    ----------
    losses, grad, sums : array
        One loss for each value or box, the gradient, and one sum for each block of values.
    streamed : bool
        True if the gradient is written with non-temporal stores.
    weights : Weights
    scale : float
        The factor of all gradients.
    divisor : float
        The divisor of the mean.

    Raises
    ------
    ValueError
        Weights, ``out`` or ``grad_out`` that do not fit.
    """

    __slots__ = ("divisor", "grad", "losses", "options", "scale", "streamed", "sums", "weights")

    def __init__(
        self,
        options: Options,
        values: tuple[int, ...],
        losses: tuple[int, ...],
        grad: tuple[int, ...],
        dtype: np.dtype[Any],
        inputs: tuple[tuple[NDArray[Any], ...], ...],
    ) -> None:
        reduction, given, return_grad, out, grad_out = options
        self.options = reduction, given, as_flag(return_grad, "return_grad"), out, grad_out
        one_each, count, nothing = reduction in ("none", "box"), math.prod(values), _no_weights(dtype)
        self.weights = weights = nothing if given is None else _weights(given, values, dtype, reduction)
        read: tuple[NDArray[Any], ...] = ()
        if out is not None or grad_out is not None:
            _check_outputs(options, one_each)
            read = (*chain(*inputs), weights.values)
        self.divisor = divisor = float(count) if weights.values.size == 0 else weights.total
        scale = 1.0 if reduction != "mean" else 1.0 / divisor if divisor else math.nan
        self.scale = scale if given is None else in_dtype(scale, dtype)
        self.grad = output(grad_out, grad, dtype, "grad_out", read) if return_grad else nothing.values
        self.losses = output(out, losses, dtype, inputs=read) if one_each else nothing.values
        self.sums = np.zeros(0 if one_each else -(-count // BLOCK))
        self.streamed = grad_out is not None and self.grad.nbytes >= STREAMED_BYTES

    def result(self) -> Loss:
        """Return the loss, with its gradient if requested."""
        reduction, _, return_grad, _, _ = self.options
        loss: Any = self.losses
        if reduction in ("sum", "mean"):
            loss = tree_sum(self.sums)
            if reduction == "mean":
                loss = loss / self.divisor if self.divisor else math.nan
            loss = loss if loss == loss else math.nan  # the canonical nan
        return LossAndGrad(loss, self.grad) if return_grad else loss


def _check_outputs(options: Options, one_each: bool) -> None:
    """Refuse arrays to write that are not used, and those that share memory with each other."""
    reduction, _, return_grad, out, grad_out = options
    if out is not None and not one_each:
        raise ValueError(f'expected out= with reduction="none" or "box", got out= with {reduction!r}')
    if grad_out is not None and not return_grad:
        raise ValueError("expected return_grad=True with grad_out=, got False")
    if out is not None and grad_out is not None and np.may_share_memory(out, grad_out):
        raise ValueError("expected grad_out in memory of its own, got an array that overlaps out")


@cache
def _no_weights(dtype: np.dtype[Any]) -> Weights:
    return Weights(np.empty(0, dtype), 0, 0.0)


def _weights(weights: Any, shape: tuple[int, ...], dtype: np.dtype[Any], reduction: str) -> Weights:
    """Read weights for values of a shape: one for each value, or one for each row of the last axis.

    A mean is the same with all weights doubled or halved: so they are where products with them, or one over their sum,
    may be beyond the dtype.
    """
    given = in_dtype(as_floats(weights, "weights"), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(given.sum(dtype=np.float64))
        if reduction == "mean" and total and not 1 / float(np.finfo(dtype).max) < abs(total) < LARGE:
            most = float(np.max(np.abs(given)))
            if math.isfinite(most):
                given = np.ldexp(given, -math.frexp(most)[1])
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


def tree_sum(sums: NDArray[np.float64]) -> float:
    """Add neighbours until one sum is left, in an order that depends only on the number of blocks."""
    parts = sums.tolist()
    while len(parts) > 1:
        if len(parts) % 2:
            parts.append(0.0)
        parts = [one + other for one, other in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0] if parts else 0.0
