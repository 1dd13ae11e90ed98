"""Leaders of a crowded segment decide the same as all boxes at once, and leave few boxes to decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.crowds import naive_nms

import fastbox
from fastbox.ops.checks import as_collection
from fastbox.suppression import arranged

N = 600


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranged, "CROWD", 64)


def crowded() -> tuple[Any, Any]:
    """Draw boxes around a hundredth as many objects, and their scores."""
    rng = np.random.default_rng(0)
    objects = rng.integers(0, N // 100, N)
    centre = rng.uniform(0, 300, (N, 2))[objects] + rng.normal(0, 4, (N, 2))
    sides = rng.uniform(40, 100, (N, 2))[objects] * np.exp(rng.normal(0, 0.1, (N, 2)))
    boxes = np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)
    return boxes.astype(np.float32), rng.random(N).astype(np.float32)


def leaders_of(boxes: Any, scores: Any, threshold: float) -> np.ndarray[Any, Any]:
    side = arranged.arranged(as_collection(boxes))
    return side.leaders(scores.astype(np.float64), np.arange(len(boxes)), boxes.dtype.type(threshold))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "ties", "odd boxes", "one place", "descending"])
def test_a_crowd_is_decided_as_by_the_plain_loop(kind: str, dtype: Any) -> None:
    boxes, scores = (column.astype(dtype) for column in crowded())
    rng = np.random.default_rng(3)
    if kind == "ties":
        scores = np.round(scores, 1)
    elif kind == "odd boxes":
        boxes[::7, 2] = rng.choice([np.nan, np.inf, 1e30, -1e30], len(boxes[::7]))
        boxes[::11, 2] = boxes[::11, 0]
        scores[::5] = np.nan
    elif kind == "one place":
        boxes[:] = boxes[0]
    elif kind == "descending":
        scores[::-1].sort()
    for threshold in (0.0, 0.5, 0.8):
        found = fastbox.nms(fastbox.Boxes(boxes), scores, iou_threshold=threshold)
        assert found.tolist() == naive_nms(boxes, scores, threshold)
    assert len(leaders_of(boxes, scores, 0.5)) >= N // 32 or kind == "ties"


def test_leaders_are_the_boxes_of_the_highest_scores_of_a_crowd() -> None:
    boxes, scores = crowded()
    leaders = leaders_of(boxes, scores, 0.5)
    assert N // 32 < len(leaders) < N // 8
    assert scores[leaders].min() > np.delete(scores, leaders).max()


def test_boxes_without_a_crowd_and_scores_without_a_top_have_no_leaders() -> None:
    boxes, scores = crowded()
    apart = boxes + 100 * np.arange(N, dtype=np.float32)[:, None]
    assert not len(leaders_of(apart, scores, 0.5))
    assert not len(leaders_of(boxes, np.ones(N), 0.5))
    assert not len(leaders_of(boxes, np.full(N, np.nan), 0.5))
    assert not len(leaders_of(boxes, scores, 1.0))


def test_few_boxes_remain_beside_the_leaders_that_are_kept() -> None:
    boxes, scores = crowded()
    leaders = leaders_of(boxes, scores, 0.5)
    kept = np.intersect1d(leaders, fastbox.nms(boxes, scores, iou_threshold=0.5))
    side, rows = arranged.arranged(as_collection(boxes)), np.arange(N)
    whole = side.remaining(kept, rows, np.float32(0.5), [(0, N)])
    np.testing.assert_array_equal(side.remaining(kept, rows, np.float32(0.5), [(0, 100), (100, N)]), whole)
    assert set(kept) <= set(whole)
    assert len(whole) < N // 4
    suppressed = np.max(fastbox.pairwise(boxes, boxes[kept]), axis=1) > np.float32(0.5)
    assert set(np.flatnonzero(~suppressed)) <= set(whole)
