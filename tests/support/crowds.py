"""Suppression by the plain loop over all pairs, and crowds of boxes in every layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import reference
from hypothesis import strategies as st
from strategies import INVALID, VALID, corners, dtypes

Array = np.ndarray[Any, Any]


def ranked(boxes: Array, scores: Array) -> list[int]:
    usable = (reference.invalid(boxes) == 0) & ~np.isnan(scores)
    return [int(i) for i in np.argsort(-scores, kind="stable") if usable[i]]


def naive_nms(boxes: Array, scores: Array, threshold: float) -> list[int]:
    """The IoU is in the boxes' dtype, the threshold as it is."""
    kept: list[int] = []
    for i in ranked(boxes, scores):
        if not (reference.values(boxes[kept], boxes[i], "iou").astype(np.float64) > threshold).any():
            kept.append(i)
    return kept


def naive_soft(boxes: Array, scores: Array, gaussian: bool, threshold: float, sigma: float, least: float) -> Any:
    left = scores.astype(np.float64)
    waiting, kept = sorted(ranked(boxes, scores)), []
    while waiting:
        i = max(waiting, key=lambda k: (left[k], -k))
        waiting.remove(i)
        if left[i] < least:
            continue
        kept.append(i)
        for j in waiting:
            overlap = float(reference.values(boxes[i], boxes[j], "iou"))
            factor = math.exp(-(overlap * overlap) / sigma) if gaussian else 1.0 - overlap
            if gaussian or overlap > threshold:
                left[j] = left[j] * factor if factor > 0 else 0.0  # of an infinite score too
    return kept, left[kept]


@st.composite
def scored(draw: st.DrawFn, kinds: tuple[str, ...] = VALID + INVALID, max_size: int = 14) -> Any:
    """Boxes with scores of which many tie, and some are nan, infinite or -0.0."""
    boxes = draw(corners(None, kinds, 0, max_size))
    few = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.5, 0.75, 1.0, -3.0, float("nan"), float("inf")])
    return boxes, np.array(draw(st.lists(few, min_size=len(boxes), max_size=len(boxes))), dtype=draw(dtypes))


def crowd(layout: str, n: int, seed: int = 0) -> Array:
    """Corners in layouts that are hard on a grid."""
    rng = np.random.default_rng(seed)
    low, size = rng.uniform(0, 100, (n, 2)), rng.uniform(2, 6, (n, 2))
    if layout == "all equal":
        low, size = np.full((n, 2), 3.0), np.full((n, 2), 2.0)
    elif layout == "all at one point":
        size *= 0
    elif layout == "lognormal":
        low, size = low * 10, rng.lognormal(2, 2, (n, 2))
    elif layout == "giants among the tiny":
        size[::20] *= 1e4
    elif layout == "one row":
        low[:, 1], low[:, 0] = 0, low[:, 0] * 1e3
    elif layout == "beams":
        size = np.where(rng.random((n, 1)) < 0.5, [[300.0, 1.0]], [[1.0, 300.0]])
    elif layout == "one far away":
        low[0] = 1e7
    elif layout == "two places":
        low[::2] += 3e6
    elif layout == "far from the origin":
        low += 1e7
    elif layout == "many sizes":
        size = 2.0 ** rng.uniform(-30, 30, (n, 2))
        low *= size
    elif layout == "wild":
        size *= 1e-15
        low *= 1e-15
    elif layout == "a chain":
        low = np.stack([np.arange(n) * 1.0, np.zeros(n)], axis=1)
        size = np.full((n, 2), 2.5)
    return np.concatenate([low, low + size], axis=1)
