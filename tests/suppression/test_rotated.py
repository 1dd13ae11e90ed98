"""Suppression of rotated boxes gives what the plain loop over the matrix gives, in one run or in a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.paths import WITHOUT_JIT
from support.turned import drawn

import fastbox
from fastbox import RotatedBoxes
from fastbox.suppression import nms

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

N = 40 if WITHOUT_JIT else 600


def scene(kind: str, dtype: Any = np.float64) -> tuple[RotatedBoxes, np.ndarray]:
    """Boxes of which some are invalid or without area, and scores of which some are equal or nan."""
    rng = np.random.default_rng(3)
    found = drawn(rng, N, 2, 20, N**0.5)
    found[::17, 2], found[3::19, 2] = np.nan, 0
    boxes = RotatedBoxes(found.astype(dtype), "cxcywhr")
    if kind == "xyxyxyxy":
        boxes = RotatedBoxes(boxes.corners() + rng.normal(0, 0.3, (N, 4, 2)).astype(dtype), kind)
    scores = np.round(rng.random(N), 2)
    scores[5] = np.nan
    return boxes, scores


def ranked(boxes: RotatedBoxes, scores: np.ndarray) -> list[int]:
    order = np.lexsort((np.arange(N), -scores))
    return order[~np.isnan(scores[order]) & (boxes.invalid()[order] == 0)].tolist()


def kept(boxes: RotatedBoxes, scores: np.ndarray, threshold: float) -> list[int]:
    values, found = fastbox.pairwise(boxes, boxes), list[int]()
    for row in ranked(boxes, scores):
        if not (values[row, found].astype(np.float64) > threshold).any():
            found.append(row)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("dense", [10**9, 0])
@pytest.mark.parametrize("kind", ["cxcywhr", "xyxyxyxy"])
def test_boxes_kept_are_those_of_the_plain_loop(kind: str, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "DENSE", min(dense, N))
    monkeypatch.setattr(nms, "SMALLEST", 64)
    boxes, scores = scene(kind)
    for threshold in (0.0, 0.1, 0.5, 0.9):
        assert fastbox.nms(boxes, scores, iou_threshold=threshold).tolist() == kept(boxes, scores, threshold)
    images, classes = np.arange(N) // (N // 2), np.arange(N) % 2
    grouped = RotatedBoxes.of(boxes.columns, boxes.format, np.array([0, N // 2, N]), np.array([0, 1]))
    expected = [
        row
        for image in (0, 1)
        for row in sorted(
            (
                row
                for kind in (0, 1)
                for row in kept(boxes, np.where((images == image) & (classes == kind), scores, np.nan), 0.3)
            ),
            key=lambda row: (-scores[row], row),
        )
    ]
    assert fastbox.nms(grouped, scores, iou_threshold=0.3, classes=classes).tolist() == expected


@pytest.mark.slow
def test_scores_fall_as_in_the_plain_loop() -> None:
    boxes, scores = scene("cxcywhr", np.float32)
    values, left = fastbox.pairwise(boxes, boxes).astype(np.float64), scores.copy()
    waiting, found = sorted(ranked(boxes, scores)), []
    while waiting:
        row = max(waiting, key=lambda k: (left[k], -k))
        if left[row] < 0.05:
            break
        waiting.remove(row)
        found.append(row)
        for other in waiting:
            left[other] *= 1 - values[row, other] if values[row, other] > 0.3 else 1
    soft = fastbox.soft_nms(boxes, scores, iou_threshold=0.3, score_threshold=0.05)
    assert soft.indices.tolist() == found
    assert soft.scores.tolist() == left[found].tolist()
