"""Evaluation against pycocotools: the same bits, with any thresholds, ranges, counts, crowds, ties, empty corners."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastbox
from fastbox.evaluation import Evaluation, Params, curves, evaluate
from fastbox.evaluation.matching import MATCH_TYPES

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

FIGURES = 12


class Scene:
    """Detections and truths that meet in every way: ties of scores and IoUs, crowds, empty boxes, empty images."""

    def __init__(self, seed: int) -> None:
        random = self.random = np.random.default_rng(seed)
        self.images, self.classes = int(random.integers(1, 6)), int(random.integers(1, 5))
        n, m = int(random.integers(0, 120)), int(random.integers(0, 40))
        self.boxes, self.targets = self._boxes(n), self._boxes(m)
        for j in range(n // 2 if m else 0):
            self.boxes[j] = self.targets[random.integers(m)] + (random.random(4) if random.random() < 0.5 else 0)
        self.scores = random.choice([0.1, 0.5, 0.5, 0.9], n) if random.random() < 0.5 else random.random(n)
        self.image, self.target_image = (np.sort(random.integers(0, self.images, k)) for k in (n, m))
        self.kind, self.target_kind = random.integers(0, self.classes + 1, n), random.integers(0, self.classes, m)
        self.crowd = random.random(m) < 0.2
        self.area = self.targets[:, 2] * self.targets[:, 3] * random.choice([1, 0.5, 0.9], m)

    def _boxes(self, count: int) -> NDArray[np.float64]:
        if self.random.random() < 0.5:
            boxes = self.random.integers(0, 12, (count, 4)).astype(float)
            boxes[:, 2:] = self.random.integers(-1, 8, (count, 2))
            return boxes
        return self.random.random((count, 4)) * [40, 40, 200, 200]

    def params(self) -> Params:
        random = self.random
        given: dict[str, Any] = {"class_agnostic": random.random() >= 0.8}
        if random.random() < 0.5:
            given["max_dets"] = sorted(set(random.integers(1, 9, 3).tolist()))
        if random.random() < 0.4:
            given["iou_thresholds"] = np.linspace(0.05, 1, random.integers(2, 40))
        if random.random() < 0.5:
            given["area_ranges"] = {"all": (0, 1e10), "small": (0, 9), "medium": (5, 60), "none": (1e9, 1e9)}
        return Params(**given)

    def theirs(self, params: Params) -> Any:
        truths = coco.COCO()
        annotations = [
            {
                "id": j + 1,
                "image_id": int(image),
                "category_id": int(kind),
                "bbox": box,
                "iscrowd": int(crowd),
                "area": area,
            }
            for j, (image, kind, box, crowd, area) in enumerate(
                zip(
                    self.target_image,
                    self.target_kind,
                    self.targets.tolist(),
                    self.crowd,
                    self.area.tolist(),
                    strict=True,
                )
            )
        ]
        detections = [
            {"image_id": int(image), "category_id": int(kind), "bbox": box, "score": score}
            for image, kind, box, score in zip(
                self.image, self.kind, self.boxes.tolist(), self.scores.tolist(), strict=True
            )
        ]
        categories = [{"id": k} for k in range(self.classes + 1)]
        truths.dataset = {
            "images": [{"id": i} for i in range(self.images)],
            "categories": categories,
            "annotations": annotations,
        }
        with contextlib.redirect_stdout(io.StringIO()):
            truths.createIndex()
            if detections:
                found = truths.loadRes(detections)
            else:
                found = coco.COCO()
                found.dataset = {**truths.dataset, "annotations": []}
                found.createIndex()
            judge = cocoeval.COCOeval(truths, found, "bbox")
            judge.params.iouThrs = np.array(params.iou_thresholds)
            judge.params.maxDets = list(params.max_dets)
            judge.params.areaRng = [list(limits) for limits in params.area_ranges.values()]
            judge.params.useCats = int(not params.class_agnostic)
            judge.evaluate()
            judge.accumulate()
        return judge

    def add_to(self, found: Evaluation, first: int, last: int, **more: Any) -> None:
        own, its = ((image >= first) & (image < last) for image in (self.image, self.target_image))
        found.add(
            fastbox.Boxes(self.boxes[own], "xywh", images=self.image[own]),
            self.scores[own],
            fastbox.Boxes(self.targets[its], "xywh", images=self.target_image[its]),
            classes=self.kind[own],
            truth_classes=self.target_kind[its],
            crowd=self.crowd[its],
            areas=self.area[its],
            **more,
        )

    def every_class(self, params: Params) -> Evaluation:
        """An evaluation that knows all classes, those too that no box is of."""
        found = Evaluation(params)
        found.code_classes(self.random.permutation(self.classes + 1).tolist())
        return found


def assert_same(found: Evaluation, theirs: Any, model: Any = None) -> None:
    traced = found.curves(model)
    np.testing.assert_array_equal(traced.precision, theirs.eval["precision"][..., -1])
    np.testing.assert_array_equal(traced.scores, theirs.eval["scores"][..., -1])
    np.testing.assert_array_equal(traced.recall, theirs.eval["recall"])


@pytest.mark.parametrize("seed", range(60))
def test_curves_are_those_of_pycocotools(seed: int) -> None:
    scene = Scene(seed)
    params = scene.params()
    found = scene.every_class(params)
    scene.add_to(found, 0, scene.images)
    assert_same(found, scene.theirs(params))


@pytest.mark.parametrize("seed", range(100, 130))
def test_parts_add_up_to_the_whole(seed: int) -> None:
    scene = Scene(seed)
    params = scene.params()
    marks = np.sort(scene.random.integers(0, scene.images + 1, 2)).tolist()
    streamed, merged = scene.every_class(params), scene.every_class(params)
    for first, last in zip([0, *marks], [*marks, scene.images], strict=True):
        scene.add_to(streamed, first, last)
        streamed.curves()  # so that what is added later comes behind what is ranked already
        part = scene.every_class(params)
        scene.add_to(part, first, last)
        merged = merged + part
    theirs = scene.theirs(params)
    assert_same(streamed, theirs)
    assert_same(merged, theirs)
    assert merged.stats() == streamed.stats()
    assert merged.detections == streamed.detections == len(scene.boxes)
    np.testing.assert_array_equal(merged.errors().counts, streamed.errors().counts)


@pytest.mark.parametrize("seed", range(200, 215))
def test_the_twelve_figures_are_those_of_pycocotools(seed: int) -> None:
    scene = Scene(seed)
    found = scene.every_class(Params())
    scene.add_to(found, 0, scene.images)
    theirs = scene.theirs(Params())
    with contextlib.redirect_stdout(io.StringIO()):
        theirs.summarize()
    assert len(found.stats()) == FIGURES
    assert list(found.stats().values()) == theirs.stats.tolist()


@pytest.mark.parametrize("seed", range(300, 310))
def test_stats_by_class_are_means_of_its_own_curves(seed: int) -> None:
    scene = Scene(seed)
    found = scene.every_class(Params())
    scene.add_to(found, 0, scene.images)
    theirs = scene.theirs(Params())
    by_class = found.stats_by_class()
    for place, _ in enumerate(found.classes):
        own = theirs.eval["precision"][:, :, place, 0, -1]
        there = own[own > -1]
        assert by_class["AP"][place] == (there.mean() if there.size else -1)


@pytest.mark.parametrize("seed", range(400, 410))
def test_models_are_evaluated_each_by_itself(seed: int) -> None:
    scene = Scene(seed)
    models = scene.random.choice(["b", "a", "c"], len(scene.boxes))
    found = scene.every_class(Params())
    found.code_models(["c", "a", "b"])
    scene.add_to(found, 0, scene.images, models=models)
    assert found.models == ["a", "b", "c"]
    every = scene.boxes, scene.scores, scene.image, scene.kind
    for model in found.models:
        scene.boxes, scene.scores, scene.image, scene.kind = (column[models == model] for column in every)
        assert_same(found, scene.theirs(Params()), model)
    with pytest.raises(ValueError, match="expected a model of 'a', 'b', 'c', got 'd'"):
        found.stats("d")


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


@pytest.mark.parametrize("seed", range(500, 520))
def test_curves_in_parts_have_the_figures_of_whole_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(seed)
    params = scene.params()
    found = scene.every_class(params)
    scene.add_to(found, 0, scene.images)
    whole, by_class, precision = found.stats(), found.stats_by_class(), found.traced().precision()
    errors = found.errors()
    monkeypatch.setattr(curves, "WHOLE", int(scene.random.choice([1, 300, 2000])))
    found._forget()
    assert found.stats() == whole
    for name, values in found.stats_by_class().items():
        np.testing.assert_array_equal(values, by_class[name])
    np.testing.assert_array_equal(found.traced().precision(), precision)
    assert found.errors().delta_ap == errors.delta_ap
    assert_same(found, scene.theirs(params))


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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iou_thresholds": []}, "expected thresholds of IoU that are numbers, got []"),
        ({"iou_thresholds": [float("nan")]}, "expected thresholds of IoU"),
        ({"max_dets": [0]}, "expected max_dets of 1 and more"),
        ({"max_dets": []}, "expected max_dets of 1 and more"),
        ({"recalls": [0.5, 0.1]}, "expected recalls that ascend"),
        ({"area_ranges": {}}, "expected 1 to 31 ranges of areas, got 0"),
        ({"area_ranges": {"all": (5, 1)}}, "expected a range of areas from low to high for 'all'"),
        ({"area_ranges": {"all": (-1, 1)}}, "for 'all', 0 or more, got -1 to 1"),
        ({"area_ranges": {"all": (0, float("nan"))}}, "for 'all', 0 or more, got 0 to nan"),
        ({"iou_thresholds": [50, 75]}, "at most 1, got 50,75: as shares of 1 they are 0.5,0.75"),
        ({"iou_thresholds": [0.5, 1.5]}, "above 0 and at most 1, got 0.5,1.5"),
        ({"iou_thresholds": [0]}, "above 0 and at most 1, got 0"),
        ({"iou_thresholds": [-0.5]}, "above 0 and at most 1, got -0.5"),
        ({"iou_thresholds": [float("inf")]}, "above 0 and at most 1, got inf"),
        ({"iou_thresholds": [0.5, 0.5]}, "expected each threshold of IoU once"),
        ({"max_dets": [-1, 100]}, "expected max_dets of 1 and more, whole numbers, got [-1, 100]"),
        ({"max_dets": [1.5]}, "expected max_dets as a list of whole numbers, got [1.5]"),
        ({"max_dets": [float("nan")]}, "expected max_dets as a list of whole numbers"),
        ({"recalls": [0.5, 50]}, "expected recalls that ascend, from 0 to 1"),
    ],
)
def test_rules_that_can_not_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        Params(**given)
    assert message in str(error.value)


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


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads: int) -> None:
    scene = Scene(7)
    before = fastbox.get_num_threads()
    expected = scene.every_class(Params())
    scene.add_to(expected, 0, scene.images)
    try:
        fastbox.set_num_threads(threads)
        found = scene.every_class(Params())
        scene.add_to(found, 0, scene.images)
        assert found.stats() == expected.stats()
        for one, other in zip(found.bootstrap(samples=9).values(), expected.bootstrap(samples=9).values(), strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        fastbox.set_num_threads(before)
