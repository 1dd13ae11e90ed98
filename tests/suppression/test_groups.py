"""Suppression keeps images and classes apart, and gives the same for any threads, format or order."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from strategies import VALID, formats, some_boxes
from support.crowds import crowd, naive_nms, naive_soft, scored
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes
from fastbox.suppression.nms import nms, soft_nms

N = 1500 if not WITHOUT_JIT else 120


@pytest.mark.parametrize("labels", ["int", "negative", "str", "object", "huge"])
def test_images_and_classes_are_apart(way: str, labels: str) -> None:
    n = 400 if not WITHOUT_JIT else 60
    rng = np.random.default_rng(4)
    boxes, scores = some_boxes(n, np.float32, 4, bad=0.02), np.round(rng.random(n), 1)
    image, kind = np.sort(rng.integers(0, 9, n)), rng.integers(0, 4, n)
    classes = {
        "int": kind,
        "negative": kind - 2,
        "str": np.array(["a", "b", "é", "zz"])[kind],
        "object": np.array(["a", "b", "é", "zz"], object)[kind],
        "huge": kind.astype(np.uint64) + np.uint64(2**64 - 9),
    }[labels]
    expected, softened = [], []
    for g in np.unique(image):
        hard, soft = [], []
        for c in range(4):
            rows = np.flatnonzero((image == g) & (kind == c))
            hard += rows[naive_nms(boxes[rows], scores[rows], 0.4)].tolist()
            kept, left = naive_soft(boxes[rows], scores[rows], False, 0.4, 0.5, 0.05)
            soft += list(zip(rows[kept].tolist(), left, strict=True))
        expected += sorted(hard, key=lambda i: (-scores[i], i))
        softened += sorted(soft, key=lambda pair: (-pair[1], pair[0]))
    grouped = Boxes(boxes, images=image)
    assert nms(grouped, scores, iou_threshold=0.4, classes=classes).tolist() == expected
    found = soft_nms(grouped, scores, iou_threshold=0.4, score_threshold=0.05, classes=classes)
    assert found.indices.tolist() == [row for row, _ in softened]
    np.testing.assert_allclose(found.scores, [left for _, left in softened], rtol=1e-12)


@given(scored(VALID), formats)
def test_every_format_gives_the_same(drawn: Any, format: str) -> None:
    boxes, scores = drawn
    written = reference.to_format(boxes, format)
    read = reference.from_format(written, format)
    found = nms(Boxes(written, format), scores, iou_threshold=0.4).tolist()
    assert found == naive_nms(read, scores, 0.4)


def test_grouped_is_a_loop_over_images(way: str) -> None:
    boxes, scores = some_boxes(N, np.float64, 5, exact=False), np.random.default_rng(5).random(N)
    cuts = np.sort(np.random.default_rng(6).integers(0, N, 12))
    offsets = np.concatenate(([0, 0], cuts, [N]))
    expected = [
        first + nms(boxes[first:last], scores[first:last], iou_threshold=0.5) for first, last in pairwise(offsets)
    ]
    found = nms(Boxes(boxes, offsets=offsets), scores, iou_threshold=0.5)
    np.testing.assert_array_equal(found, np.concatenate(expected))


@pytest.mark.parametrize("grouped", [False, True])
def test_threads_change_nothing(threads: Any, grouped: bool) -> None:
    n = 60_000 if not WITHOUT_JIT else 120
    rng = np.random.default_rng(8)
    low = rng.uniform(0, 2000, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 60, (n, 2))], axis=1).astype(np.float32)
    scores, classes = np.round(rng.random(n), 3), rng.integers(0, 3, n)
    sizes = np.concatenate(([n // 3, 0, n // 6], np.full(6, n // 12)))
    given = Boxes(boxes, offsets=np.concatenate(([0], np.cumsum(sizes)))) if grouped else boxes
    answers = set()
    for count in (1, 2, 5):
        threads(count)
        hard = nms(given, scores, iou_threshold=0.5, classes=classes)
        soft = soft_nms(given, scores, classes=classes)
        answers.add((hard.tobytes(), soft.indices.tobytes(), soft.scores.tobytes()))
    assert len(answers) == 1


def test_many_equal_scores_keep_the_order_of_rows() -> None:
    n = 3000 if not WITHOUT_JIT else 100
    boxes = crowd("a chain", n) * [10, 1, 10, 1]
    assert nms(boxes, np.zeros(n), iou_threshold=0.99).tolist() == list(range(n))
    scores = np.random.default_rng(9).choice([-np.inf, -2.5, -0.0, 0.0, 1e-300, 7.0, np.inf], n)
    assert nms(boxes, scores, iou_threshold=0.99).tolist() == np.argsort(-scores, kind="stable").tolist()


def test_nothing_in_nothing_out() -> None:
    assert nms([], [], iou_threshold=0.5).tolist() == []
    assert nms(Boxes([], offsets=[0, 0]), [], iou_threshold=0.5, classes=[]).tolist() == []
    empty = soft_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert empty.indices.dtype == np.int64
    assert empty.scores.dtype == np.float32


def test_inputs_are_left_alone() -> None:
    boxes, scores, classes = some_boxes(50, np.float64, 1), np.linspace(0, 1, 50), np.arange(50) % 3
    for array in (boxes, scores, classes):
        array.flags.writeable = False
    before = scores.copy()
    nms(boxes, scores, iou_threshold=0.5, classes=classes)
    soft_nms(boxes, scores[::-1][::-1], classes=classes)
    np.testing.assert_array_equal(scores, before)


def test_tensors_go_in() -> None:
    torch = pytest.importorskip("torch")
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]])
    scores = torch.tensor([0.5, 0.9, 0.7], requires_grad=True)
    assert nms(boxes, scores, iou_threshold=0.5).tolist() == [1, 2]
    assert nms(boxes, scores, iou_threshold=0.5, classes=torch.tensor([0, 1, 0])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"iou_threshold": -0.1}, ValueError, "from 0 to 1, got -0.1"),
        ({"iou_threshold": 1.1}, ValueError, "from 0 to 1, got 1.1"),
        ({"iou_threshold": math.nan}, ValueError, "from 0 to 1, got nan"),
        ({"scores": [1.0]}, ValueError, r"scores of shape \(2,\), got \(1,\)"),
        ({"scores": [[1.0, 2.0]]}, ValueError, r"got \(1, 2\)"),
        ({"scores": ["a", "b"]}, TypeError, "real numbers"),
        ({"classes": [1]}, ValueError, r"classes of shape \(2,\), got \(1,\)"),
        ({"classes": [1.5, 2]}, TypeError, "integers or strings, got dtype float64"),
    ],
)
def test_what_does_not_go_is_refused(options: Any, error: Any, words: str) -> None:
    arguments = {"scores": [1.0, 0.5], "iou_threshold": 0.5, **options}
    for call in (nms, soft_nms):
        with pytest.raises(error, match=words):
            call([[0, 0, 1, 1]] * 2, **arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "lineer"}, "linear, gaussian, got 'lineer'"),
        ({"sigma": 0}, "sigma above 0, got 0"),
        ({"sigma": math.inf}, "sigma above 0, got inf"),
        ({"score_threshold": -1}, "at least 0, got -1"),
        ({"score_threshold": math.nan}, "at least 0, got nan"),
    ],
)
def test_what_soft_nms_can_not_use_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        soft_nms([[0, 0, 1, 1]], [1.0], **options)


@pytest.mark.jit
def test_interleaved_boxes_are_settled_alike_by_more_threads_than_processors(threads: Any) -> None:
    boxes, scores = crowd("uniform", 20_000, 5), np.random.default_rng(5).random(20_000)
    threads(1)
    alone = nms(boxes, scores, iou_threshold=0.2)
    threads(8)
    for _ in range(5):
        np.testing.assert_array_equal(nms(boxes, scores, iou_threshold=0.2), alone)
    assert fastbox.get_num_threads() == 8
