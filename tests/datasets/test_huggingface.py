"""Hugging Face's Parquet: objects come back field by field, names as a ClassLabel, and null objects are named."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.convert import convert
from fastbox.datasets.formats.huggingface import read, write
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError

Rows = list[dict[str, Any]]


BOXES = {"lists": pa.list_(pa.float64()), "fixed": pa.list_(pa.float64(), 4), "large": pa.large_list(pa.float64())}


FIELDS = {"id": pa.int64(), "area": pa.float64(), "category": pa.int64(), "iscrowd": pa.int8(), "note": pa.string()}


def features(names: list[str], style: str) -> dict[str, Any]:
    """What the footer says of ``objects``, as some versions of Hugging Face's datasets write it."""
    label = {"names": names, "_type": "ClassLabel"}
    if style == "list":
        return {"objects": {"feature": {"category": label}, "_type": "List"}}
    if style == "old":
        return {"objects": [{"category": label}]}
    return {"objects": {"category": {"feature": label, "_type": "Sequence"}}}


def table(rows: Rows, *, box: str = "lists", structs: bool = False, names: dict[str, Any] | None = None) -> pa.Table:
    """A table of rows whose ``objects`` are lists of dicts."""
    kinds = {**FIELDS, "bbox": BOXES[box]}
    if structs:
        objects: Any = pa.list_(pa.struct(list(kinds.items())))
    else:
        objects = pa.struct([(name, pa.list_(kind)) for name, kind in kinds.items()])
        rows = [{**row, "objects": {name: [one[name] for one in row["objects"]] for name in kinds}} for row in rows]
    schema = pa.schema(
        [("image_id", pa.int64()), ("width", pa.int64()), ("height", pa.int64()), ("objects", objects)],
        None if names is None else {"huggingface": json.dumps({"info": {"features": names}})},
    )
    return pa.Table.from_pylist(rows, schema=schema)


def objects_of(path: Path) -> dict[int, Rows]:
    """The objects of every image, as dicts."""
    return {
        row["image_id"]: [
            dict(zip(row["objects"], values, strict=True)) for values in zip(*row["objects"].values(), strict=True)
        ]
        for row in pq.read_table(path).to_pylist()
    }


def an_object(**more: Any) -> dict[str, Any]:
    plain = {"id": 1, "area": 50.0, "category": 0, "iscrowd": 0, "note": None, "bbox": [1.0, 2.0, 10.0, 5.0]}
    return plain | more


number = st.floats(allow_nan=False, allow_infinity=False)


some = st.fixed_dictionaries(
    {
        "id": st.one_of(st.none(), st.integers(1, 2**62)),
        "area": st.one_of(st.none(), number),
        "category": st.integers(0, 2),
        "iscrowd": st.sampled_from([0, 1, None]),
        "note": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3)),
        "bbox": st.lists(number, min_size=4, max_size=4),
    }
)


size = st.integers(1, 9999)


image_rows = st.lists(
    st.fixed_dictionaries(
        {"image_id": st.integers(0, 40), "width": size, "height": size, "objects": st.lists(some, max_size=3)}
    ),
    max_size=6,
    unique_by=lambda row: row["image_id"],
)


@pytest.mark.slow
@given(rows=image_rows, box=st.sampled_from(list(BOXES)), structs=st.booleans(), through=st.booleans())
def test_every_field_comes_back(rows: Rows, box: str, structs: bool, through: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = features(["cat", "dog", "été"], "list" if structs else "struct")
        pq.write_table(table(rows, box=box, structs=structs, names=labels), folder / "in.parquet", row_group_size=2)
        source = folder / "in.parquet"
        if through:
            convert(source, folder / "boxes.parquet", write_images=folder / "images.parquet")
            source = folder / "boxes.parquet"
            rows = [row for row in rows if row["objects"]]
        summary = convert(source, folder / "out.parquet", out_format="huggingface")
        assert summary["rows"] == sum(len(row["objects"]) for row in rows)
        assert summary["images_without_boxes"] == sum(not row["objects"] for row in rows)
        assert objects_of(folder / "out.parquet") == {row["image_id"]: row["objects"] for row in rows}
        out = pq.read_table(folder / "out.parquet")
        assert out["image_id"].to_pylist() == sorted(row["image_id"] for row in rows)
        assert {row["image_id"]: row["width"] for row in out.to_pylist()} == {
            row["image_id"]: row["width"] for row in rows
        }
        stored = json.loads(pq.read_schema(folder / "out.parquet").metadata[b"huggingface"])
        label = stored["info"]["features"]["objects"]["category"]["feature"]
        assert label == {"names": ["cat", "dog", "été"], "_type": "ClassLabel"}


@pytest.mark.parametrize("style", ["struct", "list", "old"])
def test_names_are_those_of_the_class_label(style: str, tmp_path: Path) -> None:
    rows = [{"image_id": 1, "width": 9, "height": 9, "objects": [an_object(category=1)]}]
    names = features(["cat", "dog"], style)
    pq.write_table(table(rows, names=names, structs=style != "struct"), tmp_path / "in.parquet")
    assert format_of(tmp_path / "in.parquet") == "huggingface"
    assert read(tmp_path / "in.parquet").categories == {0: "cat", 1: "dog"}
    (tmp_path / "names.txt").write_text("Katze\nHund\n")
    assert read(tmp_path / "in.parquet", names=tmp_path / "names.txt").categories == {0: "Katze", 1: "Hund"}


@pytest.mark.parametrize(
    "metadata",
    [b"{", b"\xff", b"[]", b'{"info": null}', b'{"info": {"features": {"objects": []}}}', b"[" * 100_000,
     b'{"info": {"features": {"objects": {"category": {"names": {"a": 1}}}}}}',
     b'{"info": {"features": {"objects": "category"}}}'],
)  # fmt: skip
def test_a_footer_that_tells_no_names_does_no_harm(metadata: bytes, tmp_path: Path) -> None:
    rows = [{"image_id": 1, "width": 9, "height": 9, "objects": [an_object(category=1)]}]
    pq.write_table(table(rows).replace_schema_metadata({b"huggingface": metadata}), tmp_path / "in.parquet")
    dataset = read(tmp_path / "in.parquet")
    assert [row["category_id"] for batch in dataset.batches for row in batch.to_pylist()] == [1]
    assert dataset.categories == {}


def test_names_within_the_objects_are_numbered(tmp_path: Path) -> None:
    objects = [{"box": [[1, 2, 3, 4], [1, 2, 3, 4]], "label": ["dog", "cat"], "score": [0.5, 0.25]}]
    pq.write_table(pa.table({"name": ["a.jpg"], "objects": objects}), tmp_path / "in.parquet")
    dataset = read(tmp_path / "in.parquet", image_column="name", format="xyxy")
    found = [row for batch in dataset.batches for row in batch.to_pylist()]
    assert dataset.kind == "results"
    assert [(row["xmax"], row["category_id"], row["score"]) for row in found] == [(3, 0, 0.5), (3, 1, 0.25)]
    assert dataset.categories == {0: "dog", 1: "cat"}


def test_boxes_that_are_structs_tell_their_format(tmp_path: Path) -> None:
    box = {"xmin": 1.0, "ymin": 2.0, "xmax": 3.0, "ymax": 5.0}
    objects = [[{"bbox": box, "category": 3}], []]
    pq.write_table(pa.table({"image_id": ["b", "a"], "objects": objects}), tmp_path / "in.parquet")
    convert(tmp_path / "in.parquet", tmp_path / "out.parquet", out_format="huggingface")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [
        {"image_id": "a", "width": None, "height": None, "objects": {"bbox": [], "category": []}},
        {"image_id": "b", "width": None, "height": None, "objects": {"bbox": [[1, 2, 2, 3]], "category": [3]}},
    ]


@pytest.mark.parametrize("format", ["xyxy", "cxcywh", "xywh"])
def test_the_footer_tells_the_format(format: str, tmp_path: Path) -> None:
    box = dict(zip(("xmin", "ymin", "xmax", "ymax"), ([0.25], [0.5], [10.75], [20.5]), strict=True))
    pq.write_table(pa.table({"image_id": [1], "category_id": ["cat"], **box}), tmp_path / "in.parquet")
    convert(tmp_path / "in.parquet", tmp_path / "hf.parquet", out_format="huggingface", out_box_format=format)
    convert(tmp_path / "hf.parquet", tmp_path / "out.parquet", out_box_format="xyxy")
    assert pq.read_table(tmp_path / "out.parquet").select(list(box)).to_pydict() == box


def test_sizes_come_from_a_table(tmp_path: Path) -> None:
    objects = [{"bbox": [[1, 2, 3, 4]], "category": [0]}]
    pq.write_table(pa.table({"image_id": [7], "objects": objects}), tmp_path / "in.parquet")
    (tmp_path / "sizes.csv").write_text("image_id,width,height\n7,640,480\n5,64,48\n")
    convert(tmp_path / "in.parquet", tmp_path / "out.parquet", sizes=tmp_path / "sizes.csv", out_format="huggingface")
    found = pq.read_table(tmp_path / "out.parquet").select(["image_id", "width", "height"]).to_pylist()
    assert [list(row.values()) for row in found] == [[5, 64, 48], [7, 640, 480]]


@pytest.mark.parametrize(
    ("categories", "labels"),
    [
        ({1: "cat", 3: "dog"}, ["0", "cat", "2", "dog"]),
        ({1: "cat", 70_000: "dog"}, None),
        ({-1: "none", 1: "cat"}, None),
        ({1: "2", 3: "dog"}, None),
    ],
)
def test_numbers_with_gaps_keep_their_names(
    categories: dict[int, str], labels: list[str] | None, tmp_path: Path
) -> None:
    coco = {
        "images": [],
        "annotations": [{"image_id": 1, "category_id": number, "bbox": [0, 0, 1, 1]} for number in categories],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
    }
    (tmp_path / "in.json").write_text(json.dumps(coco))
    convert(tmp_path / "in.json", tmp_path / "out.parquet", out_format="huggingface")
    stored = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"huggingface"])
    assert stored["info"]["features"]["objects"]["category"]["feature"].get("names") == labels
    assert read(tmp_path / "out.parquet").categories == categories


def test_files_that_name_one_category_twice_are_refused(tmp_path: Path) -> None:
    for place, names in enumerate((["cat", "dog"], ["dog", "cat"], ["cat", "dog"])):
        boxes = {"image_id": [place] * 2, "category_id": names, "bbox": [[0.0, 0, 1, 1]] * 2}
        pq.write_table(pa.table(boxes), tmp_path / "named.parquet")
        for own in ("parquet", "huggingface"):
            (tmp_path / own).mkdir(exist_ok=True)
            convert(tmp_path / "named.parquet", tmp_path / own / f"{place}.parquet", out_format=own)
    for own in ("parquet", "huggingface"):
        said = r"category 0 is 'cat' in .*0.parquet and 'dog' in .*1.parquet: convert them"
        with pytest.raises(InputError, match=said):
            convert(tmp_path / own, tmp_path / "out.json")
        (tmp_path / own / "1.parquet").unlink()
        assert convert(tmp_path / own, tmp_path / "out.json")["rows"] == 4


@pytest.mark.parametrize("rows", [[], [{"image_id": 4, "width": 1, "height": 2, "objects": []}]])
def test_nothing_and_only_empty_images(rows: Rows, tmp_path: Path) -> None:
    pq.write_table(table(rows), tmp_path / "in.parquet")
    summary = convert(tmp_path / "in.parquet", tmp_path / "out.parquet", out_format="huggingface")
    assert summary["rows"] == 0
    assert summary["images"] == summary["images_without_boxes"] == len(rows)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == len(rows)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "null struct": (
        {"objects": pa.array([{"bbox": [[1.0, 2, 3, 4]], "category": [0]}, None])},
        r"expected objects in column 'objects' of .* at row 1, got null",
    ),
    "null list": (
        {"objects": pa.array([[{"bbox": [1.0, 2, 3, 4], "category": 0}], None])},
        r"expected a list \(an empty one for an image without boxes\) in column 'objects' of .* at row 1, got null",
    ),
    "null in a list": (
        {"objects": pa.array([[], [{"bbox": [1.0, 2, 3, 4], "category": 0}, None]])},
        "expected an object in column 'objects' of .* at row 1, got null",
    ),
    "null bbox": (
        {"objects": pa.array([[], [{"bbox": [1.0, 2, 3, 4], "category": 0}, {"bbox": None, "category": 0}]])},
        "expected a box in column 'bbox' of .* at row 1, got null",
    ),
    "null boxes": (
        {"objects": pa.array([{"bbox": [[1.0, 2, 3, 4]], "category": [0]}, {"bbox": None, "category": [1]}])},
        "in column 'bbox' of .* at row 1, got null",
    ),
    "null category": (
        {"objects": pa.array([[{"bbox": [1.0, 2, 3, 4], "category": 0}, {"bbox": [1.0] * 4, "category": None}], []])},
        "expected category of every box, got null in image 1 of .*in.parquet: fill it, or drop the box",
    ),
    "three numbers": (
        {"objects": pa.array([[], [{"bbox": [1.0, 2, 3], "category": 0}]])},
        "expected a list of 4 coordinates in column 'bbox' of .* at row 1, got 3",
    ),
    "more categories": (
        {"objects": pa.array([{"bbox": [[1.0, 2, 3, 4]], "category": [0, 1]}, {"bbox": [], "category": []}])},
        "expected as many elements as the row has boxes, 1, in column 'category' of .* at row 0, got 2",
    ),
    "numbers": (
        {"objects": [1, 2]},
        "expected a struct of lists, or a list of structs, in column 'objects' of .* int64",
    ),
    "no bbox": ({"objects": [{"category": [0]}] * 2}, "expected bbox, box or boxes in column 'objects' of .*, got cat"),
    "no category": (
        {"objects": [{"bbox": [[1.0] * 4]}] * 2},
        "expected category, .* or class_id in .*, got bbox: name",
    ),
    "texts": ({"objects": [{"bbox": ["a"], "category": [0]}] * 2}, "expected column 'bbox' of .* got list<.*string>"),
    "no image": (
        {"image_id": None, "objects": [{"bbox": [[1.0] * 4]}] * 2},
        "expected a column 'image_id' in .*, got 'objects'",
    ),
    "null image": (
        {"image_id": [1, None], "objects": [{"bbox": [[1.0] * 4], "category": [0]}] * 2},
        "image",
    ),
}


@pytest.mark.parametrize(("columns", "message"), BAD.values(), ids=BAD.keys())
def test_bad_tables_are_named_and_leave_nothing(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    found = {name: column for name, column in ({"image_id": [1, 2]} | columns).items() if column is not None}
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table(found), source)
    for out in ("out.parquet", "out.json"):
        with pytest.raises(InputError, match=message) as caught:
            convert(source, tmp_path / out, source_format="huggingface")
        assert "\n" not in str(caught.value)
        assert os.listdir(tmp_path) == ["in.parquet"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    rows = [{"image_id": 1, "width": 9, "height": 9, "objects": [an_object()]}]
    pq.write_table(table(rows), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="expected an out_box_format of xyxy, xywh, cxcywh, got 'yxyx'"):
        write(read(tmp_path / "in.parquet"), tmp_path / "out.parquet", out_box_format="yxyx")
    with pytest.raises(InputError, match=r"expected a folder to write .*nowhere.* in, got: No such file"):
        write(read(tmp_path / "in.parquet"), tmp_path / "nowhere" / "out.parquet")
    assert os.listdir(tmp_path) == ["in.parquet"]
