"""Detections and truths as the two sides of a one-to-one match, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.ops.checks import as_collection
from fastbox.values.groups import align_images

__all__ = ["Ints", "collections_of", "costs_of", "sides_of"]

Ints = NDArray[np.int64]


def collections_of(detections: Any, truths: Any) -> tuple[Collection, Collection, Ints, Ints]:
    """Return both sides as :func:`sides_of` does, rotated boxes too."""
    a, b = as_collection(detections, "detections"), as_collection(truths, "truths")
    dtype = np.result_type(a.dtype, b.dtype)
    a, b = a.astype(dtype), b.astype(dtype)
    _, starts_a, starts_b = align_images(a, b, ("detections", "truths"))
    return a, b, starts_a, starts_b


def sides_of(detections: Any, truths: Any) -> tuple[Boxes, Boxes, Ints, Ints]:
    """Return both sides in one dtype, and the first row of each image on both sides.

    Raises
    ------
    ValueError
        Only one side is grouped, or image ids do not fit together.
    """
    return collections_of(as_boxes(detections, "detections"), as_boxes(truths, "truths"))  # type: ignore[return-value]


def costs_of(starts_a: Ints, starts_b: Ints) -> Ints:
    """Return the cost of each image, in pairs, given the first row of each image on both sides."""
    cost: Ints = np.diff(starts_a) * (np.diff(starts_b) + parallel.ROW_COST)
    return cost
