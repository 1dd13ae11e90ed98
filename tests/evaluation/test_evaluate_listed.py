"""Truths of images and categories that a COCO file does not list: left out and counted, as in pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastbox import InputError, Params, jobs

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")


def instances(seed: int) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """Annotations of 12 images and 6 categories, of which some are not listed, and detections of those that are."""
    random = np.random.default_rng(seed)
    listed_images = [k for k in range(12) if random.random() < 0.7] or [0]
    listed_classes = [k for k in range(1, 7) if random.random() < 0.7] or [1]
    annotations, results = [], []
    for k in range(150):
        box = (random.random(4) * [300, 200, 80, 80] + [0, 0, 5, 5]).tolist()
        image, kind = int(random.integers(0, 12)), int(random.integers(1, 7))
        annotations.append(
            {"id": k + 1, "image_id": image, "category_id": kind, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        )
        if image in listed_images and random.random() < 0.8:
            kind = int(random.integers(1, 8)) if random.random() < 0.2 else kind
            moved = [box[0] + float(random.normal(0, 3)), *box[1:]]
            results.append({"image_id": image, "category_id": kind, "bbox": moved, "score": float(random.random())})
    categories = [{"id": k, "name": f"thing {k}"} for k in listed_classes]
    return {"images": [{"id": k} for k in listed_images], "categories": categories, "annotations": annotations}, results


def theirs(folder: Path, by_class: bool) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truths = coco.COCO(str(folder / "gt.json"))
        judge = cocoeval.COCOeval(truths, truths.loadRes(str(folder / "dt.json")), "bbox")
        judge.params.useCats = int(by_class)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    found: list[float] = judge.stats.tolist()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_figures_are_pycocotools(tmp_path: Path, seed: int) -> None:
    truths, results = instances(seed)
    (tmp_path / "gt.json").write_text(json.dumps(truths))
    (tmp_path / "dt.json").write_text(json.dumps(results))
    found = jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json")
    assert list(found.stats[None].values()) == theirs(tmp_path, True)
    images, classes = ({one["id"] for one in truths[name]} for name in ("images", "categories"))
    elsewhere = sum(one["image_id"] not in images for one in truths["annotations"])
    other = sum(one["image_id"] in images and one["category_id"] not in classes for one in truths["annotations"])
    summary = found.to_dict()
    away = sum(one["category_id"] not in classes for one in results)
    assert summary["dropped"] == {"images": elsewhere, "classes": other, "detections": away}
    assert summary["detections"] == len(results) - away
    assert summary["truths"] == 150 - elsewhere - other
    said = sum(" does not list are left out" in one for one in found.warnings)
    assert said == (elsewhere > 0) + (other > 0) + (away > 0)
    counts = summary["errors"]["counts"]
    assert counts["matched"] + counts["missed"] <= summary["truths"]
    any_class = jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json", params=Params(class_agnostic=True))
    assert list(any_class.stats[None].values()) == theirs(tmp_path, False)


def test_without_a_list_of_categories_all_of_them_count(tmp_path: Path) -> None:
    truths, results = instances(1)
    images = {one["id"] for one in truths["images"]}
    kept = [one for one in truths["annotations"] if one["image_id"] in images]
    (tmp_path / "dt.json").write_text(json.dumps(results))
    every = [{"id": k, "name": str(k)} for k in range(1, 8)]
    figures = []
    for categories in ([], every):
        (tmp_path / "gt.json").write_text(json.dumps(truths | {"categories": categories, "annotations": kept}))
        found = jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json")
        assert found.to_dict()["dropped"] == {"images": 0, "classes": 0, "detections": 0}
        figures.append(found.stats)
    assert figures[0] == figures[1]


def test_detections_of_an_image_that_is_not_listed_are_refused(tmp_path: Path) -> None:
    truths, results = instances(2)
    results.append(results[0] | {"image_id": 99})
    (tmp_path / "gt.json").write_text(json.dumps(truths))
    (tmp_path / "dt.json").write_text(json.dumps(results))
    with pytest.raises(
        InputError, match=r"expected detections of images that .*gt\.json lists, got some of image 99: add the image"
    ):
        jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json")
