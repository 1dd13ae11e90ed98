"""CrowdHuman's odgt: every field of a line comes back, line by line, and a bad line is named."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats.crowdhuman import BOXES, EXTRA, HEAD, read, write
from fastbox.errors import InputError

PERSON = {
    "tag": "person", "hbox": [236, 723, 113, 139], "head_attr": {"ignore": 0, "occ": 0, "unsure": 1},
    "fbox": [152, 710, 284, 938], "vbox": [152, 710, 284, 647.5], "extra": {"box_id": 0, "occ": 1},
}  # fmt: skip
MASK = {
    "tag": "mask", "hbox": [220, 352, 27, 20], "head_attr": {}, "fbox": [220, 352, 27, 20], "vbox": [220, 352, 27, 20],
    "extra": {"ignore": 1},
}  # fmt: skip

Records = list[dict[str, Any]]


def odgt(folder: Path, *records: Any) -> Path:
    path = folder / "annotation.odgt"
    path.write_text("".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records))
    return path


def rows_of(dataset: Dataset) -> Records:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


def expected(records: Records, box: str) -> Records:
    """The rows of ground truth: the naive way."""
    rows = []
    for record in records:
        for truth in record["gtboxes"]:
            row = {"image_id": record["ID"], "category_id": ["person", "mask"].index(truth["tag"])}
            row |= dict(zip("xywh", map(float, truth[box]), strict=True))
            for other in BOXES:
                if other != box:
                    row |= {
                        f"{other}_{side}": value
                        for side, value in zip("xywh", truth.get(other, [None] * 4), strict=True)
                    }
            row |= {name: truth.get("extra", {}).get(key) for name, key in EXTRA.items()}
            row |= {name: truth.get("head_attr", {}).get(key) for name, key in HEAD.items()}
            rows.append(row | {"ignore": int(truth["tag"] == "mask" or bool(truth.get("extra", {}).get("ignore")))})
    return rows


number = st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))
a_box = st.lists(number, min_size=4, max_size=4)
flags = st.integers(-(2**31), 2**31 - 1)
truth = st.fixed_dictionaries(
    {"tag": st.sampled_from(["person", "mask"]), **dict.fromkeys(BOXES, a_box)},
    optional={
        "extra": st.fixed_dictionaries({}, optional=dict.fromkeys(EXTRA.values(), flags)),
        "head_attr": st.fixed_dictionaries({}, optional=dict.fromkeys(HEAD.values(), flags)),
    },
)
ids = st.lists(st.sampled_from(["273271,c9db000d5146c15", "é", "a/b", "B", "0"]), unique=True)


@pytest.mark.slow
@given(data=st.data(), box=st.sampled_from(BOXES))
def test_truths_come_back(data: st.DataObject, box: str) -> None:
    records = [{"ID": image, "gtboxes": data.draw(st.lists(truth, max_size=3))} for image in data.draw(ids)]
    for record in records:
        for one in record["gtboxes"]:
            for other in data.draw(st.sets(st.sampled_from([name for name in BOXES if name != box]))):
                del one[other]
        if data.draw(st.booleans()):
            record |= {"width": 640, "height": 480, "fpath": "x/y.png"}
    with tempfile.TemporaryDirectory() as folder:
        source, again = odgt(Path(folder), *records), Path(folder, "again.odgt")
        dataset = read(source, box=box)
        rows = rows_of(dataset)
        assert list(map(repr, rows)) == list(map(repr, expected(floats(records), box)))
        assert [image["image_id"] for image in dataset.images().to_pylist()] == [record["ID"] for record in records]

        write(read(source, box=box), again)
        back = read(again, box=box)
        assert sorted(map(repr, rows_of(back))) == sorted(map(repr, rows))
        key = [("image_id", "ascending")]
        assert back.images().equals(dataset.images().sort_by(key))
        assert os.listdir(folder) and not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def floats(value: Any) -> Any:
    """What JSON's numbers are as float64, in boxes."""
    if isinstance(value, list):
        return [floats(item) for item in value]
    if isinstance(value, dict):
        return {key: list(map(float, item)) if key in BOXES else floats(item) for key, item in value.items()}
    return value


def test_the_real_thing_is_written_again(tmp_path: Path) -> None:
    records = [{"ID": "a", "gtboxes": [PERSON, MASK]}, {"ID": "b", "gtboxes": []}]
    write(read(odgt(tmp_path, *records)), tmp_path / "out.odgt")
    lines = (tmp_path / "out.odgt").read_text().splitlines()
    assert list(map(json.loads, lines)) == records
    assert '"fbox":[152,710,284,938]' in lines[0]


def test_results_have_dtboxes(tmp_path: Path) -> None:
    detections = [{"box": [1, 2.5, 3, 4], "score": 0.1, "tag": 1}, {"box": [1, 2, 3, 4], "score": 1.0, "tag": "dog"}]
    records = [
        {"ID": "b", "width": 9, "height": 8, "dtboxes": detections, "gtboxes": [{"no": "matter"}]},
        {"ID": "a", "dtboxes": [{"box": [0, 0, 1, 1], "score": 0}]},
    ]
    dataset = read(odgt(tmp_path, *records))
    rows = rows_of(dataset)
    assert (dataset.kind, dataset.categories) == ("results", {0: "person", 1: "mask", 2: "dog"})
    assert [row["category_id"] for row in rows] == [0, 2, 0]
    assert [row["score"] for row in rows] == [0.1, 1.0, 0.0]
    assert dataset.images()["width"].to_pylist() == [9, None]

    write(read(tmp_path / "annotation.odgt"), tmp_path / "out.odgt")
    again = read(tmp_path / "out.odgt")
    assert sorted(map(repr, rows_of(again))) == sorted(map(repr, rows))


def test_sizes_come_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "sizes.csv").write_text("image_id,width,height\n0007,640,480\nb,1,1\n")
    source = odgt(tmp_path, {"ID": "0007", "gtboxes": []}, {"ID": "b", "gtboxes": [], "width": 3, "height": 2})
    dataset = read(source, sizes=tmp_path / "sizes.csv")
    assert rows_of(dataset) == []
    assert dataset.images().to_pylist() == [
        {"image_id": "0007", "width": 640, "height": 480, "file_name": "0007.jpg"},
        {"image_id": "b", "width": 3, "height": 2, "file_name": "b.jpg"},
    ]


def test_other_formats_boxes_become_full_ones(tmp_path: Path) -> None:
    schema = boxes_schema(pa.int64(), ("ignore", pa.int8()))
    rows = [
        {"image_id": 7, "category_id": 1, "xmin": 1, "ymin": 2, "xmax": 4.5, "ymax": 6, "ignore": i} for i in (0, 1)
    ]
    images = pa.Table.from_pylist([{"image_id": 7, "file_name": "train/0007.jpg"}], images_schema(pa.int64()))
    dataset = Dataset("truths", schema, [pa.RecordBatch.from_pylist(rows, schema)], True, lambda: images, {1: "person"})
    write(dataset, tmp_path / "out.odgt")
    shared = {"tag": "person", "fbox": [1, 2, 3.5, 4], "head_attr": {}}
    assert json.loads((tmp_path / "out.odgt").read_text()) == {
        "ID": "train/0007",
        "gtboxes": [{**shared, "extra": {}}, {**shared, "extra": {"ignore": 1}}],
    }


BAD = {
    "not JSON": ("[1, 2\n", r"expected a JSON object with ID and gtboxes or dtboxes in .*odgt, line 2, got what can't"),
    "cut": ('{"ID": "a", "gtboxes": [', r"line 2, got what can't be used \(not JSON, or cut off\).*: fix the line"),
    "NaN": (
        {"ID": "b", "gtboxes": [PERSON, {**PERSON, "fbox": [1, 2, float("nan"), 4]}]},
        r"line 2 of .*odgt has gtboxes\[1\].fbox\[2\] nan, which is not a JSON number: give a number, or leave that",
    ),
    "NaN elsewhere": (
        {"ID": "b", "gtboxes": [{**PERSON, "extra": {"occ": float("nan")}}]},
        r"line 2 of .* has gtboxes\[0\].extra.occ nan",
    ),
    "half a pair": ({"ID": "\ud800", "gtboxes": []}, r"line 2, .*\(half a surrogate pair, which is not Unicode\)"),
    "no ID": ({"gtboxes": []}, r"line 2, .*object missing required field ID"),
    "no boxes": ({"ID": "b"}, r"line 2, .*object missing required field gtboxes"),
    "three": ({"ID": "b", "gtboxes": [{**PERSON, "fbox": [1, 2, 3]}]}, r"line 2, .*length 4.* in gtboxes\[0\]\.fbox"),
    "null": ({"ID": "b", "gtboxes": [{**PERSON, "fbox": [1, 2, None, 4]}]}, r"line 2, .*expected float, got null"),
    "no fbox": (
        {"ID": "b", "gtboxes": [PERSON, {"tag": "mask"}]},
        r"expected a fbox .*line 2, got none in gtboxes\[1\]: add it, or leave that person out",
    ),
    "twice": ({"ID": "a", "gtboxes": []}, r"expected every ID of .*odgt once, got 'a' again in line 2"),
    "wide": ({"ID": "b", "gtboxes": [], "width": 2**31, "height": 1}, r"line 2, .* in width"),
}


@pytest.mark.parametrize(("record", "message"), BAD.values(), ids=BAD.keys())
def test_a_line_that_cannot_be_used_is_named(record: Any, message: str, tmp_path: Path) -> None:
    dataset = read(odgt(tmp_path, {"ID": "a", "gtboxes": [PERSON]}, record))
    (tmp_path / "out.odgt").write_text("what was there")
    with pytest.raises(InputError, match=message) as caught:
        write(dataset, tmp_path / "out.odgt")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out.odgt").read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 2


def test_lines_in_the_ways_of_their_writers(tmp_path: Path) -> None:
    box = {
        "tag": "person",
        "fbox": [1, 2.0, 3, 4],
        "extra": {"ignore": 1.0, "box_id": 7.0},
        "head_attr": None,
        "more": [],
    }
    lines = [
        {"ID": 7, "width": 640.0, "height": 480, "gtboxes": [box, {**box, "extra": None}]},
        {"ID": "b", "gtboxes": []},
    ]
    path = tmp_path / "a.odgt"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, lines)).encode())
    dataset = read(path)
    rows = [row for batch in dataset.batches for row in batch.to_pylist()]
    assert [(row["image_id"], row["ignore"], row["box_id"], row["h"]) for row in rows] == [
        ("7", 1, 7, 4),
        ("7", 0, None, 4),
    ]
    assert dataset.images().to_pylist()[0] == {"image_id": "7", "width": 640, "height": 480, "file_name": "7.jpg"}
    path.write_text('{"ID": "a", "dtboxes": [{"box": [1, 2, 3, 4], "score": 1, "tag": 1.0}]}')
    assert [batch["category_id"].to_pylist() for batch in read(path).batches] == [[0]]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_hold_is_refused(value: float, tmp_path: Path) -> None:
    schema = boxes_schema(pa.string(), format="xywh")
    batch = pa.RecordBatch.from_pylist(
        [{"image_id": "a", "category_id": 0, "x": value, "y": 0, "w": 1, "h": 1}], schema
    )
    dataset = Dataset("truths", schema, [batch], True, images_schema(pa.string()).empty_table, {0: "person"})
    with pytest.raises(InputError, match=f"expected finite numbers for a CrowdHuman file, got {value}"):
        write(dataset, tmp_path / "out.odgt")
    assert list(tmp_path.iterdir()) == []


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    schema = boxes_schema(pa.int64())
    images = pa.Table.from_pylist([{"image_id": i, "file_name": "a.jpg"} for i in (1, 2)], images_schema(pa.int64()))
    with pytest.raises(InputError, match="expected an ID of its own for every image, got 'a' twice"):
        write(Dataset("truths", schema, [], True, lambda: images, {}), tmp_path / "out.odgt")


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"absent can't be read \(No such file or directory\): name an existing CrowdHuman file"
    ):
        read(tmp_path / "absent")
    source = odgt(tmp_path, {"ID": "a", "gtboxes": [PERSON]})
    with pytest.raises(ValueError, match="expected box to be 'fbox', 'vbox' or 'hbox', got 'box'"):
        read(source, box="box")
    with pytest.raises(ValueError, match="expected box to be 'fbox', 'vbox' or 'hbox', got 'box'"):
        write(read(source), tmp_path / "out", box="box")
    assert read(odgt(tmp_path, "\n", " \n")).kind == "truths"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_memory_does_not_grow_with_the_file(python: Callable[..., Any], tmp_path: Path) -> None:
    people = ",".join([json.dumps(PERSON)] * 200)
    with (tmp_path / "annotation.odgt").open("w") as file:
        for i in range(2500):
            file.write(f'{{"ID": "{i}", "gtboxes": [{people}]}}\n')
    code = f"""
import resource
from fastbox.datasets.formats.crowdhuman import read
import itertools, pyarrow
batches = iter(read({str(tmp_path / "annotation.odgt")!r}).batches)
next(batches)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(batch.num_rows for batch in batches), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    rows, grown = map(int, python(code).stdout.split())
    assert rows == 2500 * 200 - 65_600
    kib = 1 if sys.platform == "darwin" else 1024
    assert grown * kib < 50e6 < (tmp_path / "annotation.odgt").stat().st_size
