"""The matches of each image are the records of pycocotools' ``evalImgs``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.coco_scenes import Scene, assert_same_records

import fastbox
from fastbox.evaluation import Evaluation, Params

BOXES = [[0, 0, 4, 4], [9, 9, 12, 12]]


def records(found: Evaluation, images: int) -> list[dict[str, Any] | None]:
    """The records of all images, also of those without boxes, which an evaluation does not know."""
    made = found.coco_images()
    places = {image: place for place, image in enumerate(made.images)}
    every: list[dict[str, Any] | None] = []
    for label in range(len(made.labels)):
        for area in range(len(made.ranges)):
            every += [made.record(label, area, places[k]) if k in places else None for k in range(images)]
    label = {None: -1}
    return [one and one | {"category_id": label.get(one["category_id"], one["category_id"])} for one in every]


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(60))
def test_records_are_those_of_pycocotools(seed: int) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    scene = Scene(seed)
    params = scene.params()
    theirs = scene.theirs(params)
    marks = np.sort(scene.random.integers(0, scene.images + 1, 2)).tolist()
    streamed, merged = (scene.every_class(params, keep_boxes=True) for _ in range(2))
    for first, last in zip([0, *marks], [*marks, scene.images], strict=True):
        scene.add_to(streamed, first, last)
        part = scene.every_class(params, keep_boxes=True)
        scene.add_to(part, first, last)
        merged = merged + part
    for found in (streamed, merged):
        assert_same_records(records(found, scene.images), theirs.evalImgs)


@pytest.mark.parametrize("seed", range(100, 110))
def test_overlaps_are_those_of_pycocotools(seed: int) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    scene, params = Scene(seed), Params()
    theirs = scene.theirs(params)
    found = scene.every_class(params, keep_boxes=True)
    scene.add_to(found, 0, scene.images)
    images = found.coco_images()
    for (image, kind), wanted in theirs.ious.items():
        own = images.ious(images.labels.index(kind), images.images.index(image)) if image in images.images else []
        assert np.shape(own) == np.shape(wanted)
        np.testing.assert_array_equal(own, wanted)


def test_each_model_has_its_own_records() -> None:
    found = fastbox.evaluate(BOXES * 2, [0.9, 0.8, 0.7, 0.6], BOXES, models=["b", "a", "b", "b"], keep_boxes=True)
    own, its = (found.coco_images(model)[0] for model in ("a", "b"))
    assert own is not None and its is not None
    assert (own["dtIds"], own["dtMatches"][0].tolist(), own["gtMatches"][0].tolist()) == ([2], [2.0], [0.0, 2.0])
    assert (its["dtIds"], its["dtMatches"][0].tolist()) == ([1, 3, 4], [1.0, 0.0, 2.0])


def test_records_are_a_sequence() -> None:
    images = fastbox.evaluate(BOXES, [0.9, 0.8], BOXES, keep_boxes=True).coco_images()
    assert len(images) == len(images[:]) == len(list(images)) == 4
    assert images[-1] is not None and images[-1]["aRng"] == [9216.0, 1e10]
    assert repr(images) == "CocoImages(4 records)"
    with pytest.raises(IndexError):
        images[4]
    assert fastbox.Evaluation(keep_boxes=True).coco_images().to_list() == []


def test_more_thresholds_than_a_word_has() -> None:
    params = Params(iou_thresholds=np.linspace(0.5, 1, 40))
    found = fastbox.evaluate([[0, 0, 4, 4.0], [0, 0, 4, 3]], [0.9, 0.8], [[0, 0, 4, 3]], params=params, keep_boxes=True)
    record = found.coco_images()[0]
    assert record is not None
    # the first has IoU 0.75 and takes the truth up to that threshold; from there on the second, whose IoU is 1
    assert record["dtMatches"].sum(axis=1).tolist() == [1.0] * 40
    assert record["dtMatches"][:, 0].tolist() == [float(t <= 0.75) for t in params.iou_thresholds]


def test_without_boxes_there_are_no_records() -> None:
    with pytest.raises(ValueError, match="expected an evaluation with keep_boxes, got one without"):
        fastbox.evaluate(BOXES, [0.9, 0.8], BOXES).coco_images()
    with pytest.raises(
        ValueError, match="expected rules that match as COCO's do, got 'voc07': give coco, ai-tod or lvis"
    ):
        fastbox.evaluate(BOXES, [0.9, 0.8], BOXES, rule="voc07", keep_boxes=True).coco_images()
    with pytest.raises(ValueError, match="both keep their boxes or neither"):
        fastbox.Evaluation(keep_boxes=True) + fastbox.Evaluation()
