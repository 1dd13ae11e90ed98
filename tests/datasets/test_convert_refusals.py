"""COCO JSON that cannot be read: files, options and outputs are named, and nothing is left."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.coco import convert, result, truth

from fastbox.datasets.convert import convert as convert_file
from fastbox.datasets.formats.coco.records import BATCH
from fastbox.errors import InputError
from fastbox.jobs import inspect

BAD: dict[str, tuple[Any, str]] = {
    "empty": ("", r"expected JSON in .*coco.json, got an empty file: copy or export it again"),
    "truncated results": ('[{"image_id": 1, "bbox": [1, 2', "got a part of it, which ends in line 1: copy or export"),
    "truncated instances": ('{"images": [],\n "annotations": [{"image_id": 1}', "a part of it, which ends in line 2"),
    "a cut text": ('[{"image_id": "ab', "got a part of it, which ends in line 1"),
    "not JSON": ("image_id,x,y,w,h\n", "expected JSON in .*, got 'image_id,x,y,w,h' in line 1, column 1: export it"),
    "trailing": ("[] []", r"expected JSON in .*, got '\[\]' in line 1, column 4"),
    "NaN": (
        '[{"image_id": 4, "bbox": [1, 2, 3, 4]}, {"id": 8, "image_id": 7, "bbox": [1, 2, 3, NaN]}]',
        r"result 1 \(id 8, image_id 7\) of .*coco.json has bbox\[3\] NaN, which is not a JSON number: give",
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
    "annotations no list": ({"annotations": {"a": 1}}, "got annotations that is not a list"),
    "images no list": ({"annotations": [], "images": "a"}, "got images that is not a list"),
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
    "a flag in words": ({"annotations": [{**truth(1), "iscrowd": "yes"}]}, "has iscrowd 'yes': give 0 or 1"),
    "a side too long": (
        {"images": [{"id": 1, "width": 2**32}], "annotations": [truth(1)]},
        "has width 4294967296: give a number of pixels from 0 to 2,147,483,647",
    ),
    "NaN beside many digits": (
        f'[{{"image_id": 1, "bbox": [1, 2, 3, NaN], "n": {"1" * 5000}}}]',
        r"result 0 \(image_id 1\) .* has bbox\[3\] NaN",
    ),
    "cut beside many digits": (f'[{{"n": {"1" * 5000}}},', "got a part of it, which ends in line 1"),
    "three numbers beside many digits": (
        f'[{{"image_id": 5, "category_id": 1, "score": 1, "bbox": [1, 2, 3], "n": {"1" * 5000}}}]',
        r"result 0 \(image_id 5\) of .* has bbox \[1, 2, 3\] of 3 numbers",
    ),
    "a first score beyond float64": (
        '{"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1e400}]}',
        r"annotation 0 \(id 1, image_id 1\) of .* has score beyond what a table can hold",
    ),
    "half a category": ([{**result(1), "category_id": 1.5}], "has category_id 1.5: give a whole number"),
    "category true": ([{**result(1), "category_id": True}], "has category_id True: give a whole number"),
    "three numbers": ([result(5, (1, 2, 3))], r"result 0 \(image_id 5\) of .* has bbox \[1, 2, 3\] of 3 numbers: give"),
    "five numbers": ([result(5), result(5, (1, 2, 3, 4, 5))], "of 5 numbers: give .*; boxes with an angle must be all"),
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
    with pytest.raises(InputError, match=r"result 1 of .* is not UTF-8: save the file as UTF-8"):
        convert_file(source, tmp_path / "out.parquet")


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_file_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r" can't be read \(.*\): name an existing COCO JSON file"):
        convert_file(tmp_path / name, tmp_path / "out.parquet", source_format="coco")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_box_format": "yxyx"}, "expected an out_box_format of xyxy, xywh, cxcywh, got 'yxyx'"),
        ({"dtype": "float16"}, "expected a dtype of float32, float64, got 'float16'"),
        ({"kind": "masks"}, "expected a kind of truths, results, got 'masks'"),
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


def test_an_unknown_kind_is_not_written(tmp_path: Path) -> None:
    rows = {"image_id": [7], "category_id": [1], "x": [1.0], "y": [2.0], "w": [3.0], "h": [4.0]}
    with pytest.raises(ValueError, match="expected a kind of truths, results, got 'masks'"):
        convert_file(rows, tmp_path / "coco.json", kind="masks")
    assert not (tmp_path / "coco.json").exists()


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
