"""supervision's box functions: its bits, its order of ties and its rounding, against itself and against plain loops."""

from __future__ import annotations

import inspect
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from strategies import some_boxes
from support.peers import peer

from fastbox.compat import supervision as ours

METRICS = ("IOU", "IOS")
THRESHOLDS = (0.0, 0.1, 0.25, 0.3, 0.5, 2 / 3, 0.7, 1.0)
SIZES = (0, 1, 2, 16, 17, 90)


@pytest.fixture
def theirs() -> Any:
    return peer("supervision")


def drawn(n: int, *, classes: bool = True, ties: bool = False, dtype: Any = np.float64, seed: int = 0) -> Any:
    """Detections with scores and classes; rounded so that scores tie and overlaps are equal to thresholds."""
    rng = np.random.default_rng(seed)
    boxes, scores = rng.random((n, 4)) * 60, rng.random((n, 1))
    boxes[:, 2:] += boxes[:, :2] + 1
    if ties:
        boxes, scores = boxes.round(), (scores * 6).round() / 6
    columns = [boxes, scores, *([rng.integers(0, 3, (n, 1))] if classes else [])]
    return np.concatenate(columns, axis=1).astype(dtype)


def naive_overlaps(boxes: Any, metric: str) -> Any:
    return reference.pairwise(boxes.astype(np.float64), boxes.astype(np.float64), metric.lower()).astype(np.float32)


def ranked(given: Any) -> list[int]:
    return np.flip(np.argsort(given[:, 4])).tolist()


# Plain loops


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("ties", [False, True])
def test_suppression_follows_the_rule(ties: bool, threshold: float, metric: str) -> None:
    given = drawn(60, ties=ties)
    overlaps, kept = naive_overlaps(given[:, :4], metric).astype(np.float64), []
    for row in ranked(given):
        if not any(overlaps[row, other] > threshold and given[row, 5] == given[other, 5] for other in kept):
            kept.append(row)
    found = ours.box_non_max_suppression(given, threshold, metric)
    assert found.dtype == np.bool_
    assert np.flatnonzero(found).tolist() == sorted(kept)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_groups_follow_the_rule(threshold: float, metric: str) -> None:
    given = drawn(60, classes=False, ties=True)
    overlaps, left, groups = naive_overlaps(given[:, :4], metric), ranked(given), []
    while left:
        first = left.pop(0)
        groups.append([first, *(row for row in left if overlaps[first, row] >= np.float32(threshold))])
        left = [row for row in left if row not in groups[-1]]
    assert ours.box_non_max_merge(given, threshold, metric) == groups


@pytest.mark.parametrize("metric", METRICS)
def test_scores_fall_by_the_overlaps_with_higher_ones(metric: str) -> None:
    given = drawn(40)
    overlaps, wanted = naive_overlaps(given[:, :4], metric).astype(np.float64), given[:, 4].copy()
    for row in range(len(given)):
        for other in range(len(given)):
            if given[other, 4] > given[row, 4] and given[other, 5] == given[row, 5]:
                wanted[row] *= math.exp(-(overlaps[row, other] ** 2) / 0.3)
    np.testing.assert_allclose(
        ours.box_soft_non_max_suppression(given, 0.3, metric), wanted, rtol=1e-5
    )  # decays add up in float32


@pytest.mark.parametrize("metric", METRICS)
def test_overlaps_are_those_of_the_definition(metric: str) -> None:
    boxes = some_boxes(40, np.float64, 1, bad=0.1)
    found = ours.box_iou_batch(boxes, boxes, metric)
    assert found.dtype == np.float32
    assert np.array_equal(found, naive_overlaps(boxes, metric), equal_nan=True)
    one = ours.box_iou(boxes[0], boxes[1], metric)
    assert isinstance(one, float) and np.float32(one) == found[0, 1]


def test_a_crowd_is_divided_by_the_detection() -> None:
    truths, found = some_boxes(20, np.float64, 1), some_boxes(30, np.float64, 2)
    crowd = np.arange(20) % 3 == 0
    values = ours.box_iou_batch_with_jaccard(*(reference.to_format(side, "xywh") for side in (truths, found)), crowd)
    wanted = np.where(crowd, reference.pairwise(found, truths, "iof"), reference.pairwise(found, truths))
    np.testing.assert_allclose(values, wanted, rtol=1e-12)


def test_integers_do_not_wrap() -> None:
    small, large = np.array([[0, 0, 10, 10]], np.uint8), np.array([[5, 5, 105, 105]], np.uint8)
    assert ours.box_iou_batch(small, large) == np.float32(25 / 10_075)
    wide = np.array([[0, 0, 60_000, 60_000]], np.int32)
    assert ours.box_iou_batch(wide, wide) == 1


def test_invalid_boxes_are_not_kept_and_join_nothing() -> None:
    given = np.array([[0, 0, 4, 4, 0.9], [4, 0, 0, 4, 0.8], [0, 0, math.nan, 4, 0.7], [0, 0, 4, 4, 0.6]])
    assert ours.box_non_max_suppression(given).tolist() == [True, False, False, False]
    assert ours.box_non_max_merge(given) == [[0, 3], [1], [2]]
    assert ours.box_soft_non_max_suppression(given).tolist()[:3] == [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours.box_iou_batch(np.zeros((2, 5)), np.zeros((2, 4))), r"boxes_true of shape \(n, 4\), got \(2, 5\)"),
        (lambda: ours.box_iou([0, 0, 1], [0, 0, 1, 1]), "expected box_true of shape"),
        (
            lambda: ours.box_iou([0, 0, 1, 1], [0, 0, 1, 1], "DICE"),
            "expected an overlap metric of IOU, IOS, got 'DICE'",
        ),
        (lambda: ours.box_non_max_suppression(np.zeros((2, 4))), r"predictions of shape \(n, 5\) or \(n, 6\)"),
        (lambda: ours.box_non_max_suppression(drawn(2), 1.5), "iou_threshold"),
        (lambda: ours.box_non_max_merge(drawn(2), -0.1), "iou_threshold"),
        (lambda: ours.box_soft_non_max_suppression(drawn(2), 0), "expected a sigma above 0, got 0"),
        (lambda: ours.box_iou_batch_with_jaccard([[0, 0, 1, 1]], [[0, 0, 1, 1]], [True, False]), "is_crowd"),
    ],
)
def test_refusals_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# supervision itself


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_bits_are_supervisions(classes: bool, ties: bool, dtype: Any, theirs: Any) -> None:
    for n in SIZES:
        given = drawn(n, classes=classes, ties=ties, dtype=dtype, seed=n)
        for metric in theirs.OverlapMetric:
            boxes = given[:, :4]
            assert np.array_equal(ours.box_iou_batch(boxes, boxes, metric), theirs.box_iou_batch(boxes, boxes, metric))
            for threshold in THRESHOLDS:
                for name in ("box_non_max_suppression", "box_non_max_merge"):
                    own, its = (getattr(module, name)(given, threshold, metric) for module in (ours, theirs))
                    assert np.array_equal(own, its) if isinstance(own, np.ndarray) else own == its
            if hasattr(theirs, "box_soft_non_max_suppression"):
                own, its = (module.box_soft_non_max_suppression(given, 0.4, metric) for module in (ours, theirs))
                assert own.dtype == its.dtype
                assert np.array_equal(own, its)


def test_single_overlaps_and_crowds_are_supervisions(theirs: Any) -> None:
    boxes, crowd = drawn(30, ties=True)[:, :4], np.arange(30) % 4 == 0
    for metric in theirs.OverlapMetric:
        for one, other in pairwise(boxes):
            assert ours.box_iou(one, other, metric) == theirs.box_iou(one, other, metric)
    own, its = (module.box_iou_batch_with_jaccard(boxes, boxes, crowd) for module in (ours, theirs))
    np.testing.assert_allclose(own, its, rtol=1e-12)


def test_signatures_are_supervisions(theirs: Any) -> None:
    for name in set(ours.__all__) - {"OverlapMetric"}:
        if not hasattr(theirs, name):
            continue
        own, its = (inspect.signature(getattr(module, name)).parameters.values() for module in (ours, theirs))
        usual = [[(one.name, getattr(one.default, "value", one.default)) for one in side] for side in (own, its)]
        assert usual[0] == usual[1], name
    assert ours.OverlapMetric.list() == theirs.OverlapMetric.list()
