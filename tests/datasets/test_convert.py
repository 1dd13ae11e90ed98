"""COCO JSON to Parquet: what json.load sees is what the table holds, and bad files are named and leave nothing."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import SHARED

from fastbox.datasets.convert import convert as convert_file
from fastbox.datasets.formats.cocojson import BATCH
from fastbox.errors import InputError, InputWarning
from fastbox.jobs import evaluate, inspect
from fastbox.tables.sink import read_names, read_record

EXAMPLE = SHARED / "instances_val2014_100.json"
RESULTS = SHARED / "instances_val2014_fakebbox100_results.json"
needs_example = pytest.mark.skipif(not EXAMPLE.exists() or not RESULTS.exists(), reason="COCO's example is not here")

CORNERS = ("xmin", "ymin", "xmax", "ymax")

Rows = list[dict[str, Any]]


def convert(coco: Any, folder: Path, **options: Any) -> tuple[dict[str, Any], pa.Table]:
    source = folder / "coco.json"
    source.write_bytes(
        coco if isinstance(coco, bytes) else (coco if isinstance(coco, str) else json.dumps(coco)).encode()
    )
    summary = convert_file(source, folder / "out.parquet", **options)
    return summary, pq.read_table(folder / "out.parquet")


def expected_boxes(coco: Any, format: str) -> Rows:
    """The rows that a table should have: the naive way, one dict at a time."""
    truths = isinstance(coco, dict)
    images = {image["id"]: image for image in coco.get("images", [])} if truths else {}
    rows = []
    for box in coco["annotations"] if truths else coco:
        x, y, w, h = map(float, box["bbox"])
        row = {"image_id": box["image_id"], "category_id": box["category_id"]}
        names = ("x", "y", "w", "h") if format == "xywh" else CORNERS
        row |= dict(zip(names, (x, y, w, h) if format == "xywh" else (x, y, x + w, y + h), strict=True))
        if truths:
            image = images.get(box["image_id"], {})
            row |= {"id": box.get("id"), "iscrowd": int(box.get("iscrowd", 0)), "area": box.get("area")}
            row |= {"width": image.get("width"), "height": image.get("height")}
        else:
            row["score"] = float(box["score"])
        rows.append(row)
    return sorted(rows, key=lambda row: row["image_id"])


def same_bits(table: pa.Table, rows: Rows) -> None:
    assert table.num_rows == len(rows)
    for name in table.column_names:
        got, expected = table[name].to_pylist(), [row[name] for row in rows]
        if pa.types.is_float64(table.schema.field(name).type):
            got = [None if value is None else value.hex() for value in got]
            expected = [None if value is None else float(value).hex() for value in expected]
        assert got == expected, name


def truth(image_id: Any, box: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": list(box), **more}


def result(image_id: Any, box: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": list(box), "score": 0.5, **more}


numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
boxes = st.lists(numbers, min_size=4, max_size=4)
texts = st.text(st.characters(codec="utf-8"), max_size=5)
whole = st.integers(-(2**63), 2**63 - 1)
ids = st.one_of([st.lists(kind, min_size=1, max_size=6, unique=True) for kind in (whole, texts)])


@st.composite
def instances(draw: st.DrawFn) -> dict[str, Any]:
    known = draw(ids)
    listed = draw(st.lists(st.sampled_from(known), unique=True))
    sizes = st.fixed_dictionaries({}, optional={"width": st.integers(0, 2**31 - 1), "height": st.integers(0, 9999)})
    annotation = st.fixed_dictionaries(
        {"image_id": st.sampled_from(known), "category_id": whole, "bbox": boxes},
        optional={
            "id": whole,
            "iscrowd": st.sampled_from([0, 1, False, True]),
            "area": numbers,
            "segmentation": st.sampled_from([[[1.5, 2, 3, 4]], {"counts": 'a\\"]}b', "size": [2, 2]}]),
            "attributes": st.just({"bbox": [9], "deep": [{"image_id": None}]}),
        },
    )
    return {
        "info": {"year": 2014},
        "images": [{"id": image, **draw(sizes)} for image in listed],
        "annotations": draw(st.lists(annotation, max_size=12)),
        "categories": [{"id": 1, "name": "boîte"}],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("convert")


@pytest.mark.slow
@given(coco=instances(), format=st.sampled_from(["xywh", "xyxy"]), ascii=st.booleans())
def test_truths_are_what_json_says(coco: dict[str, Any], format: str, ascii: bool, folder: Path) -> None:
    summary, table = convert(
        json.dumps(coco, ensure_ascii=ascii), folder, format=format, write_images=folder / "images.parquet"
    )
    same_bits(table, expected_boxes(coco, format))

    counts = {image["id"]: 0 for image in coco["images"]}
    for box in coco["annotations"]:
        counts[box["image_id"]] = counts.get(box["image_id"], 0) + 1
    listed = {image["id"]: image for image in coco["images"]}
    images = pq.read_table(folder / "images.parquet")
    assert images.column_names == ["image_id", "width", "height", "file_name", "boxes"]
    assert images.to_pylist() == [
        {
            "image_id": image,
            **{name: listed.get(image, {}).get(name) for name in ("width", "height", "file_name")},
            "boxes": counts[image],
        }
        for image in sorted(counts)
    ]
    assert summary == {
        "kind": "truths",
        "rows": len(coco["annotations"]),
        "images": len(counts),
        "categories": len({1} | {box["category_id"] for box in coco["annotations"]}),
        "images_without_boxes": sum(count == 0 for count in counts.values()),
    }


@pytest.mark.slow
@given(data=st.data(), format=st.sampled_from(["xywh", "xyxy"]))
def test_results_are_what_json_says(data: st.DataObject, format: str, folder: Path) -> None:
    known = data.draw(ids)
    detection = {"image_id": st.sampled_from(known), "category_id": st.integers(0, 90), "bbox": boxes, "score": numbers}
    coco = data.draw(st.lists(st.fixed_dictionaries(detection), max_size=12))
    summary, table = convert(coco, folder, format=format)
    same_bits(table, expected_boxes(coco, format))
    images = len({box["image_id"] for box in coco})
    categories = len({box["category_id"] for box in coco})
    assert summary == {
        "kind": "results", "rows": len(coco), "images": images, "categories": categories, "images_without_boxes": 0
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("format", ["xywh", "xyxy"])
def test_many_batches_keep_the_order_of_the_file(format: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 2 * BATCH + 17
    box = np.round(rng.uniform(0, 640, (n, 4)), 2).tolist()
    image = rng.integers(0, 3000, n).tolist()
    annotations = [truth(image[i], box[i], id=i, area=box[i][2] * 0.7) for i in range(n)]
    coco = {"images": [{"id": i, "width": i, "height": 1} for i in range(2990)], "annotations": annotations}
    _, table = convert(coco, tmp_path, format=format)
    same_bits(table, expected_boxes(coco, format))
    image_ids, own_ids = table["image_id"].to_pylist(), table["id"].to_pylist()
    assert all(a < b for a, b in pairwise(zip(image_ids, own_ids, strict=True)))


def test_the_columns_and_their_types(tmp_path: Path) -> None:
    coco = {"images": [{"id": 3, "width": 5, "height": 4}], "annotations": [truth(3, id=8, area=2, iscrowd=1)]}
    _, table = convert(coco, tmp_path)
    assert {field.name: str(field.type) for field in table.schema} == {
        "image_id": "int64", "id": "int64", "category_id": "int32", "x": "double", "y": "double", "w": "double",
        "h": "double", "iscrowd": "int8", "area": "double", "width": "int32", "height": "int32",
    }  # fmt: skip
    _, table = convert([result("a", category_id=2**31)], tmp_path, format="xyxy", dtype="float32")
    assert {field.name: str(field.type) for field in table.schema} == {
        "image_id": "string", "category_id": "int64", **dict.fromkeys(CORNERS, "float"), "score": "double"
    }  # fmt: skip


def test_float32_corners_are_rounded_once(tmp_path: Path) -> None:
    x, w = 16777217.0, 0.7
    _, table = convert(
        [result(1, (x, 0.1, w, 0.2)), result(2, (1e300, 0, 1, 1))], tmp_path, format="xyxy", dtype="float32"
    )
    assert table["xmax"].to_numpy()[0] == np.float32(x + w)
    assert table["ymax"].to_numpy()[0] == np.float32(0.1 + 0.2)
    assert table["xmin"].to_numpy()[1] == np.inf


def test_results_keep_their_scores_in_float64(tmp_path: Path) -> None:
    _, table = convert([result(1, score=0.1)], tmp_path, dtype="float32")
    assert table["score"].to_pylist() == [0.1]


@pytest.mark.parametrize("coco", [[], {"annotations": []}, {"annotations": [], "images": [], "categories": []}])
def test_nothing_gives_an_empty_table_of_the_schema(coco: Any, tmp_path: Path) -> None:
    summary, table = convert(coco, tmp_path)
    assert summary["rows"] == summary["images"] == summary["categories"] == summary["images_without_boxes"] == 0
    _, one = convert([result(1)] if coco == [] else {"annotations": [truth(1)]}, tmp_path)
    assert table.num_rows == 0
    assert table.schema.equals(one.schema)


def test_images_without_boxes_are_not_lost(tmp_path: Path) -> None:
    coco = {"images": [{"id": "b", "file_name": "b.jpg", "width": 2, "height": 1}, {"id": "a"}], "annotations": []}
    summary, _ = convert(coco, tmp_path, write_images=tmp_path / "images.parquet")
    assert summary["images"] == summary["images_without_boxes"] == 2
    assert pq.read_table(tmp_path / "images.parquet").to_pylist() == [
        {"image_id": "a", "width": None, "height": None, "file_name": None, "boxes": 0},
        {"image_id": "b", "width": 2, "height": 1, "file_name": "b.jpg", "boxes": 0},
    ]


def test_the_footer_holds_the_categories(tmp_path: Path) -> None:
    coco = {
        "annotations": [truth(1)],
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "brosse à dents"}],
    }
    convert(coco, tmp_path, format="xyxy")
    record = read_record(tmp_path / "out.parquet")
    assert record["categories"] == {"1": "person", "90": "brosse à dents"}
    assert record["command"] == "convert"
    assert record["parameters"] == {"source": "coco.json", "kind": "truths", "format": "xyxy", "dtype": "float64"}


def test_of_a_repeated_key_the_last_counts(tmp_path: Path) -> None:
    text = '[{"image_id": 1, "image_id": 2, "category_id": 1, "bbox": [9, 9, 9, 9], "bbox": [1, 2, 3, 4], "score": 1}]'
    _, table = convert(text, tmp_path)
    same_bits(table, expected_boxes(json.loads(text), "xywh"))


@needs_example
@pytest.mark.parametrize("format", ["xywh", "xyxy"])
def test_cocos_own_example(format: str, tmp_path: Path) -> None:
    summary = convert_file(
        EXAMPLE, tmp_path / "truths.parquet", format=format, write_images=tmp_path / "images.parquet"
    )
    assert summary == {"kind": "truths", "rows": 839, "images": 100, "categories": 80, "images_without_boxes": 0}
    same_bits(pq.read_table(tmp_path / "truths.parquet"), expected_boxes(json.loads(EXAMPLE.read_text()), format))
    assert pq.read_table(tmp_path / "images.parquet")["boxes"].to_numpy().sum() == 839

    summary = convert_file(RESULTS, tmp_path / "detections.parquet", format=format)
    assert (summary["kind"], summary["rows"]) == ("results", 734)
    same_bits(pq.read_table(tmp_path / "detections.parquet"), expected_boxes(json.loads(RESULTS.read_text()), format))


BAD: dict[str, tuple[Any, str]] = {
    "empty": ("", r"expected JSON in .*coco.json, got an empty file: copy or export it again"),
    "truncated results": ('[{"image_id": 1, "bbox": [1, 2', "got a part of it, which ends in line 1: copy or export"),
    "truncated instances": ('{"images": [],\n "annotations": [{"image_id": 1}', "a part of it, which ends in line 2"),
    "a cut text": ('[{"image_id": "ab', "got a part of it, which ends in line 1"),
    "not JSON": ("image_id,x,y,w,h\n", "expected JSON in .*, got 'image_id,x,y,w,h' in line 1, column 1: export it"),
    "trailing": ("[] []", r"expected JSON in .*, got '\[\]' in line 1, column 4"),
    "NaN": (
        '[{"image_id": 4, "bbox": [1, 2, 3, 4]}, {"id": 8, "image_id": 7, "bbox": [1, 2, 3, NaN]}]',
        r"result 1 \(id 8, image_id 7\) of .*coco.json has bbox\[3\] NaN, which is no JSON number: give",
    ),
    "-Infinity": (
        '{"info": {}, "annotations": [{"id": "a", "attributes": {"deep": [{"x": -Infinity}]}, "area": 4}]}',
        r"annotation 0 \(id 'a'\) of .*coco.json has attributes.deep\[0\].x -Infinity",
    ),
    "Infinity": (
        '{"images": [{"id": 3, "width": Infinity}], "annotations": []}',
        r"image 0 \(id 3\) .* width Infinity",
    ),
    "NaN elsewhere": ('{"annotations": [], "info": {"scale": NaN}}', r"info 0 of .* has scale NaN"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "UTF-16": ("[]".encode("utf-16"), "expected UTF-8 in .*, got UTF-16: save it as UTF-8"),
    "latin-1": ('{\n"images": [],\n "é": 1, NaN}'.encode("latin-1"), "got byte 0xe9 in line 3: save it as UTF-8"),
    "a number": ("42", r"expected COCO JSON in .*, an object with the lists .*, got no object and no list: export it"),
    "no annotations": ({"images": [], "shapes": []}, r"got no annotations among its keys \(images, shapes\)"),
    "annotations no list": ({"annotations": {"a": 1}}, "got annotations that is no list"),
    "images no list": ({"annotations": [], "images": "a"}, "got images that is no list"),
    "list of numbers": ([1, 2], "result 0 of .* is '1', not an object: leave it out"),
    "no bbox": (
        {"annotations": [truth(1), {"image_id": 7, "category_id": 1, "id": 12, "segmentation": [[0, 0, 1, 0, 1, 1]]}]},
        r"annotation 1 \(id 12, image_id 7\) of .* has no bbox \(its keys: .*segmentation\): add a bbox",
    ),
    "no image_id": (
        {"annotations": [{"category_id": 1, "id": 12, "bbox": [1, 2, 3, 4]}]},
        r"annotation 0 \(id 12\) of .* has no image_id \(its keys: category_id, id, bbox\): add its image_id, or leave",
    ),
    "Label Studio": (
        [{"id": 1, "annotations": [], "data": {}}],
        r"has no image_id \(its keys: id, annotations, data\)",
    ),
    "no category_id": ([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}], "has no category_id"),
    "category a name": ([{**result(1), "category_id": "cat"}], "has category_id 'cat': give the number of a category"),
    "half a category": ([{**result(1), "category_id": 1.5}], "has category_id 1.5: give a whole number"),
    "category true": ([{**result(1), "category_id": True}], "has category_id True: give a whole number"),
    "three numbers": ([result(5, (1, 2, 3))], r"result 0 \(image_id 5\) of .* has bbox \[1, 2, 3\] of 3 numbers: give"),
    "five numbers": ([result(5, (1, 2, 3, 4, 5))], "of 5 numbers: give .*the angle of a rotated box, has no place"),
    "no numbers": ([result(5, ())], "has an empty bbox: add a bbox"),
    "bbox null": ([{**result(5), "bbox": None}], "has no bbox"),
    "bbox object": ([{**result(5), "bbox": {"x": 1}}], "has bbox {'x': 1}: give a list"),
    "bbox strings": ([result(5, (1, "2", 3, 4))], r"has bbox\[1\] '2': give a number"),
    "bbox null inside": ([result(5, (1, 2, None, 4))], r"has bbox\[2\] None: give a number"),
    "bbox true": ([result(5, (True, 2, 3, 4))], r"has bbox\[0\] True: give a number"),
    "bbox beyond": ('[{"image_id": 1, "category_id": 1, "bbox": [1e999, 2, 3, 4], "score": 1}]', "has .*bbox"),
    "masks": (
        [{"image_id": 1, "category_id": 1, "segmentation": {"counts": "x", "size": [1, 1]}, "score": 1}],
        r"result 0 \(image_id 1\) of .* has no bbox .*a mask alone is not a box",
    ),
    "no score": ([truth(1)], "has no score"),
    "score a text": ([{**result(1), "score": "0.5"}], "has score '0.5': give a number"),
    "mixed ids": (
        [result(1), result("1")],
        r"result 1 \(image_id '1'\) .* has image_id '1', while the ids before are num",
    ),
    "other ids": ({"annotations": [truth("1")], "images": [{"id": 1}]}, r"image 0 \(id 1\) .* has id 1, while .* text"),
    "mixed own ids": ({"annotations": [truth(1, id=1), truth(1, id="b")]}, "annotation 1 .* has id 'b', while"),
    "float id": ([result(1.5)], "has image_id 1.5: give a whole number"),
    "null id": ([result(None)], "has no image_id"),
    "huge id": ([result(2**63)], "has image_id 9223372036854775808, beyond int64"),
    "a float beyond": ([result(2.0**53 + 2)], "has image_id 9007199254740994.0: give a whole number"),
    "image without id": ({"annotations": [], "images": [{"width": 4}]}, "image 0 of .* has no id"),
    "broad image": (
        {"annotations": [], "images": [{"id": 1, "width": 2**31}]},
        r"image 0 \(id 1\) .* has width 2147483648",
    ),
    "negative": ({"annotations": [], "images": [{"id": 1, "width": -1}]}, "has width -1: give a number of pixels"),
    "half a pixel": ({"annotations": [], "images": [{"id": 1, "height": 0.5}]}, "has height 0.5: give a whole number"),
    "images and something else": (
        {"images": [], "results": []},
        r"got no annotations among its keys \(images, results\)",
    ),
    "two names": (
        {"annotations": [], "categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]},
        "expected one name of category 1 in .*, got 'cat' and 'dog'",
    ),
    "a lone surrogate": ('[{"image_id": "\\ud800"}]', "coco.json"),
    "a late one": ([*([result(1)] * (BATCH + 4)), result(1, ())], f"result {BATCH + 4} "),
}


@pytest.mark.parametrize(("coco", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_named_and_leave_nothing(coco: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_text("what was there")
    with pytest.raises(InputError, match=message) as caught:
        convert(coco, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "coco.json") in str(caught.value)
    assert (tmp_path / "out.parquet").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco.json", "out.parquet"]


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
    with pytest.warns(InputWarning, match=r"coco.json lists 1 images again, such as 4, each time alike: taken once"):
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
    with pytest.warns(InputWarning, match=r"categories 1 and 2 are both called 'cat', and voc keeps names alone"):
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


def test_packed_json_is_read_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "coco.json.gz"
    packed = gzip.compress(json.dumps([result(1)]).encode())
    source.write_bytes(packed)
    assert convert_file(source, tmp_path / "out.parquet")["rows"] == inspect(source).statistics.boxes == 1
    for data in (packed[:-9], packed[:20] + b"\xff" * 9 + packed[29:], packed[:-1] + b"\1", packed[:2]):
        source.write_bytes(data)
        with pytest.raises(InputError, match=r"coco.json.gz can't be unpacked: copy or pack it again"):
            convert_file(source, tmp_path / "out.parquet")


@pytest.mark.parametrize(("place", "name"), [("image 1", "images"), ("category 1", "categories"), ("info 0", "info")])
def test_half_a_surrogate_pair_is_named(place: str, name: str, tmp_path: Path) -> None:
    coco: dict[str, Any] = {
        "info": {},
        "images": [{"id": 1}],
        "annotations": [],
        "categories": [{"id": 1, "name": "a"}],
    }
    bad = {"id": 2, "name": "\ud800", "file_name": "\ud800"}
    coco[name] = bad if name == "info" else [*coco[name], bad]
    said = f"{place} of .* has half a surrogate pair, which is not Unicode: fix the text"
    with pytest.raises(InputError, match=said):
        convert(coco, tmp_path)


def test_what_overflows_is_refused_without_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    image = {"id": 1, "width": 10, "height": 10}
    coco = {"images": [image], "annotations": [truth(1, (1, 1, 1e308, 1e308))], "categories": [{"id": 1, "name": "a"}]}
    source.write_text(json.dumps(coco))
    with pytest.raises(InputError, match=r"got area inf in a box of image 1"):
        convert_file(source, tmp_path / "again.json")
    coco["annotations"] = [truth(1, (1e308,) * 4)]
    source.write_text(json.dumps(coco))
    with pytest.raises(InputError, match=r"got xmax inf in a box of image 1"):
        convert_file(source, tmp_path / "boxes.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    boxes = json.dumps([result("é"), result("è")], ensure_ascii=False)
    source.write_bytes(boxes.encode("utf-8").replace("è".encode(), b"\xff\xfe"))
    with pytest.raises(InputError, match=r"result 1 of .* is no UTF-8: save the file as UTF-8"):
        convert_file(source, tmp_path / "out.parquet")


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_file_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r" can't be read \(.*\): name an existing COCO JSON file"):
        convert_file(tmp_path / name, tmp_path / "out.parquet", source_format="coco")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "yxyx"}, "expected format to be 'xyxy' or 'xywh' or 'cxcywh', got 'yxyx'"),
        ({"dtype": "float16"}, "expected dtype to be 'float32' or 'float64', got 'float16'"),
        ({"kind": "masks"}, "expected kind to be 'truths' or 'results', got 'masks'"),
        ({"kind": "truths"}, "expected truths in .*coco.json, got results"),
        ({"write_images": "images.parquet"}, "expected images for images.parquet, got results, which list none"),
        ({"write_images": "out.parquet"}, "is the output for both"),
        ({"write_images": "coco.json"}, "coco.json"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("coco.json").write_text(json.dumps([result(1)]))
    with pytest.raises(ValueError, match=message):
        convert_file("coco.json", "out.parquet", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


def test_kind_insists_and_is_told(tmp_path: Path) -> None:
    assert convert([result(1)], tmp_path, kind="results")[0]["kind"] == "results"
    assert convert({"annotations": [truth(1)]}, tmp_path, kind="truths")[0]["kind"] == "truths"


def test_the_output_is_not_the_input(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    source.write_text(json.dumps([result(1)]))
    with pytest.raises(InputError, match=r"coco\.json"):
        convert_file(source, source)
    assert json.loads(source.read_text()) == [result(1)]


def test_neither_table_is_left_where_one_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        convert({"annotations": [truth(1)]}, tmp_path, write_images=tmp_path / "nowhere" / "images.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_peak_memory_is_the_file_and_little_more(python: Callable[..., Any], tmp_path: Path) -> None:
    n, each = 300_000, 7
    outline = ",".join(f"{value:.2f}" for value in np.linspace(0, 600, 50))
    images = ",".join(f'{{"id":{i},"width":640,"height":480}}' for i in range(n // each + 1))
    with (tmp_path / "coco.json").open("w") as file:
        file.write(f'{{"images":[{images}],"annotations":[')
        for i in range(n):
            file.write(
                f'{"," if i else ""}{{"segmentation":[[{outline}]],"area":{i}.25,"iscrowd":0,"image_id":{i // each},'
                f'"bbox":[{i % 640}.5,{i % 480}.25,10.75,{i % 31}],"category_id":{i % 80},"id":{i}}}'
            )
        file.write("]}")
    code = f"""
import resource, fastbox.datasets.convert as convert, pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert.convert({str(tmp_path / "coco.json")!r}, {str(tmp_path / "out.parquet")!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    size = (tmp_path / "coco.json").stat().st_size
    assert size > 100e6
    kib = 1 if sys.platform == "darwin" else 1024
    assert int(python(code).stdout) * kib < size + 150e6
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["id"].to_pylist() == list(range(n))
