"""Evaluation of arrays: formats of boxes, invalid boxes and scores, nothing at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.evaluation import Evaluation, Params, curves, evaluate
from fastbox.evaluation.matching import MATCH_TYPES


@pytest.mark.parametrize("format", ["xyxy", "cxcywh", "yxyx"])
def test_other_formats_are_turned_into_corner_and_sides(format: str) -> None:
    random = np.random.default_rng(5)
    corner, side = random.integers(1, 50, (2, 30, 2)).astype(float)
    parts = {
        "xyxy": (corner, corner + side),
        "cxcywh": (corner + side / 2, side),
        "yxyx": (corner[:, ::-1], (corner + side)[:, ::-1]),
    }[format]
    plain = evaluate(fastbox.Boxes(np.hstack((corner, side)), "xywh"), random.random(30), np.empty((0, 4)))
    given = fastbox.Boxes(np.hstack(parts), format)
    one = evaluate(given, np.ones(30), given)
    assert one.stats()["AR100"] == 1.0
    assert plain.stats()["AP"] == -1.0
    crossed = evaluate(given, np.ones(30), fastbox.Boxes(np.hstack((corner, side)), "xywh"))
    assert crossed.stats() == one.stats()


INVALID = [
    *([value if place == k else side for place, side in enumerate((1.0, 1.0, 4.0, 4.0))]
      for k in range(4) for value in (np.nan, np.inf, -np.inf)),
    [1.0, 1.0, -4.0, 4.0],
    [1.0, 1.0, 4.0, -4.0],
    [5.0, 5.0, -4.0, -4.0],
]  # fmt: skip


@pytest.mark.jit
@pytest.mark.parametrize("format", ["xywh", "cxcywh", "xyxy", "yxyx"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("box", INVALID)
def test_an_invalid_box_matches_nothing(box: list[float], format: str, dtype: Any, crowd: bool, by_class: bool) -> None:
    good = {"xywh": [1, 1, 4, 4], "cxcywh": [3, 3, 4, 4]}.get(format, [1, 1, 5, 5])
    if format in ("xyxy", "yxyx") and np.isfinite(box).all():
        box = [5.0, 5.0, 5.0 + box[2], 5.0 + box[3]]
    good_box, bad_box = (fastbox.Boxes(np.array([one], dtype), format) for one in (good, box))
    params = Params(class_agnostic=not by_class, iou_thresholds=[0.01, 0.5])
    for detection, truth, side in ((bad_box, good_box, "detections"), (good_box, bad_box, "truths")):
        found = Evaluation(params)
        judged = found.add(detection, [0.9], truth, crowd=[crowd], areas=[16])
        assert MATCH_TYPES[judged.match_type[0]] == "background" and judged.truth[0] == -1 and judged.iou[0] == 0
        assert found.stats()["AP"] == (-1.0 if crowd else 0.0)
        assert found.invalid == {"detections": 0, "truths": 0, "scores": 0} | {side: 1}


def test_a_detection_without_a_score_matches_nothing() -> None:
    truth = [[0.0, 0, 4, 4]]
    found = evaluate(truth * 2, [np.nan, 0.5], truth)
    assert found.invalid == {"detections": 0, "truths": 0, "scores": 1}
    assert found.stats()["AP"] == pytest.approx(1.0)
    alone = evaluate(truth, [np.nan], truth)
    assert alone.stats()["AP"] == 0.0 and alone.errors().counts.sum(axis=0)[-1] == 1
    assert len(alone.pairs()["iou"]) == 0


@pytest.mark.parametrize("score", [np.inf, -np.inf])
def test_infinite_scores_come_first_or_last(score: float) -> None:
    truth = [[0.0, 0, 4, 4]]
    found = evaluate([*truth, [20.0, 0, 24, 4]], [score, 0.5], truth)
    assert found.stats()["AP"] == pytest.approx(1.0 if score > 0 else 0.5)
    assert found.calibration().counts.sum() == 1


def test_a_truth_to_ignore_is_no_crowd() -> None:
    truths = [[0.0, 0, 4, 4], [10.0, 0, 14, 4]]
    detections = [[0.0, 0, 4, 4], [0.0, 0, 4, 4], [10.0, 0, 14, 4]]
    found = evaluate(detections, [0.9, 0.8, 0.7], truths, ignore=[True, False])
    # One detection goes with the truth to ignore, the second is false, where a crowd would take both.
    assert found.errors().counts.tolist() == [[1, 0, 0, 0, 1, 0, 1, 0]]
    crowd = evaluate(detections, [0.9, 0.8, 0.7], truths, crowd=[True, False])
    assert crowd.errors().counts.tolist() == [[1, 0, 0, 0, 0, 0, 2, 0]]


def test_many_detections_of_an_image_cost_nothing_but_themselves() -> None:
    boxes = np.tile([[0.0, 0, 4, 4]], (400, 1))
    found = evaluate(boxes, np.linspace(1, 0, 400), [[0.0, 0, 4, 4]], params=Params(max_dets=[1, 300, 1000]))
    assert {name: value for name, value in found.stats().items() if name in ("AR1", "AR300", "AR1000")} == {
        "AR1": 1.0,
        "AR300": 1.0,
        "AR1000": 1.0,
    }


@pytest.mark.parametrize("count", [1, 7, 8, 129, 65_535, 65_537, 1_000_003])
def test_a_sum_of_parts_is_numpys_sum_of_the_whole(count: int) -> None:
    random = np.random.default_rng(count)
    numbers = random.random(count)
    parts = np.split(numbers, np.sort(random.integers(0, count + 1, 5)))
    assert curves.total(count, parts) == np.add.reduce(numbers)
    assert curves.total(count, parts) / count == np.mean(numbers)


def test_nothing_at_all_is_minus_one() -> None:
    found = evaluate(np.empty((0, 4)), [], np.empty((0, 4)))
    assert set(found.stats().values()) == {-1.0}
    assert found.errors().ap == -1.0
    assert np.isnan(found.calibration().ece)
    assert Evaluation().stats() == found.stats()


def test_arrays_that_do_not_fit_are_refused() -> None:
    boxes = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"expected scores of shape \(2,\), got \(3,\)"):
        evaluate(boxes, [1, 2, 3], boxes)
    with pytest.raises(ValueError, match="got classes and no truth_classes"):
        evaluate(boxes, [1, 2], boxes, classes=[1, 2])
    with pytest.raises(ValueError, match=r"expected crowd of shape \(2,\)"):
        evaluate(boxes, [1, 2], boxes, crowd=[True])
    with pytest.raises(ValueError, match="by the same rules"):
        Evaluation() + Evaluation(Params(max_dets=[5]))
    with pytest.raises(ValueError, match="expected samples to be a whole number, 1 or more"):
        evaluate(boxes, [1, 2], boxes).bootstrap(samples=0)
