"""Checks of two sets of boxes before a kernel compares them, and of the array that a result is written to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes, as_boxes
from fastbox.ops.metrics import METRICS
from fastbox.values.groups import align_images
from fastbox.values.numbers import as_choice, as_number

__all__ = ["STREAMED_BYTES", "as_two", "by_image", "output"]

STREAMED_BYTES = 32 << 20  # an output from this size on leaves every cache before it is read again


def as_two(a: Any, b: Any, metric: str, beta: float, *, grouped: bool = True) -> tuple[Boxes, Boxes]:
    """Return two sets of boxes of one dtype, after a check of the metric and beta."""
    as_choice(metric, METRICS, "a metric")
    if not as_number(beta, "beta") >= 0:
        raise ValueError(f"expected beta to be at least 0, got {beta!r}")
    a, b = as_boxes(a, "a", grouped=grouped), as_boxes(b, "b", grouped=grouped)
    if a.dtype == b.dtype:
        return a, b
    dtype = np.result_type(a.dtype, b.dtype)
    return a.astype(dtype), b.astype(dtype)


def by_image(a: Any, b: Any, metric: str, beta: float) -> tuple[Boxes, Boxes, NDArray[np.int64], NDArray[np.int64]]:
    """Return two sets as :func:`as_two` does, and the rows where each image begins in a and in b."""
    a, b = as_two(a, b, metric, beta)
    if a.offsets is None and b.offsets is None:
        return a, b, np.array([0, len(a)]), np.array([0, len(b)])
    _, starts_a, starts_b = align_images(a, b)
    return a, b, starts_a, starts_b


def output(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "out") -> NDArray[Any]:
    """Return a new array, or the given one, which must be C-contiguous and of this shape and dtype."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        came = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"expected {name} to be a {dtype} array of shape {shape}, got {came}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError(f"expected {name} to be C-contiguous, aligned and writeable, got an array that is not")
    return out
