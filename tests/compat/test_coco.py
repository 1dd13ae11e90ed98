"""COCO against pycocotools: the same look-ups, and results from lists, files and arrays."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.coco_scenes import Scene

from fastbox.compat.coco import COCO
from fastbox.errors import InputError

SEEDS = range(4, 12)


def named(scene: Scene) -> dict[str, Any]:
    """A data set whose categories have names."""
    dataset = scene.dataset()
    for category in dataset["categories"]:
        category |= {"name": f"kind {category['id']}", "supercategory": "even" if category["id"] % 2 == 0 else "odd"}
    return dataset | {"info": {"year": 2017}}


def theirs(dataset: dict[str, Any]) -> Any:
    found = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed").COCO()
    found.dataset = copy.deepcopy(dataset)
    with contextlib.redirect_stdout(io.StringIO()):
        found.createIndex()
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_look_ups_are_those_of_pycocotools(seed: int) -> None:
    scene = Scene(seed)
    dataset = named(scene)
    own, other = COCO(copy.deepcopy(dataset)), theirs(dataset)
    for name in ("dataset", "anns", "cats", "imgs", "imgToAnns", "catToImgs"):
        assert getattr(own, name) == getattr(other, name), name
    some = scene.random.integers(0, 4, 2).tolist()
    for asked in ({}, {"imgIds": some}, {"catIds": some}, {"imgIds": some, "catIds": 1}, {"imgIds": 99}):
        assert own.getAnnIds(**asked) == other.getAnnIds(**asked)
        assert sorted(own.getImgIds(**asked)) == sorted(other.getImgIds(**asked))
    assert own.getAnnIds(areaRng=[2, 20], iscrowd=False) == other.getAnnIds(areaRng=[2, 20], iscrowd=False)
    for asked in ({}, {"catNms": ["kind 1", "kind 0"]}, {"supNms": ["even"], "catIds": [0, 1]}, {"catNms": "kind 1"}):
        assert own.getCatIds(**asked) == other.getCatIds(**asked)
    ids = own.getAnnIds()[:3]
    assert own.loadAnns(ids) == other.loadAnns(ids)
    assert (own.loadCats([0]), own.loadImgs([0])) == (other.loadCats([0]), other.loadImgs([0]))
    assert own.loadCats(np.int64(0)) == own.loadCats(0) == other.loadCats(0)


@pytest.mark.parametrize("seed", SEEDS)
def test_results_are_those_of_pycocotools(seed: int, tmp_path: Path) -> None:
    scene = Scene(seed)
    dataset, results = named(scene), scene.results()
    own, other = COCO(dataset), theirs(dataset)
    before = copy.deepcopy(results)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    rows = [[one["image_id"], *one["bbox"], one["score"], one["category_id"]] for one in results]
    with contextlib.redirect_stdout(io.StringIO()):
        wanted = other.loadRes(copy.deepcopy(results))
    for one in wanted.dataset["annotations"]:
        del one["segmentation"]  # a polygon of each box
    for given in (results, path, str(path), np.array(rows)):
        found = own.loadRes(given)
        for name in ("dataset", "anns", "cats", "imgs", "imgToAnns", "catToImgs"):
            assert getattr(found, name) == getattr(wanted, name), name
    assert results == before
    assert own.loadNumpyAnnotations(np.array(rows)) == results
    assert type(own).loadRes(other, results).dataset == wanted.dataset  # pycocotools' object


def test_files_are_read_as_python_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "truths.json"
    path.write_text('{"images": [{"id": 1, "width": NaN}], "info": {"year": 2017, "big": 123456789012345678901}}')
    found = COCO(path)
    assert np.isnan(found.imgs[1]["width"]) and found.dataset["info"]["big"] == 123456789012345678901
    found.info()
    assert capsys.readouterr().out.splitlines()[0] == "year: 2017"
    for text, said in (("{", "expected JSON in .*truths.json, got .*: write the file again"), ("[]", "a JSON object")):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            COCO(path)
    with pytest.raises(FileNotFoundError):
        COCO(tmp_path / "none.json")


def test_what_cannot_be_used_is_refused() -> None:
    truths = COCO({"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []})
    result = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}
    for given, said in (
        ({}, "expected results as a list of dicts, a path or an array"),
        ([1], "expected results as a list of dicts"),
        ([result, result | {"bbox": []}], "got bbox of 0 numbers in result 1"),
        ([{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 1}], "got no 'bbox' in result 0"),
        ([{"image_id": 1, "caption": "a cat"}], "got no 'category_id'"),
        ([result | {"image_id": 2}], "got 1 others, such as 2: load the annotations"),
        (np.zeros((2, 6)), r"expected results of shape \(n, 7\), got \(2, 6\)"),
    ):
        with pytest.raises(InputError, match=said):
            truths.loadRes(given)
    with pytest.raises(InputError, match="expected an id in each of the images, got none"):
        COCO({"images": [{}]})
    with pytest.raises(InputError, match="expected image_id and category_id in each annotation"):
        COCO({"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 2}]})
    for name in ("annToRLE", "annToMask", "showAnns", "download"):
        with pytest.raises(NotImplementedError, match=f"expected a use of boxes, got {name}.*pycocotools.coco"):
            getattr(truths, name)
    with pytest.raises(AttributeError, match="'COCO' object has no attribute 'annotations'"):
        truths.annotations  # noqa: B018
