"""Detections and truths whose classes are numbered, named or spelled differently: refused, or warned of."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.misread import Scene, warned

import fastbox
from fastbox import InputError, jobs
from fastbox.errors import InputWarning
from fastbox.fragments import spread


@pytest.mark.parametrize("change", [lambda k: k - 1, lambda k: k + 1, lambda k: 21 - k])
def test_classes_that_are_numbered_otherwise_are_said(tmp_path: Path, change: Any) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=change(scene.kind))
    (sentence,) = warned(*tables)
    assert (
        "detections lie on truths of another class" in sentence
        and "number or name the classes of both alike" in sentence
    )
    assert jobs.evaluate(*tables).evaluation.warnings == [sentence]


def test_numbers_that_differ_from_some_class_on_are_said(tmp_path: Path) -> None:
    """As COCO's 80 classes counted from 1 do, of which most boxes are of the first ones, which have the same number."""
    scene = Scene()
    random = np.random.default_rng(5)
    scene.kind = np.where(random.random(len(scene.kind)) < 0.6, 1, scene.kind)
    (sentence,) = warned(*scene.write(tmp_path, kinds=scene.kind + (scene.kind > 7)))
    assert "detections lie on truths of another class and 0 on truths of their own class" in sentence


def test_few_boxes_of_many_classes_are_not_suspected() -> None:
    """Each of another class than the truth it lies on, but by no rule."""
    random = np.random.default_rng(0)
    boxes = np.hstack((np.arange(7)[:, None] * [50, 20], np.full((7, 2), 30)))
    truths = fastbox.Boxes(boxes, "xywh", images=np.arange(7))
    kinds = random.permutation(100)[:7]
    own = np.append(random.permutation(100)[:6], kinds[-1])
    found = fastbox.evaluate(truths, np.linspace(0.1, 0.9, 7), truths, classes=own, truth_classes=kinds)
    assert found.warnings == []
    with pytest.warns(InputWarning, match=r"4 detections lie on truths of another class .* \(class 1 on 2, 3 on 4"):
        fastbox.evaluate(truths[:4], [1] * 4, truths[:4], classes=[1, 3, 5, 7], truth_classes=[2, 4, 6, 8])


def test_a_poor_classifier_is_not_suspected(tmp_path: Path) -> None:
    scene = Scene()
    kinds = np.random.default_rng(3).integers(1, 21, len(scene.kind))
    assert warned(*scene.write(tmp_path, kinds=kinds)) == []


def test_no_class_in_common_is_refused(tmp_path: Path) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=scene.kind + 50)
    with pytest.raises(
        InputError, match=r"expected classes that both .* got none: 51, 52, 53 in .*dt.* and 1, 2, 3 in .*gt"
    ):
        jobs.evaluate(*tables)
    with pytest.raises(InputError, match="expected classes that both tables have"):
        spread(jobs.evaluate, *tables, fragment_rows=100)
    assert jobs.evaluate(*tables, params=fastbox.Params(class_agnostic=True)).stats[None]["AP50"] > 0.8


def test_few_classes_in_common_are_refused_where_nobody_names_them(tmp_path: Path) -> None:
    """Less than half of the numbers that the side with fewer of them has."""
    rng = np.random.default_rng(0)

    def table(name: str, kinds: list[Any]) -> Path:
        left = np.array([20.0 * "123456789abcdefghi".index(str(kind)) for kind in kinds])
        boxes = {"xmin": left, "ymin": left * 0, "xmax": left + 10, "ymax": left * 0 + 10}
        path = tmp_path / name
        pq.write_table(
            pa.table({"image_id": [1] * len(kinds), **boxes, "category_id": kinds, "score": rng.random(len(kinds))}),
            path,
        )
        return path

    truths = table("gt.parquet", [1, 2, 3, 4, 5])
    with pytest.raises(
        InputError, match=r"expected classes that both tables have, got 1 of 3: 8, 9 in .* and 1, 2, 3 in"
    ):
        jobs.evaluate(table("dt.parquet", [5, 8, 9]), truths)
    for kinds in ([4, 5, 8], [5, 8], [5]):
        assert jobs.evaluate(table("dt.parquet", kinds), truths).stats[None]["AP50"] > 0
    named = table("names.parquet", list("abcde"))
    assert jobs.evaluate(table("dt.parquet", ["e", "h", "i"]), named).stats[None]["AP50"] > 0


def test_a_class_that_the_truths_name_is_none_of_another_numbering(tmp_path: Path) -> None:
    """Few boxes may well be of other classes than the truths."""
    box = {"image_id": 1, "bbox": [0, 0, 9, 9]}
    (tmp_path / "dt.json").write_text(json.dumps([{**box, "category_id": 1, "score": 0.5}]))
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    instances = {"images": [{"id": 1}], "categories": categories, "annotations": [{**box, "id": 1, "category_id": 2}]}
    (tmp_path / "gt.json").write_text(json.dumps(instances))
    for name in ("dt", "gt"):
        jobs.convert(tmp_path / f"{name}.json", tmp_path / f"{name}.parquet")
    for ending in ("json", "parquet"):
        found = jobs.evaluate(tmp_path / f"dt.{ending}", tmp_path / f"gt.{ending}")
        assert found.stats[None]["AP"] == 0.0
    instances["categories"] = categories[1:]
    (tmp_path / "gt.json").write_text(json.dumps(instances))
    jobs.convert(tmp_path / "gt.json", tmp_path / "gt.parquet")
    with pytest.raises(InputError, match="expected classes that both tables have"):
        jobs.evaluate(tmp_path / "dt.parquet", tmp_path / "gt.parquet")


def test_arrays_of_no_class_in_common_warn() -> None:
    one = [[0, 0, 4, 4]]
    with pytest.warns(InputWarning, match=r"no class in common, those of detections are 1 and of truths 2: number or"):
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=[2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rules = fastbox.Params(class_agnostic=True)
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=[2], params=rules)
        fastbox.evaluate(one, [0.5], one * 2, classes=[1], truth_classes=[2, 1])


def test_classes_of_two_kinds_are_refused(tmp_path: Path) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=[f"{kind}" for kind in scene.kind])
    with pytest.raises(
        InputError, match=r"classes of one kind .* got strings in .*dt.parquet and integers in .*gt.parquet"
    ):
        jobs.evaluate(*tables)
    one = [[0, 0, 4, 4]]
    with pytest.raises(ValueError, match="of one kind"):
        fastbox.evaluate(one, [0.5], one, classes=["1"], truth_classes=[1])
    with pytest.raises(ValueError, match="of one kind"):
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=["1"])


@pytest.mark.jit
@pytest.mark.parametrize("other", ["thing 5 ", "Thing 5", "thing_5", "thing-5", "THING5"])
@pytest.mark.parametrize("swapped", [False, True])
def test_classes_that_are_spelled_otherwise_are_said(tmp_path: Path, other: str, swapped: bool) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    wrong = truths if swapped else detections
    for path in (detections, truths):
        table = pq.read_table(path)
        names = [other if k == 5 and path == wrong else f"thing {k}" for k in table["category_id"].to_pylist()]
        place = table.schema.get_field_index("category_id")
        pq.write_table(table.set_column(place, "category_id", pa.array(names)), path)
    found = jobs.evaluate(*(fastbox.Source(path, format="xywh") for path in (detections, truths))).warnings
    pair = ("thing 5", other) if swapped else (other, "thing 5")
    assert [f"differently: {pair[0]!r} and {pair[1]!r}: name the classes of both alike" in one for one in found] == [
        True
    ]
