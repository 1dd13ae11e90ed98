"""COCOeval against pycocotools: the same bits of every array, record and line."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest
from support.coco_scenes import Scene, assert_same_records

from fastbox.compat.cocoeval import COCO, COCOeval, Params

theirs = pytest.importorskip("pycocotools.cocoeval", reason="pycocotools is not installed")

ARRAYS = ("precision", "recall", "scores")


def quiet(call: Any, *args: Any) -> str:
    """Call, and return what was printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        call(*args)
    return printed.getvalue()


def set_params(random: np.random.Generator, p: Any, images: int, classes: int) -> None:
    """Draw parameters that differ from COCO's."""
    if random.random() < 0.3:
        p.useCats = 0
    if random.random() < 0.5:
        p.maxDets = random.integers(1, 9, 3).tolist()
    if random.random() < 0.4:
        p.iouThrs = np.linspace(0.05, 1, random.integers(2, 40))
    if random.random() < 0.3:
        p.recThrs = np.linspace(0, 1, 11)
    if random.random() < 0.4:
        p.areaRng, p.areaRngLbl = [[0, 1e10], [0, 9], [5, 60], [1e9, 1e9]], ["all", "small", "medium", "large"]
    if random.random() < 0.4:
        p.imgIds = random.permutation(images + 2)[: random.integers(1, images + 2)].tolist()
    if random.random() < 0.4:
        p.catIds = random.permutation(classes + 2)[: random.integers(1, classes + 2)].tolist()


def both(seed: int, ours: bool) -> tuple[Any, Any]:
    """Evaluations of a scene by fastbox and by pycocotools; `ours` reads the scene with fastbox too."""
    scene = Scene(seed)
    sides = scene.cocos()
    truths = COCO(scene.dataset())
    own = (truths, truths.loadRes(scene.results())) if ours else copy.deepcopy(sides)
    judges = COCOeval(*own, "bbox"), theirs.COCOeval(*sides, "bbox")
    for judge in judges:
        set_params(np.random.default_rng(seed), judge.params, scene.images, scene.classes)
    for judge in judges:
        quiet(judge.evaluate)
    return judges


def assert_same(mine: Any, other: Any) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(mine.eval[name], other.eval[name], name)
    assert list(mine.eval) == list(other.eval) and mine.eval["counts"] == other.eval["counts"]


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(80))
def test_everything_is_as_in_pycocotools(seed: int) -> None:
    mine, other = both(seed, ours=bool(seed % 2))
    assert_same_records(mine.evalImgs, other.evalImgs)
    assert list(mine.ious) == list(other.ious)
    for key, ious in other.ious.items():
        assert np.shape(mine.ious[key]) == np.shape(ious)
        np.testing.assert_array_equal(mine.ious[key], ious)
    for judge in (mine, other):
        quiet(judge.accumulate)
    assert_same(mine, other)
    assert mine.params.catIds == other.params.catIds and mine.params.imgIds == other.params.imgIds
    assert quiet(mine.summarize) == quiet(other.summarize)
    assert mine.stats.tolist() == other.stats.tolist()


@pytest.mark.parametrize("seed", range(200, 215))
def test_accumulate_takes_other_parameters(seed: int) -> None:
    mine, other = both(seed, ours=True)
    for judge in (mine, other):
        p = copy.deepcopy(judge.params)
        p.recThrs, p.maxDets = np.linspace(0, 1, 5), judge.params.maxDets[:1]
        p.areaRng, p.areaRngLbl = p.areaRng[:2], p.areaRngLbl[:2]
        quiet(judge.accumulate, p)
        assert judge.eval["params"] is p
    assert_same(mine, other)


def test_accumulate_takes_categories_and_images_by_their_ids() -> None:
    """As pycocotools evaluates them alone; its accumulate takes them by their places among all."""
    scene = Scene(170)
    truths = COCO(scene.dataset())
    whole, alone = (COCOeval(truths, truths.loadRes(scene.results()), "bbox") for _ in range(2))
    whole.evaluate()
    p = copy.deepcopy(whole.params)
    p.imgIds, p.catIds, p.areaRng = p.imgIds[1:], p.catIds[1:], p.areaRng[::-1]
    alone.params = copy.deepcopy(p)
    alone.evaluate()
    alone.accumulate()
    whole.accumulate(p)
    assert (alone.eval["precision"] > 0).any()
    assert_same(whole, alone)
    for name, value in (("catIds", [99]), ("areaRng", [[0, 1]]), ("iouThrs", [0.51]), ("maxDets", [101])):
        other = copy.deepcopy(whole.params)
        setattr(other, name, value)
        with pytest.raises(ValueError, match=rf"expected {name} .*: call evaluate\(\) with it first"):
            whole.accumulate(other)


@pytest.mark.parametrize("seed", range(300, 320))
def test_records_of_parts_are_put_together(seed: int) -> None:
    """As the evaluators of torchvision's and DETR's references do, image by image and process by process."""
    scene = Scene(seed)
    truths, results = COCO(scene.dataset()), scene.results()
    whole, parts = (COCOeval(truths, truths.loadRes(results), "bbox") for _ in range(2))
    whole.evaluate()
    whole.accumulate()
    images, records = whole.params.imgIds, []
    for image in images:
        part = COCOeval(truths, truths.loadRes([one for one in results if one["image_id"] == image]), "bbox")
        part.params.imgIds = [image]
        if seed % 2:
            part.evaluate()
            own = part.evalImgs
        else:  # as references do that copy evaluate()
            part._prepare()
            p = part.params
            part.ious = {(image, kind): part.computeIoU(image, kind) for kind in p.catIds}
            own = [part.evaluateImg(image, kind, area, p.maxDets[-1]) for kind in p.catIds for area in p.areaRng]
        records.append(np.asarray(own).reshape(len(part.params.catIds), len(part.params.areaRng), 1))
    parts.evalImgs = list(np.concatenate(records, axis=2).flatten())
    parts._paramsEval = copy.deepcopy(parts.params)
    parts.accumulate()
    assert_same(parts, whole)
    with pytest.raises(ValueError, match=r"expected evalImgs of .* records: set params to all that were evaluated"):
        parts.evalImgs = parts.evalImgs[1:]
        parts.accumulate()


def test_records_and_ious_are_made_when_they_are_read() -> None:
    scene = Scene(3)
    truths = COCO(scene.dataset())
    judge = COCOeval(truths, truths.loadRes(scene.results()), "bbox")
    assert judge.evalImgs == [] and judge.ious == {}
    judge.evaluate()
    assert not {"images", "records", "ious"} & vars(judge._sides).keys()
    assert judge.evalImgs is judge.evalImgs and judge.ious is judge.ious


def test_thresholds_may_be_a_list() -> None:
    scene = Scene(170)
    truths = COCO(scene.dataset())
    judge = COCOeval(truths, truths.loadRes(scene.results()), "bbox")
    judge.params.iouThrs = [0.5, 0.75]
    judge.evaluate()
    judge.accumulate()
    quiet(judge.summarize)
    precision = judge.eval["precision"][..., 0, -1]
    assert judge.stats[1:3].tolist() == [own[own > -1].mean() for own in precision]


def test_nothing_to_evaluate() -> None:
    for dataset in ({}, {"images": [], "categories": [], "annotations": []}):
        truths = COCO(dataset)
        judge = COCOeval(truths, truths.loadRes([]), "bbox")
        judge.evaluate()
        judge.accumulate()
        assert judge.evalImgs == [] and judge.eval["precision"].shape == (10, 101, 0, 4, 3)
        assert "= -1.000" in quiet(judge.summarize)
        assert judge.stats.tolist() == [-1] * 12


def test_ids_have_no_influence() -> None:
    """In pycocotools an annotation with id 0 is never found, and of two with one id the last one counts twice."""
    boxes = [[0, 0, 4, 4], [20, 0, 4, 4]]
    for ids in ([0, 1], [1, 1]):
        annotations = [
            {"id": one, "image_id": 1, "category_id": 1, "bbox": box, "area": 16, "iscrowd": 0}
            for one, box in zip(ids, boxes, strict=True)
        ]
        truths = COCO({"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": annotations})
        found = truths.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5} for box in boxes])
        judge = COCOeval(truths, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        quiet(judge.summarize)
        assert judge.stats[0] == judge.stats[8] == 1


def test_what_is_not_evaluated_is_refused() -> None:
    for kind, said in (("segm", "masks"), ("keypoints", "iouType='keypoints'")):
        with pytest.raises(
            NotImplementedError, match=f"expected boxes, iouType='bbox', got {said}.*pycocotools.cocoeval"
        ):
            COCOeval(COCO(), COCO(), kind)
    with pytest.raises(NotImplementedError, match="masks"):
        Params()
    judge = COCOeval(COCO(), COCO(), "bbox")
    judge.params.useSegm = 1
    with pytest.raises(NotImplementedError, match="masks"):
        judge.evaluate()
    judge = COCOeval(COCO(), COCO(), "bbox")
    with pytest.raises(ValueError, match=r"call evaluate\(\) first"):
        judge.accumulate()
    with pytest.raises(ValueError, match=r"call evaluate\(\) first"):
        judge.computeIoU(1, 1)
    with pytest.raises(ValueError, match=r"call accumulate\(\) first"):
        judge.summarize()
    judge.params.maxDets = [1, 10]
    judge.evaluate()
    judge.accumulate()
    with pytest.raises(ValueError, match="expected at least 3 maxDets for the summary, got 2: read eval instead"):
        judge.summarize()
    with pytest.raises(ValueError, match="expected an image and a category of params, got 1 and 1"):
        judge.computeIoU(1, 1)
    with pytest.raises(ValueError, match="expected a range and the last of maxDets of params"):
        judge.evaluateImg(1, 1, [0, 2], 10)


def test_boxes_and_ids_that_have_no_meaning_are_refused() -> None:
    def judge(**more: Any) -> COCOeval:
        truth = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0} | more
        truths = COCO({"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": [truth]})
        return COCOeval(truths, truths.loadRes([]), "bbox")

    with pytest.raises(
        ValueError, match=r"expected bbox as x, y, w, h in each annotation, got \[1, 2\] in the one with id 1"
    ):
        judge(bbox=[1, 2]).evaluate()
    with pytest.raises(ValueError, match="expected bbox as x, y, w, h in each annotation, got None"):
        judge(bbox=None).evaluate()
    named = judge(id="a")
    named.evaluate()
    named.accumulate()
    with pytest.raises(ValueError, match="expected numbers as ids of annotations, got some as 'a': number them from 1"):
        print(named.evalImgs)
