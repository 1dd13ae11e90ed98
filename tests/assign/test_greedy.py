"""Greedy matches against pycocotools and a loop."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.matching import images_of, random_boxes
from support.turned import drawn

import fastbox
from fastbox import Boxes
from fastbox.assign.greedy import match_greedy
from fastbox.assign.optimal import match_optimal
from fastbox.assign.result import GreedyMatches

NAN = float("nan")

needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="SciPy is an extra")


def loop(
    detections: Any,
    scores: np.ndarray,
    truths: Any,
    threshold: float = 0.5,
    crowd: np.ndarray | None = None,
    metric: str = "iou",
) -> GreedyMatches:
    """One image, written down naively."""
    values = np.asarray(fastbox.pairwise(detections, truths, metric=metric))
    inside = np.asarray(fastbox.pairwise(detections, truths, metric="iof"))
    crowd = np.zeros(len(truths), bool) if crowd is None else crowd
    found = GreedyMatches(np.full(len(detections), -1), np.full(len(detections), NAN, values.dtype))
    free = ~crowd
    for row in sorted(range(len(scores)), key=lambda k: -scores[k] if scores[k] == scores[k] else np.inf):
        for allowed, met in ((free, values[row]), (crowd, inside[row])):
            reached = [j for j in range(len(truths)) if allowed[j] and met[j] >= values.dtype.type(threshold)]
            if reached and scores[row] == scores[row]:
                best = max(reached, key=lambda j: (met[j], j))
                found.truths[row], found.values[row] = best, met[best]
                free[best] = False
                break
    return found


def assert_same(got: GreedyMatches, expected: GreedyMatches) -> None:
    np.testing.assert_array_equal(got.truths, expected.truths)
    np.testing.assert_array_equal(got.values, expected.values)
    assert got.truths.dtype == np.int64


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_greedy_is_the_loop(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(30, rng), random_boxes(17, rng)
    a[::5] = b[rng.integers(0, 17, 6)]
    scores = rng.integers(0, 8, 30) / 8
    scores[3] = NAN
    a[4, 2], b[2, 0] = NAN, 99
    crowd = rng.random(17) < 0.2
    assert_same(match_greedy(a, scores, b, threshold=threshold, crowd=crowd), loop(a, scores, b, threshold, crowd))
    assert_same(match_greedy(a, scores, b, threshold=threshold), loop(a, scores, b, threshold))


def test_greedy_is_the_loop_over_many_truths_far_apart() -> None:
    rng = np.random.default_rng(1)
    a, b = random_boxes(200, rng, 60), random_boxes(150, rng, 60)
    a[:100], b[75:] = a[:100] + 500, b[75:] + 500
    scores = rng.random(200)
    assert_same(match_greedy(a, scores, b), loop(a, scores, b))


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(4))
def test_greedy_is_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    n, m, images, classes = 300, 120, 9, 3
    b = random_boxes(m, rng)
    image_b, class_b = images_of(m, images, rng), rng.integers(1, classes + 1, m)
    near = np.sort(rng.integers(0, m, n))
    a, image_a, class_a = b[near], image_b[near], class_b[near]
    a[:, 2:] += rng.integers(0, 4, (n, 2))
    scores, crowd = rng.integers(1, 20, n) / 20, rng.random(m) < 0.25
    to_xywh = np.array([[1, 0, -1, 0], [0, 1, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]])

    def rows(boxes: np.ndarray, image: np.ndarray, kinds: np.ndarray, **more: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "id": k + 1,
                "image_id": int(image[k]),
                "category_id": int(kinds[k]),
                "bbox": (boxes[k] @ to_xywh).tolist(),
                **{name: column[k].item() for name, column in more.items()},
            }
            for k in range(len(boxes))
        ]

    truth, results = coco.COCO(), coco.COCO()
    area = (b[:, 2:] - b[:, :2]).prod(axis=1)
    shared = {"images": [{"id": k} for k in range(images)], "categories": [{"id": k + 1} for k in range(classes)]}
    truth.dataset = {**shared, "annotations": rows(b, image_b, class_b, iscrowd=crowd.astype(int), area=area)}
    results.dataset = {
        **shared,
        "annotations": rows(a, image_a, class_a, score=scores, area=np.ones(n), iscrowd=np.zeros(n)),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results.createIndex()
        evaluation = cocoeval.COCOeval(truth, results, "bbox")
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
    per_image = [found for found in evaluation.evalImgs if found and found["aRng"][0] == 0 and found["aRng"][1] > 1e9]
    for t, threshold in enumerate(evaluation.params.iouThrs):
        expected = np.full(n, -1)
        for found in per_image:
            expected[np.array(found["dtIds"], int) - 1] = found["dtMatches"][t].astype(int) - 1
        got = match_greedy(
            Boxes(a, images=image_a),
            scores,
            Boxes(b, images=image_b),
            threshold=threshold,
            classes=class_a,
            truth_classes=class_b,
            crowd=crowd,
        )
        np.testing.assert_array_equal(got.truths, expected)
        assert (expected >= 0).sum() > (100 if t == 0 else 10)


def test_the_last_of_equal_truths_wins_and_the_first_of_equal_scores() -> None:
    got = match_greedy([[0, 0, 4, 4]] * 3, [0.5, 0.9, 0.5], [[0, 0, 4, 4], [0, 0, 4, 4]])
    np.testing.assert_array_equal(got.truths, [0, 1, -1])
    np.testing.assert_array_equal(got.values, [1, 1, NAN])


def test_a_crowd_is_taken_by_many_but_never_before_a_truth() -> None:
    detections = [[0, 0, 4, 4], [0, 0, 4, 4], [1, 1, 2, 2]]
    got = match_greedy(detections, [0.9, 0.8, 0.7], [[0, 0, 9, 9], [0, 0, 4, 6]], crowd=[True, False])
    np.testing.assert_array_equal(got.truths, [1, 0, 0])
    np.testing.assert_array_equal(got.values, [16 / 24, 1, 1])


def test_a_threshold_of_one_forgives_the_last_bits() -> None:
    truth = [[0, 0, 1, 1]]
    nearly, less = [[0, 0, 1, 1 - 1e-12]], [[0, 0, 1, 1 - 1e-9]]
    assert match_greedy(nearly, [1.0], truth, threshold=1.0).truths[0] == 0
    assert match_greedy(less, [1.0], truth, threshold=1.0).truths[0] == -1


def test_only_one_class_meets_whatever_names_it() -> None:
    a, b = [[0, 0, 4, 4]] * 2, [[0, 0, 4, 4]] * 2
    for kinds_a, kinds_b in ((["x", "y"], ["y", "z"]), ([-7, 3], [3, 8]), (np.uint8([1, 2]), np.int64([2, 9]))):
        got = match_greedy(a, [1, 2], b, classes=kinds_a, truth_classes=kinds_b)
        np.testing.assert_array_equal(got.truths, [-1, 0])


def test_images_are_apart_and_may_lack_a_side() -> None:
    rng = np.random.default_rng(0)
    a, b, scores = random_boxes(50, rng), random_boxes(30, rng), rng.random(50)
    image_a, image_b = images_of(50, 6, rng) * 2, images_of(30, 4, rng) * 3
    got = match_greedy(Boxes(a, images=image_a), scores, Boxes(b, images=image_b))
    for image in range(12):
        rows, cols = np.flatnonzero(image_a == image), np.flatnonzero(image_b == image)
        alone = loop(a[rows], scores[rows], b[cols])
        expected = np.where(alone.truths < 0, -1, np.append(cols, -1)[alone.truths])
        assert_same(GreedyMatches(got.truths[rows], got.values[rows]), GreedyMatches(expected, alone.values))


@needs_scipy
def test_nothing_gives_nothing() -> None:
    for a, b in (([], []), ([], [[0, 0, 1, 1]])):
        assert len(match_greedy(a, [], b).truths) == 0
        assert [len(column) for column in match_optimal(a, b)] == [0, 0, 0]
    np.testing.assert_array_equal(match_greedy([[0, 0, 1, 1]], [1], []).truths, [-1])
    grouped = Boxes([], offsets=[0])
    assert len(match_greedy(grouped, [], grouped).truths) == len(match_optimal(grouped, grouped).rows) == 0


@needs_scipy
def test_threads_and_dtypes_keep_their_bits(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.parallel.SMALL", 50)
    monkeypatch.setattr("fastbox.assign.optimal.SOLVED", 50)
    rng = np.random.default_rng(0)
    image_a, image_b = images_of(120, 20, rng), images_of(90, 20, rng)
    a = Boxes(random_boxes(120, rng).astype(np.float32), images=image_a)
    b = Boxes(random_boxes(90, rng).astype(np.float32), images=image_b)
    scores = rng.integers(0, 9, 120).astype(np.float32)
    greedy, optimal = [], []
    for count in (1, 2, 5):
        threads(count)
        greedy.append(match_greedy(a, scores, b))
        optimal.append(match_optimal(a, b))
    assert greedy[0].values.dtype == optimal[0].costs.dtype == np.float32
    for k in (1, 2):
        assert_same(greedy[k], greedy[0])
        for column, first in zip(optimal[k], optimal[0], strict=True):
            np.testing.assert_array_equal(column, first)


def test_formats_and_other_similarities() -> None:
    rng = np.random.default_rng(0)
    a, b, scores = random_boxes(20, rng), random_boxes(20, rng), rng.random(20)
    flipped = Boxes(b[:, [1, 0, 3, 2]], "yxyx")
    assert_same(match_greedy(a, scores, flipped), match_greedy(a, scores, b))
    assert_same(match_greedy(a, scores, b, threshold=-0.2, metric="giou"), loop(a, scores, b, -0.2, metric="giou"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scores": [1, 2]}, r"scores of shape \(1,\), got \(2,\)"),
        ({"threshold": NAN}, "threshold to be a number"),
        ({"metric": "l1"}, "expected a similarity .*got the distance 'l1'"),
        ({"metric": "ioo"}, "did you mean"),
        ({"classes": [1]}, "got classes and no truth_classes"),
        ({"truth_classes": [1]}, "got truth_classes and no classes"),
        ({"classes": ["a"], "truth_classes": [1]}, "classes of one kind"),
        ({"crowd": [True, False]}, r"crowd of shape \(1,\)"),
        ({"truths": Boxes([[0, 0, 1, 1]], images=[1])}, "grouped"),
    ],
)
def test_greedy_refuses(options: dict[str, Any], said: str) -> None:
    given = {"detections": [[0, 0, 1, 1]], "scores": [1.0], "truths": [[0, 0, 1, 1]], **options}
    detections, scores, truths = (given.pop(name) for name in ("detections", "scores", "truths"))
    with pytest.raises(ValueError, match=said):
        match_greedy(detections, scores, truths, **given)


def test_crowds_are_flags() -> None:
    with pytest.raises(ValueError, match="expected 1 or 0, true or false, yes or no in crowd, got 'maybe' at row 0"):
        match_greedy([[0, 0, 1, 1]], [1], [[0, 0, 1, 1]], crowd=["maybe"])


@pytest.mark.compiler  # kernels of rotated boxes are in no library
@pytest.mark.parametrize("kind", ["cxcywhr", "xyxyxyxy"])
def test_rotated_boxes_are_matched_as_by_the_loop(kind: str) -> None:
    rng = np.random.default_rng(4)
    a, b = (fastbox.RotatedBoxes(drawn(rng, n, 4, 20, 10), "cxcywhr") for n in (20, 9))
    a = a if kind == "cxcywhr" else fastbox.RotatedBoxes(a.corners(), kind)
    scores, crowd = rng.permutation(20) / 20, np.arange(9) == 8
    found, expected = match_greedy(a, scores, b, threshold=0.1, crowd=crowd), loop(a, scores, b, 0.1, crowd)
    np.testing.assert_array_equal(found.truths, expected.truths)
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.truths >= 0).sum() > 5
    assert 8 in found.truths
