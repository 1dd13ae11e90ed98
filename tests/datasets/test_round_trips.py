"""Whatever images and categories are called, every format gives the same boxes back, or says what it can't hold."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.convert import convert
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError, InputWarning

pytest.importorskip("defusedxml")
pytest.importorskip("yaml")

OUTPUTS = {
    "coco": "out.json", "yolo": "out", "voc": "out", "kitti": "out", "crowdhuman": "out.odgt", "open-images": "out.csv",
    "huggingface": "out.parquet",
}  # fmt: skip
# Which hold names and no numbers, and which no sizes.
NAMED, UNSIZED = ("voc", "kitti", "crowdhuman", "open-images"), ("kitti", "open-images")

part = st.sampled_from(
    [
        "7",
        "007",
        "scene.0001",
        "a b",
        "é",
        "\U0001f600",
        "labels",
        "images",
        "#1",
        "50%",
        "it's",
        "[x]",
        "a,b",
        "README",
        "_x",
    ]
)
images = st.lists(st.lists(part, min_size=1, max_size=2).map("/".join), min_size=1, max_size=3, unique=True)
odd = st.sampled_from(
    [
        "no",
        "null",
        "1",
        "1.0",
        "a: b",
        "- a",
        "#",
        "traffic light",
        "é",
        "'",
        '"',
        "a,b",
        "<b>",
        "&amp;",
        "{x}",
        "DontCare",
    ]
)
names = st.dictionaries(st.sampled_from([0, 1, 2, 7, 90, 2**31 - 1]), odd | st.text(max_size=4), min_size=1, max_size=4)
quarter = st.integers(0, 256).map(lambda n: n / 4)


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, Any]:
    ids, categories = draw(images), draw(names)
    boxes = [
        {
            "image_id": image,
            "category_id": draw(st.sampled_from(sorted(categories))),
            "bbox": [draw(quarter) for _ in range(4)],
        }
        for image in draw(st.lists(st.sampled_from(ids), max_size=5))
    ]
    return {
        "images": [{"id": image, "width": 64, "height": 128} for image in ids],
        "annotations": boxes,
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
    }


def boxes_of(source: Path, folder: Path, **options: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The images and the boxes of a source: image, name of the category, corners."""
    convert(source, folder / "read.parquet", out_box_format="xyxy", write_images=folder / "images.parquet", **options)
    rows = pq.read_table(folder / "read.parquet").to_pylist()
    called = json.loads(pq.read_metadata(folder / "read.parquet").metadata[b"fastbox"]).get("categories", {})
    listed = pq.read_table(folder / "images.parquet")["image_id"].to_pylist()
    corners = ("xmin", "ymin", "xmax", "ymax")
    return listed, sorted(
        (
            row["image_id"],
            called.get(str(row["category_id"]), str(row["category_id"])),
            *(row[side] for side in corners),
        )
        for row in rows
    )


def holds(format: str, categories: list[str], ids: list[str]) -> bool:
    """Whether a format can hold such names."""
    if format == "kitti":
        return all(name.split() == [name] for name in categories)
    if format == "voc":
        return not any(
            re.search("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|^\\s|\\s$|^$", name) for name in categories
        )
    return True


@pytest.mark.slow
@pytest.mark.parametrize("format", OUTPUTS)
@given(coco=datasets())
def test_boxes_come_back_under_any_name(format: str, coco: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.json").write_text(json.dumps(coco))
        out = folder / "target" / OUTPUTS[format]
        out.parent.mkdir()
        used = sorted({box["category_id"] for box in coco["annotations"]})
        named = {one["id"]: one["name"] for one in coco["categories"]}
        shared = format in NAMED and len(set(named.values())) < len(named)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", InputWarning)
                convert(folder / "in.json", out, out_format=format)
        except InputError as error:
            assert not holds(format, [named[number] for number in used], []), error
            return
        assert bool(said) == (shared)
        options: dict[str, Any] = {}
        if format in UNSIZED:
            (folder / "sizes.json").write_text(json.dumps(coco))
            convert(folder / "sizes.json", folder / "p.parquet", write_images=folder / "sizes.parquet")
            options["sizes"] = folder / "sizes.parquet"
        if used:
            assert format_of(out) == format
        listed, boxes = boxes_of(out, folder, source_format=format, **options)
        expected_images, expected = boxes_of(folder / "in.json", folder)
        assert boxes == expected
        if format != "open-images":
            assert listed == expected_images
