"""Checks of two sets of boxes before a kernel compares them, and of the array that a result is written to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.base import Collection
from fastbox.boxes.container import as_boxes
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import PLAIN, QUADS
from fastbox.ops.geometry import geometry_of
from fastbox.ops.metrics import METRICS, ROTATED_METRICS
from fastbox.values.groups import align_images
from fastbox.values.numbers import as_choice, as_number
from fastbox.values.spare import empty

__all__ = ["STREAMED_BYTES", "as_collection", "as_two", "by_image", "check_metric", "output"]

STREAMED_BYTES = 32 << 20  # an output from this size on leaves every cache before it is read again


def check_metric(metric: str, *sides: Any) -> None:
    """Refuse a metric that the geometry of the boxes does not have."""
    geometry = geometry_of(*sides)
    if geometry == PLAIN:
        as_choice(metric, METRICS, "a metric")
        return
    as_choice(metric, ROTATED_METRICS, "a metric of rotated boxes")
    if geometry == QUADS and metric == "probiou":
        raise ValueError("expected rectangles for probiou, got quadrilaterals: give boxes.rectangles()")


def as_collection(boxes: Any, name: str = "boxes", *, grouped: bool = True) -> Collection:
    """Return rotated boxes unchanged, and anything else as :func:`fastbox.boxes.container.as_boxes` does."""
    return boxes if isinstance(boxes, RotatedBoxes) else as_boxes(boxes, name, grouped=grouped)


def as_two(a: Any, b: Any, metric: str, beta: float, *, grouped: bool = True) -> tuple[Collection, Collection]:
    """Return two sets of boxes of one dtype, after a check of the metric and beta."""
    check_metric(metric, a, b)
    if not as_number(beta, "beta") >= 0:
        raise ValueError(f"expected beta to be at least 0, got {beta!r}")
    a, b = as_collection(a, "a", grouped=grouped), as_collection(b, "b", grouped=grouped)
    if a.dtype == b.dtype:
        return a, b
    dtype = np.result_type(a.dtype, b.dtype)
    return a.astype(dtype), b.astype(dtype)


def by_image(
    a: Any, b: Any, metric: str, beta: float
) -> tuple[Collection, Collection, NDArray[np.int64], NDArray[np.int64]]:
    """Return two sets as :func:`as_two` does, and the rows where each image begins in a and in b."""
    a, b = as_two(a, b, metric, beta)
    if a.offsets is None and b.offsets is None:
        return a, b, np.array([0, len(a)]), np.array([0, len(b)])
    _, starts_a, starts_b = align_images(a, b)
    return a, b, starts_a, starts_b


def output(
    out: NDArray[Any] | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    name: str = "out",
    inputs: Iterable[NDArray[Any]] = (),
) -> NDArray[Any]:
    """Return a new array, or the given one: C-contiguous, of this shape and dtype, and apart from the inputs."""
    if out is None:
        return empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        came = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"expected {name} to be a {dtype} array of shape {shape}, got {came}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError(f"expected {name} to be C-contiguous, aligned and writeable, got an array that is not")
    if any(np.may_share_memory(out, given) for given in inputs):
        raise ValueError(f"expected {name} in memory of its own, got an array that overlaps an input")
    return out
