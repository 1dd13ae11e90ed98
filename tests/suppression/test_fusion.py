"""Weighted boxes fusion gives what its authors' code gives, image by image and class by class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from strategies import some_boxes
from support.paths import WITHOUT_JIT

from fastbox import Boxes
from fastbox.suppression import fusion
from fastbox.suppression.fusion import weighted_boxes_fusion

Array = np.ndarray[Any, Any]


def ensemble(boxes: Array, scores: Array, classes: Array, models: Array, **options: Any) -> Any:
    """Return the authors' result for boxes in an image of 256 by 256 pixels, by class and descending score."""
    authors = pytest.importorskip("ensemble_boxes").weighted_boxes_fusion
    count = int(models.max()) + 1
    parts = [models == m for m in range(count)]
    columns = [[column[part].tolist() for part in parts] for column in (boxes / 256, scores, classes)]
    fused, left, labels = authors(*columns, **options)
    order = np.lexsort((-left, labels))
    return fused[order] * 256, left[order], labels[order]


@pytest.mark.parametrize("conf_type", fusion.CONFIDENCES)
@pytest.mark.parametrize("weights", [None, [2.0, 1.0, 0.5]])
def test_fusion_is_that_of_its_authors(conf_type: str, weights: Any) -> None:
    rng = np.random.default_rng(11)
    centres = np.repeat(rng.uniform(60, 190, (25, 4)), 6, axis=0)
    low, size = centres[:, :2] + rng.normal(0, 3, (150, 2)), 30 + centres[:, 2:] / 8 + rng.normal(0, 3, (150, 2))
    boxes = np.concatenate([low, low + size], axis=1)
    scores, models, classes = rng.random(150), rng.integers(0, 3, 150), np.repeat(np.arange(25) % 2, 6)
    models[:3] = 0, 1, 2
    options = {"weights": weights, "conf_type": conf_type}
    expected = ensemble(boxes, scores, classes, models, iou_thr=0.5, skip_box_thr=0.1, **options)
    found = weighted_boxes_fusion(
        boxes, scores, classes=classes, models=models, iou_threshold=0.5, skip_box_threshold=0.1, **options
    )
    assert (np.diff(found.scores) <= 0).all()
    order = np.lexsort((-found.scores, found.classes))
    assert 20 < len(order) < 140
    np.testing.assert_array_equal(found.classes[order], expected[2])
    np.testing.assert_allclose(found.scores[order], expected[1], rtol=1e-5)
    np.testing.assert_allclose(found.boxes[order], expected[0], rtol=1e-5)


def test_overflow_counts_every_box_of_a_cluster() -> None:
    boxes = np.array([[0, 0, 8, 8], [0, 0, 8, 9], [0, 0, 8, 10]], np.float32)
    kept = weighted_boxes_fusion(boxes, [0.6, 0.6, 0.6], models=[0, 0, 1])
    more = weighted_boxes_fusion(boxes, [0.6, 0.6, 0.6], models=[0, 0, 1], allows_overflow=True)
    np.testing.assert_allclose((kept.scores, more.scores), [[0.6], [0.9]])
    np.testing.assert_allclose(kept.boxes, [[0, 0, 8, 9]])
    assert kept.boxes.dtype == np.float32
    assert kept.classes is None


def test_fusion_leaves_out_what_can_not_be_fused() -> None:
    nan = math.nan
    boxes = [[0, 0, 4, 4], [0, 0, nan, 4], [4, 4, 0, 0], [1, 1, 1, 1], [0, 0, 4, 4], [9, 9, 12, 12], [0, 0, 4, 4]]
    found = weighted_boxes_fusion(boxes, [0.5, 1, 1, 1, nan, 0.0, -1.0], models=np.zeros(7, np.uint8), weights=[3])
    assert found.rows.tolist() == [0, 5]
    np.testing.assert_allclose(found.boxes, [[0, 0, 4, 4], [9, 9, 12, 12]])
    np.testing.assert_allclose(found.scores, [0.5, 0.0])
    empty = weighted_boxes_fusion(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), classes=np.zeros(0, "U3"))
    assert (empty.boxes.shape, empty.scores.dtype, empty.offsets.tolist()) == ((0, 4), np.float32, [0, 0])


def test_fusion_is_a_loop_over_images_and_classes(threads: Any) -> None:
    n = 3000 if not WITHOUT_JIT else 120
    rng = np.random.default_rng(12)
    boxes, scores = some_boxes(n, np.float64, 12, exact=False, bad=0.02), np.round(rng.random(n), 2)
    image, kind, models = np.sort(rng.integers(0, 9, n)), np.array(list("abc"))[np.arange(n) % 3], np.arange(n) % 2
    grouped = Boxes(boxes, offsets=np.searchsorted(image, np.arange(11)))
    answers = []
    for count in (1, 3):
        threads(count)
        answers.append(weighted_boxes_fusion(grouped, scores, classes=kind, models=models, weights=[1, 2]))
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)
    found = answers[0]
    assert found.offsets.shape == (11,)
    for g in range(10):
        here = slice(found.offsets[g], found.offsets[g + 1])
        assert (np.diff(found.scores[here]) <= 0).all()
        for c in "abc":
            rows = np.flatnonzero((image == g) & (kind == c))
            alone = weighted_boxes_fusion(boxes[rows], scores[rows], models=models[rows], weights=[1, 2])
            mine = np.flatnonzero(found.classes[here] == c) + found.offsets[g]
            np.testing.assert_array_equal(found.rows[mine], rows[alone.rows])
            np.testing.assert_array_equal(found.boxes[mine], alone.boxes)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"conf_type": "mean"}, ValueError, "got 'mean'"),
        ({"iou_threshold": 2}, ValueError, "from 0 to 1, got 2"),
        ({"skip_box_threshold": -1}, ValueError, "at least 0, got -1"),
        ({"models": [0]}, ValueError, r"models of shape \(2,\), got \(1,\)"),
        ({"models": [0.0, 1.0]}, TypeError, "counted from 0, got dtype float64"),
        ({"models": [0, -1]}, ValueError, "counted from 0, got -1 at row 1: number them"),
        ({"models": [0, 2], "weights": [1, 1]}, ValueError, r"weight for each of 3 models, got shape \(2,\)"),
        ({"weights": [0]}, ValueError, r"weights above 0, got \[0.0\]"),
    ],
)
def test_what_fusion_can_not_use_is_refused(options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        weighted_boxes_fusion([[0, 0, 1, 1]] * 2, [1.0, 0.5], **options)
