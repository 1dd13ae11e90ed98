"""COCO JSON to Parquet: what json.load sees is what the table holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.box_columns import CORNERS
from support.coco import boxes, convert, numbers, result, same_bits, truth
from support.paths import SHARED

from fastbox.datasets import by_image
from fastbox.datasets.convert import convert as convert_file
from fastbox.datasets.formats.coco.records import BATCH
from fastbox.tables.record import read_record

EXAMPLE = SHARED / "instances_val2014_100.json"


RESULTS = SHARED / "instances_val2014_fakebbox100_results.json"


needs_example = pytest.mark.skipif(not EXAMPLE.exists() or not RESULTS.exists(), reason="COCO's example is not here")


Rows = list[dict[str, Any]]


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


@pytest.mark.slow
@given(coco=instances(), format=st.sampled_from(["xywh", "xyxy"]), ascii=st.booleans())
def test_truths_are_what_json_says(coco: dict[str, Any], format: str, ascii: bool, folder: Path) -> None:
    summary, table = convert(
        json.dumps(coco, ensure_ascii=ascii), folder, out_box_format=format, write_images=folder / "images.parquet"
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
        "images_left_out": 0,
    }


@pytest.mark.slow
@given(data=st.data(), format=st.sampled_from(["xywh", "xyxy"]))
def test_results_are_what_json_says(data: st.DataObject, format: str, folder: Path) -> None:
    known = data.draw(ids)
    detection = {"image_id": st.sampled_from(known), "category_id": st.integers(0, 90), "bbox": boxes, "score": numbers}
    coco = data.draw(st.lists(st.fixed_dictionaries(detection), max_size=12))
    summary, table = convert(coco, folder, out_box_format=format)
    same_bits(table, expected_boxes(coco, format))
    images = len({box["image_id"] for box in coco})
    categories = len({box["category_id"] for box in coco})
    assert summary == {
        "kind": "results", "rows": len(coco), "images": images, "categories": categories, "images_without_boxes": 0,
        "images_left_out": 0,
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
    _, table = convert(coco, tmp_path, out_box_format=format)
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
    _, table = convert([result("a", category_id=2**31)], tmp_path, out_box_format="xyxy", dtype="float32")
    assert {field.name: str(field.type) for field in table.schema} == {
        "image_id": "string", "category_id": "int64", **dict.fromkeys(CORNERS, "float"), "score": "double"
    }  # fmt: skip


def test_float32_corners_are_rounded_once(tmp_path: Path) -> None:
    x, w = 16777217.0, 0.7
    _, table = convert(
        [result(1, (x, 0.1, w, 0.2)), result(2, (1e300, 0, 1, 1))], tmp_path, out_box_format="xyxy", dtype="float32"
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


def test_images_without_boxes_that_are_left_out_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed = [{"id": number, "file_name": f"{number}.jpg", "width": 4, "height": 4} for number in range(5)]
    coco = {"images": listed, "annotations": [truth(3)], "categories": [{"id": 1, "name": "cat"}]}
    path, images, again = (tmp_path / name for name in ("out.parquet", "images.parquet", "again.json"))
    summary, _ = convert(coco, tmp_path)
    assert (summary["images"], summary["images_without_boxes"], summary["images_left_out"]) == (5, 4, 4)
    assert "parquet has no place for 4 images without boxes" in caplog.text and "write_images=OUT" in caplog.text

    caplog.clear()
    summary = convert_file(path, again)
    assert (summary["images"], summary["images_left_out"]) == (1, 4)
    assert "the source does not list 4 images without boxes: name them with sizes=TABLE" in caplog.text
    convert_file(path, tmp_path / "float32.parquet", dtype="float32")  # the number goes with the rows
    assert convert_file(tmp_path / "float32.parquet", tmp_path / "labels", out_format="yolo")["images_left_out"] == 4

    caplog.clear()
    assert convert(coco, tmp_path, write_images=images)[0]["images_left_out"] == 0
    summary = convert_file(path, again, sizes=images)
    assert (summary["images"], summary["images_without_boxes"], summary["images_left_out"]) == (5, 4, 0)
    assert json.loads(again.read_text())["images"] == listed
    assert not caplog.text
    assert convert_file(again, tmp_path / "boxes.csv", out_format="open-images")["images_left_out"] == 4
    assert "open-images has no place for 4 images without boxes: write COCO to keep them" in caplog.text


def test_the_footer_holds_the_categories(tmp_path: Path) -> None:
    coco = {
        "annotations": [truth(1)],
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "brosse à dents"}],
    }
    convert(coco, tmp_path, out_box_format="xyxy")
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
        EXAMPLE, tmp_path / "truths.parquet", out_box_format=format, write_images=tmp_path / "images.parquet"
    )
    counts = {"rows": 839, "images": 100, "categories": 80, "images_without_boxes": 0, "images_left_out": 0}
    assert summary == {"kind": "truths", **counts}
    same_bits(pq.read_table(tmp_path / "truths.parquet"), expected_boxes(json.loads(EXAMPLE.read_text()), format))
    assert pq.read_table(tmp_path / "images.parquet")["boxes"].to_numpy().sum() == 839

    summary = convert_file(RESULTS, tmp_path / "detections.parquet", out_box_format=format)
    assert (summary["kind"], summary["rows"]) == ("results", 734)
    same_bits(pq.read_table(tmp_path / "detections.parquet"), expected_boxes(json.loads(RESULTS.read_text()), format))


@pytest.mark.slow
@pytest.mark.jit
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


@pytest.mark.parametrize("rows", [[result(k % 5, (k / 7, 2, 3, 4)) for k in range(40)], []])
def test_boxes_held_in_memory_and_in_a_file_make_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    source = tmp_path / "results.json"
    source.write_text(json.dumps(rows))
    made = []
    for most in (1 << 30, 0):
        monkeypatch.setattr(by_image, "MOST_HELD", most)
        convert_file(source, tmp_path / "boxes.parquet")
        made.append((tmp_path / "boxes.parquet").read_bytes())
    assert made[0] == made[1]
