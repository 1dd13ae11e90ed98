"""Detectors without anchors: candidates, assignments by every rule of points, and the jobs on tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.promises.same_figures.inputs import Inputs
from bench.promises.same_figures.jobs import of_result, written
from bench.promises.same_figures.spellings import call, public
from fastbox.assign.point_rule import POINT_RULES

Call = tuple[str, Callable[[], Any]]

SIZE = (160, 128)
POINTS = {8: 320, 16: 80, 32: 20, 64: 6, 128: 2}  # of such an input, by stride
CLASSES = np.array([1, 2, 3, 4, 5])
RAW = "raw.parquet"


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all assignments of points."""
    grid = public("PointGrid")(list(POINTS))
    truths = public("Boxes")(given.b[given.images_b < 9] / 3, images=given.images_b[given.images_b < 9])
    classes = given.classes_b[given.images_b < 9] - given.classes_b.min()
    boxes, scores = predicted(len(np.unique(truths.images)), sum(POINTS.values()))
    boxes = public("Boxes")(boxes.reshape(-1, 4), images=np.repeat(np.unique(truths.images), boxes.shape[1]))
    scores = scores.reshape(-1, len(CLASSES))
    for name, rule in POINT_RULES.items():
        options: dict[str, Any] = {"rule": rule, "size": SIZE}
        yield f"candidates.{name}", call("candidates", grid, truths, reach=15.0, **options)
        if rule.predicts:
            options |= {"boxes": boxes, "scores": scores, "classes": classes}
            options |= {"logits": True} if rule.family == "rtmdet" else {}
        yield f"match.{name}", call("match", grid, truths, **options)
    yield from jobs(given)


def predicted(images: int, points: int) -> tuple[Any, Any]:
    """Draw raw predictions of some images at so many points."""
    rng = np.random.default_rng(8)
    low = rng.uniform(0, 120, (images, points, 2))
    return np.concatenate([low, low + rng.uniform(2, 60, low.shape)], 2), rng.random((images, points, len(CLASSES)))


def jobs(given: Inputs) -> Iterator[Call]:
    """Yield the jobs, the second on a file of raw predictions."""
    sized: dict[str, Any] = {"sizes": (320, "640x480"), "reach": 15.0, "ignore_column": "iscrowd"}
    yield "jobs.candidates", partial(of_result, call("jobs.candidates", "truths.parquet", points=["yolov8"], **sized))
    points = {"points": "yolov8", "class_column": "category_id"}
    given_raw = ("truths.parquet", RAW)

    def assigned() -> Any:
        write(np.unique(given.images_b))
        return written("jobs.assign_points", "assign_points", given_raw, points)

    yield "jobs.assign_points", assigned


def write(images: Any) -> None:
    """Write raw predictions of images."""
    boxes, scores = predicted(len(images), POINTS[8] + POINTS[16] + POINTS[32])
    with public("RawPredictions")(Path(RAW), "yolov8", SIZE, labels=CLASSES) as raw:
        for image, of_boxes, of_scores in zip(images, boxes, scores, strict=True):
            raw.add(image, of_boxes, of_scores)
