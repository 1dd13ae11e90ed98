"""Promises of points: assignment by raw predictions as they are read, and the what-if table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Reached, ratio, summed_up, take_turns
from bench.support.paths import public_data

SIZE, PER_IMAGE = 640, 7


def raw_predictions(folder: str, images: int) -> tuple[dict[str, Any], Path]:
    """Make truths of as many images, and the predictions of YOLOv8's points for them: of three classes each."""
    rng, grid = np.random.default_rng(0), fastbox.PointGrid.preset("yolov8")
    points = grid.points((SIZE, SIZE))
    strides = np.repeat(grid.strides, grid.counts((SIZE, SIZE)))[:, None]
    low = rng.uniform(0, 500, (images * PER_IMAGE, 2))
    sides = np.exp(rng.uniform(2, 5, (len(low), 2)))
    classes = rng.integers(0, 3, len(low))
    truths = {"image_id": np.repeat(np.arange(images), PER_IMAGE), "category_id": classes}
    truths |= {"bbox": np.concatenate([low, np.minimum(low + sides, SIZE)], axis=1).astype(np.float32).tolist()}
    path = Path(folder, "raw.parquet")
    with fastbox.RawPredictions(path, grid, SIZE) as raw:
        for image in range(images):
            half = strides * rng.uniform(0.5, 3, (len(points), 2))
            scores = rng.random((len(points), 3), np.float32) ** 4
            raw.add(image, np.concatenate([points - half, points + half], axis=1), scores)
    return truths, path


def by_predictions(setting: Setting) -> Reached:
    """The job against Arrow's reading of its file, which both decode on the same threads."""
    import pyarrow.parquet as pq

    with setting.place() as folder:
        truths, path = raw_predictions(folder, setting.sizes.of(1500))

        def decode() -> int:
            return sum(batch.nbytes for batch in pq.ParquetFile(path).iter_batches(128))

        def assign() -> Any:
            options: dict[str, Any] = {"points": "yolov8", "pad": "none", "class_column": "category_id"}
            return fastbox.jobs.assign_points(truths, path, Path(folder, "out.parquet"), **options)

        assert assign().learnt.all.truths == len(truths["image_id"])
        return ratio(take_turns({"assign": assign, "decode": decode}, setting.rounds), "assign", "decode")


def what_if(setting: Setting) -> Reached:
    """COCO val2017 by three detectors at three inputs."""
    truths = public_data("coco_val2017_gt.parquet")

    def ask() -> Any:
        return fastbox.jobs.candidates(truths, points=["tal-8.3", "yolov8", "yolox"], sizes=[320, 640, 1280])

    assert len(ask().settings) == 9
    return summed_up(take_turns({"table": ask}, setting.rounds)["table"], {})


RAW = (
    Target("assign-predictions", "points by raw predictions: decoding their file", 1.2, by_predictions, "×", True),
    Target("what-if", "fastbox assign --points, COCO val2017, 3 detectors × 3 inputs", 3, what_if, "s", True),
)
