"""Scenes on which fastbox is compared with pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastbox
from fastbox.evaluation import Evaluation, Params


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

    def dataset(self) -> dict[str, Any]:
        """The truths as COCO JSON, with ids from 1."""
        columns = self.target_image, self.target_kind, self.targets, self.crowd, self.area
        rows = zip(*(column.tolist() for column in columns), strict=True)
        annotations = [
            {"id": j, "image_id": image, "category_id": kind, "bbox": box, "iscrowd": int(crowd), "area": area}
            for j, (image, kind, box, crowd, area) in enumerate(rows, 1)
        ]
        images, categories = ([{"id": k} for k in range(count)] for count in (self.images, self.classes + 1))
        return {"images": images, "categories": categories, "annotations": annotations}

    def results(self) -> list[dict[str, Any]]:
        """The detections as COCO JSON."""
        rows = zip(*(column.tolist() for column in (self.image, self.kind, self.boxes, self.scores)), strict=True)
        return [
            {"image_id": image, "category_id": kind, "bbox": box, "score": score} for image, kind, box, score in rows
        ]

    def cocos(self) -> tuple[Any, Any]:
        """Both sides as pycocotools takes them."""
        from pycocotools.coco import COCO

        truths, found = COCO(), COCO()
        truths.dataset = self.dataset()
        with contextlib.redirect_stdout(io.StringIO()):
            truths.createIndex()
            if len(self.boxes):
                return truths, truths.loadRes(self.results())
            found.dataset = {**truths.dataset, "annotations": []}
            found.createIndex()
        return truths, found

    def theirs(self, params: Params) -> Any:
        """The evaluation by pycocotools."""
        from pycocotools.cocoeval import COCOeval

        judge = COCOeval(*self.cocos(), "bbox")
        judge.params.iouThrs = np.array(params.iou_thresholds)
        judge.params.maxDets = list(params.max_dets)
        judge.params.areaRng = [list(limits) for limits in params.area_ranges.values()]
        judge.params.useCats = int(not params.class_agnostic)
        with contextlib.redirect_stdout(io.StringIO()):
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

    def every_class(self, params: Params, **options: Any) -> Evaluation:
        """An evaluation that knows all classes, those too that no box is of."""
        found = Evaluation(params, **options)
        found.code_classes(self.random.permutation(self.classes + 1).tolist())
        return found


def assert_same_records(own: list[dict[str, Any] | None], theirs: list[dict[str, Any] | None]) -> None:
    """Compare the records of ``evalImgs``, each value with its shape."""
    assert len(own) == len(theirs)
    for mine, other in zip(own, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is None or other is None:
            continue
        assert list(mine) == list(other)
        for name, value in other.items():
            assert np.shape(mine[name]) == np.shape(value), name
            np.testing.assert_array_equal(mine[name], value, name)
