"""Ids, categories and scores of COCO JSON in all the ways that they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.coco import convert, result, same_bits, truth

from fastbox.datasets.convert import convert as convert_file
from fastbox.errors import InputError, InputWarning
from fastbox.jobs import evaluate, inspect
from fastbox.tables.record import read_names


def written(value: int) -> st.SearchStrategy[str]:
    """A whole number in the ways that programs write it."""
    return st.sampled_from(
        [str(value), f"{value}.0", f"{value}.000"] + ([f"{value // 100}e2"] if not value % 100 else [])
    )


@pytest.mark.slow
@given(data=st.data())
def test_whole_numbers_are_written_in_many_ways(data: st.DataObject, folder: Path) -> None:
    def number(most: int = 2**40, *, text: bool = False) -> tuple[int, str]:
        value = data.draw(st.integers(0, most))
        return value, data.draw(written(value) | (st.just(f'"{value}"') if text else st.nothing()))

    rows, annotations, images = [], [], []
    for image in data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True)):
        (width, width_text), (height, height_text) = number(9999), number(9999)
        image_text = data.draw(written(image))
        images.append(f'{{"id": {image_text}, "width": {width_text}, "height": {height_text}}}')
        for _ in range(data.draw(st.integers(0, 3))):
            (own, own_text), (category, category_text) = number(), number(text=True)
            crowd, crowd_text = data.draw(
                st.sampled_from([(1, "1.0"), (0, "0.0"), (1, "true"), (0, '"0"'), (0, "null")])
            )
            annotations.append(
                f'{{"id": {own_text}, "image_id": {data.draw(written(image))}, "category_id": {category_text}, '
                f'"bbox": [1, 2.0, 3, 4], "iscrowd": {crowd_text}}}'
            )
            row = {"id": own, "image_id": image, "category_id": category, "iscrowd": crowd, "area": None}
            rows.append(row | {"x": 1, "y": 2, "w": 3, "h": 4, "width": width, "height": height})
    text = f'{{"annotations": [{", ".join(annotations)}], "images": [{", ".join(images)}]}}'
    same_bits(convert(text, folder)[1], sorted(rows, key=lambda row: row["image_id"]))


def test_ids_are_text_where_the_first_is(tmp_path: Path) -> None:
    boxes = [truth("a", id=1.0), {**truth("b"), "category_id": "7"}]
    _, table = convert({"annotations": boxes, "images": None, "categories": [{"id": "7", "name": "cat"}]}, tmp_path)
    assert table["image_id"].to_pylist() == ["a", "b"]
    assert (table["id"].to_pylist(), table["category_id"].to_pylist()) == ([1, None], [1, 7])


@pytest.mark.parametrize("image", [4, "four"])
def test_no_results_have_ids_of_whichever_kind(image: Any, tmp_path: Path) -> None:
    (tmp_path / "dt.json").write_text("[]")
    (tmp_path / "gt.json").write_text(json.dumps({"images": [{"id": image}], "annotations": [truth(image)]}))
    assert evaluate(tmp_path / "dt.json", tmp_path / "gt.json").to_dict()["truths"] == 1


def test_an_image_listed_twice_alike_is_one(tmp_path: Path) -> None:
    image = {"id": 4, "width": 10, "height": 9, "file_name": "a/4.jpg"}
    coco = {"images": [image, {"id": 5}, image], "annotations": [truth(4)]}
    with pytest.warns(InputWarning, match=r"coco.json lists 1 images again, such as 4, with equal entries: read once"):
        summary, table = convert(coco, tmp_path, write_images=tmp_path / "images.parquet")
    assert (summary["images"], table["width"].to_pylist()) == (2, [10])
    assert pq.read_table(tmp_path / "images.parquet")["image_id"].to_pylist() == [4, 5]
    coco["images"][2] = {**image, "width": 11}
    with pytest.raises(InputError, match=r"coco.json lists image 4 twice, with width 10 and 11: remove the wrong one"):
        convert(coco, tmp_path)


def test_inspect_reports_an_image_listed_twice(tmp_path: Path) -> None:
    images = [{"id": 4, "width": 10, "height": 9}, {"id": 4, "width": 11, "height": 9}]
    source = tmp_path / "coco.json"
    source.write_text(json.dumps({"images": images, "annotations": [truth(4)]}))
    codes = {found["code"]: found["count"] for found in inspect(source).to_dict()["problems"]}
    assert codes["repeated_id"] == 1


def test_categories_of_one_name_stay_two(tmp_path: Path) -> None:
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]
    boxes = [truth(1), {**truth(1), "category_id": 2}]
    coco = {"images": [{"id": 1, "width": 9, "height": 9, "file_name": "a.jpg"}], "annotations": boxes}
    convert({**coco, "categories": names}, tmp_path)
    for own, out in (("yolo", "yolo"), ("huggingface", "hub.parquet")):
        convert_file(tmp_path / "coco.json", tmp_path / out, out_format=own)
        convert_file(tmp_path / out, tmp_path / f"{own}.json")
        again = json.loads((tmp_path / f"{own}.json").read_text())
        assert [(one["id"], one["name"]) for one in again["categories"]] == [(1, "cat"), (2, "cat")]
        assert [box["category_id"] for box in again["annotations"]] == [1, 2]
    with pytest.warns(InputWarning, match=r"categories 1 and 2 are both called 'cat', and voc keeps only names"):
        convert_file(tmp_path / "coco.json", tmp_path / "voc", out_format="voc")
    assert convert_file(tmp_path / "voc", tmp_path / "voc.json")["categories"] == 1


def test_a_category_needs_no_name(tmp_path: Path) -> None:
    names = [{"id": 1, "supercategory": "animal"}, {"id": 2, "name": None}, {"id": 3, "name": "cat"}]
    convert({"annotations": [truth(1), {**truth(1), "category_id": 2}], "categories": names}, tmp_path)
    assert read_names(str(tmp_path / "out.parquet")) == {"3": "cat"}


def test_a_list_of_images_alone_has_no_boxes(tmp_path: Path) -> None:
    images = [{"id": 1, "width": 9, "height": 8, "file_name": "a.jpg"}]
    summary, _ = convert({"info": {}, "licenses": [], "images": images, "categories": []}, tmp_path)
    assert (summary["rows"], summary["images_without_boxes"]) == (0, 1)


@pytest.mark.slow
@given(scores=st.lists(st.one_of(st.none(), st.floats(0, 1), st.integers(0, 1)), max_size=4))
def test_scores_of_annotations_come_back(scores: list[float | None], folder: Path) -> None:
    scores = [0.25, *scores]
    convert({"annotations": [{**truth(1), "score": score} for score in scores], "images": [{"id": 1}]}, folder)
    assert pq.read_table(folder / "out.parquet")["score"].to_pylist() == scores
    convert_file(folder / "out.parquet", folder / "again.json")
    again = json.loads((folder / "again.json").read_text())["annotations"]
    assert [one.get("score") for one in again] == scores
    if None in scores:
        with pytest.raises(InputError, match="expected score of every box, got null for one of image 1"):
            convert_file(folder / "again.json", folder / "results.json", out_format="coco-results")
    else:
        convert_file(folder / "again.json", folder / "results.json", out_format="coco-results")
        assert [one["score"] for one in json.loads((folder / "results.json").read_text())] == scores


@pytest.mark.parametrize("score", [None, "high", [1], True])
def test_no_score_in_the_first_annotation_is_none_of_any(score: Any, tmp_path: Path) -> None:
    _, table = convert({"annotations": [{**truth(1), "score": score}]}, tmp_path)
    assert "score" not in table.column_names


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    source.write_text(json.dumps([result(1)]), encoding="utf-8-sig")
    assert convert_file(source, tmp_path / "out.parquet")["rows"] == 1


def test_kind_insists_and_is_told(tmp_path: Path) -> None:
    assert convert([result(1)], tmp_path, kind="results")[0]["kind"] == "results"
    assert convert({"annotations": [truth(1)]}, tmp_path, kind="truths")[0]["kind"] == "truths"


def test_escaped_keys_are_the_keys_that_they_spell(tmp_path: Path) -> None:
    annotations = [truth(1), {**truth(1), "id": 2, "x": 1}]
    text = json.dumps({"images": [{"id": 1}], "annotations": annotations})
    for key in ("ignore", r"\u0069gnore", r"ign\u006Fre"):
        _, table = convert(text.replace('"x"', f'"{key}"'), tmp_path)
        assert table["ignore"].to_pylist() == [0, 1]
    with pytest.raises(InputError, match="has no obb"):
        convert(text.replace('"x": 1', r'"\u006fbb": [5, 5, 9, 9, 0.5]'), tmp_path)


def test_ids_are_text_where_many_annotations_before_have_none(tmp_path: Path) -> None:
    without = {name: value for name, value in truth(1).items() if name != "id"}
    _, table = convert({"images": [{"id": 1}], "annotations": [without] * 8200 + [{**truth(1), "id": "a"}]}, tmp_path)
    assert table["id"].to_pylist()[-1] == "a"
