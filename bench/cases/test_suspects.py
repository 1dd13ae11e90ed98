"""`fastbox suspects` over files, and the ranking of suspects on truths with seeded mistakes beside other methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.conftest import Case
from bench.promises import suspects
from bench.promises.evaluation import COCO
from bench.support import scenes
from bench.support.corrupted import corrupt
from bench.support.shapes import Sizes
from fastbox import jobs


def written(path: Path, images: Any, classes: Any, boxes: Any, **more: Any) -> Path:
    columns = dict(zip(("x", "y", "w", "h"), boxes.T, strict=True))
    pq.write_table(pa.table({"image_id": images, "category_id": classes, **columns, **more}), path)
    return path


def test_suspects(case: Case, sizes: Sizes, tmp_path: Path) -> None:
    scene = scenes.annotated(**{name: min(count, sizes.of(count) + 4) for name, count in COCO.items()})
    found = written(tmp_path / "d.parquet", scene.images, scene.classes, scene.boxes, score=scene.scores)
    known = written(
        tmp_path / "t.parquet", scene.target_images, scene.target_classes, scene.targets, iscrowd=scene.crowd
    )
    shape = f"{len(scene.scores):,} detections, {len(scene.crowd):,} truths"
    case(
        lambda: jobs.suspects(found, known, tmp_path / "s.parquet"),
        name="fastbox",
        role="ours",
        kernel="suspects",
        dtype="float64",
        size="coco",
        shape=shape,
        boxes=len(scene.scores),
    )


@pytest.mark.parametrize("name", [name for name in suspects.METHODS if name != "fastbox"])
def test_the_ranking_is_at_least_as_precise(name: str) -> None:
    """Missing truths aside: other methods also suspect detections that overlap a truth of another class."""
    try:
        known, found = suspects.truths(), suspects.detections().of_model(suspects.ALONE)
    except ModuleNotFoundError as missing:
        pytest.skip(str(missing))
    made = corrupt(known, seed=2)
    ours, theirs = (
        suspects.precisions(suspects.METHODS[method](found, made.truths), made, found) for method in ("fastbox", name)
    )
    for kind in theirs.keys() - {"missing"}:
        assert ours[kind] >= theirs[kind] - 0.01, kind
