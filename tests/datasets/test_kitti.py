"""KITTI labels: what a line says is what the table holds, and what is written reads back the same."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats.kitti import SPACE, TYPES, read, write
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError

REAL = """\
Truck 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56
Person_sitting 0.00 3 -1.65 676.60 163.95 688.98 193.93 1.86 0.60 2.02 4.59 1.32 45.84 -1.55
DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10
"""
RESULT = "Car -1 -1 -10 1.5 2 30.25 40 -1 -1 -1 -1000 -1000 -1000 -10 0.875\n"
NAMES = (
    "truncated", "occluded", "alpha", "xmin", "ymin", "xmax", "ymax", *SPACE
)  # fmt: skip

Rows = list[dict[str, Any]]


def labels(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / "label_2").mkdir(exist_ok=True)
        (folder / "label_2" / f"{name}.txt").write_text(text)
    return folder


def rows_of(dataset: Dataset) -> Rows:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


def hexed(rows: Rows) -> Rows:
    return [{name: value.hex() if isinstance(value, float) else value for name, value in row.items()} for row in rows]


def expected(image: str, line: str) -> dict[str, Any]:
    kind, *words = line.split()
    row = {"image_id": image, "category_id": TYPES.index(kind), **dict(zip(NAMES, map(float, words), strict=False))}
    row["occluded"] = int(words[1])
    if len(words) == 15:
        row["score"] = float(words[14])
    return row | {"ignore": int(kind == "DontCare")}


def test_lines_are_rows_in_the_order_of_images(tmp_path: Path) -> None:
    labels(tmp_path, b=REAL, a="", B=REAL.replace("\n", "\r\n") + "\n  \n")
    dataset = read(tmp_path)
    assert (dataset.kind, dataset.ordered) == ("truths", True)
    assert rows_of(dataset) == [expected(image, line) for image in "Bb" for line in REAL.splitlines()]
    assert dataset.images().to_pylist() == [
        {"image_id": image, "width": None, "height": None, "file_name": None} for image in "Bab"
    ]
    assert dataset.categories == dict(enumerate(TYPES))


def test_sixteen_words_are_results(tmp_path: Path) -> None:
    dataset = read(labels(tmp_path, a="\n", b=RESULT))
    assert dataset.kind == "results"
    assert rows_of(dataset) == [expected("b", RESULT)]


@pytest.mark.parametrize("score", ["", " 0.5"])
def test_tracking_has_a_frame_and_a_track_in_front(score: str, tmp_path: Path) -> None:
    truck, person, region = (f"{line}{score}" for line in REAL.splitlines())
    folder = tmp_path / "training" / "label_02"
    folder.mkdir(parents=True)
    (folder / "0001.txt").write_text(f"1 2 {person}\n0 2 {truck}\n0 -1 {region}\n")
    (folder / "0000.txt").write_text("")
    (tmp_path / "README.txt").write_text("0 1 2 3 4 5")
    (tmp_path / "sizes.csv").write_text("image_id,width,height\n0001/000000,1242,375\n")
    assert format_of(tmp_path) == "kitti"
    for source in (tmp_path / "training", folder):
        assert format_of(source) == "kitti"
        dataset = read(source, sizes=tmp_path / "sizes.csv")
        rows = [
            expected(f"0001/{frame:06d}", line) | {"track_id": track}
            for frame, track, line in ((0, 2, truck), (0, -1, region), (1, 2, person))
        ]
        assert rows_of(dataset) == [{name: row[name] for name in dataset.schema.names} for row in rows]
        assert dataset.images().to_pylist() == [
            {"image_id": "0001/000000", "width": 1242, "height": 375, "file_name": None},
            {"image_id": "0001/000001", "width": None, "height": None, "file_name": None},
        ]
        assert dataset.kind == ("results" if score else "truths")


def test_the_objects_of_a_whole_kitti_folder(tmp_path: Path) -> None:
    (tmp_path / "training" / "label_2").mkdir(parents=True)
    (tmp_path / "training" / "calib").mkdir()
    (tmp_path / "training" / "calib" / "1.txt").write_text("P0: 7.2e2 0 6.1e2")
    (tmp_path / "training" / "label_2" / "1.txt").write_bytes(b"\xef\xbb\xbf" + REAL.replace(" 3 ", " 3.00 ").encode())
    assert format_of(tmp_path) == "kitti"
    assert rows_of(read(tmp_path)) == [expected("training/1", line) for line in REAL.splitlines()]


def test_what_kitti_wrote_is_written_again_to_the_byte(tmp_path: Path) -> None:
    source = labels(tmp_path, a=REAL, empty="")
    write(read(source), tmp_path / "out")
    assert (tmp_path / "out" / "label_2" / "a.txt").read_text() == REAL
    assert (tmp_path / "out" / "label_2" / "empty.txt").read_text() == ""


def test_other_types_are_numbered_as_they_come_unless_names_are_given(tmp_path: Path) -> None:
    source = labels(tmp_path, a=REAL.replace("Truck", "Bus"), b=REAL.replace("Truck", "Tuk-tuk"))
    dataset = read(source)
    assert [row["category_id"] for row in rows_of(dataset)] == [9, 4, 8, 10, 4, 8]
    assert dataset.categories == dict(enumerate([*TYPES, "Bus", "Tuk-tuk"]))
    with pytest.raises(
        InputError, match=r"expected one of the names given, Car, Bus, in .*a.txt, got 'Person_sitting'"
    ):
        rows_of(read(source, names=["Car", "Bus"]))


def test_regions_that_nobody_labelled_are_called_so_in_any_case(tmp_path: Path) -> None:
    source = labels(tmp_path, a=REAL.replace("DontCare", "dontcare"))
    assert [row["ignore"] for row in rows_of(read(source))] == [0, 0, 1]


@pytest.mark.slow
@given(data=st.data(), digits=st.integers(0, 6), batch=st.integers(1, 10))
def test_every_number_comes_back(data: st.DataObject, digits: int, batch: int) -> None:
    number = st.one_of(
        st.floats(), st.floats(-2000, 2000).map(lambda x: round(x, 2)), st.integers(-1000, 1000).map(float)
    )
    results = data.draw(st.booleans())
    row = {
        "image_id": st.sampled_from(["a", "train/7", "é"]),
        "category_id": st.integers(0, 9),
        **dict.fromkeys(NAMES, number),
        "occluded": st.integers(-128, 127),
    }
    rows = data.draw(st.lists(st.fixed_dictionaries(row | ({"score": number} if results else {})), max_size=6))
    for row in rows:
        row["ignore"] = int(row["category_id"] == 8)
    images = sorted({row["image_id"] for row in rows} | {"b"})
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out")
        write(dataset_of(rows, images, results, batch), target, digits=digits)
        again = read(target)
        assert again.kind == ("results" if results and rows else "truths")
        assert hexed(rows_of(again)) == hexed(sorted(rows, key=lambda row: row["image_id"]))
        assert again.images()["image_id"].to_pylist() == images


def dataset_of(rows: Rows, images: list[str], results: bool, batch: int) -> Dataset:
    columns = [
        (name, pa.int8() if name == "occluded" else pa.float64()) for name in NAMES if name[1:] not in ("min", "max")
    ]
    schema = boxes_schema(pa.string(), *columns, *([("score", pa.float64())] if results else []), ("ignore", pa.int8()))
    return Dataset(
        kind="results" if results else "truths",
        schema=schema,
        batches=(pa.RecordBatch.from_pylist(rows[i : i + batch], schema) for i in range(0, len(rows), batch)),
        ordered=False,
        images=lambda: pa.Table.from_pylist([{"image_id": image} for image in images], images_schema(pa.string())),
        categories=dict(enumerate(TYPES)) | {9: "Bus"},
    )


def test_what_other_formats_lack_is_written_as_unknown(tmp_path: Path) -> None:
    schema = boxes_schema(pa.int64(), format="xywh")
    batch = pa.RecordBatch.from_pylist([{"image_id": 7, "category_id": 3, "x": 1, "y": 2, "w": 3.5, "h": 4}], schema)
    images = pa.Table.from_pylist(
        [{"image_id": 7, "file_name": "train/0007.jpg"}, {"image_id": 2}], images_schema(pa.int64())
    )
    write(Dataset("truths", schema, [batch], True, lambda: images, {3: "Dog"}), tmp_path / "out")
    text = (tmp_path / "out" / "label_2" / "train" / "0007.txt").read_text()
    assert text.split() == ["Dog", "-1.00", "-1", "-10.00", "1.00", "2.00", "4.50", "6.00", *["-1.00"] * 3,
                            *["-1000.00"] * 3, "-10.00"]  # fmt: skip
    assert (tmp_path / "out" / "label_2" / "2.txt").read_text() == ""


BAD = {
    "a frame": (
        f"1 2 {REAL.splitlines()[0]}\n1.5 2 {REAL}",
        "expected a frame and a track id, a type and 14 numbers, .*line 2",
    ),
    "an object among tracks": (f"1 2 {REAL}", "expected 17 words in .*a.txt, line 2, got 15: .*: fix the line"),
    "words": (REAL + "\nCar 1 2 3\n", r"expected 15 words in .*a.txt, line 5, got 4: 'Car 1 2 3'"),
    "two kinds": (REAL + RESULT, r"expected 15 words in .*a.txt, line 4, got 16: "),
    "no number": (
        REAL.replace("2.63", "wide"),
        r"expected a type and 14 numbers, .* in .*a.txt, line 1, got 'Truck 0.00",
    ),
    "underscore": (REAL.replace("2.63", "2_63"), r"line 1, got 'Truck"),
    "occluded": (REAL.replace(" 3 ", " 3.5 "), r"the second a whole one, in .*a.txt, line 2, got 'Person"),
    "occluded far": (REAL.replace(" 3 ", " 300 "), r"the second a whole one, in .*a.txt, line 2, got 'Person"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_a_line_that_cannot_be_used_is_named(text: str, message: str, tmp_path: Path) -> None:
    dataset = read(labels(tmp_path, a=text))
    with pytest.raises(InputError, match=message) as caught:
        write(dataset, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["label_2"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff" + REAL.encode())
    with pytest.raises(InputError, match=r"a\.txt, line 1, got '\\\\xffTruck"):
        rows_of(read(tmp_path))


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected KITTI labels, \*\.txt, in .*, got none"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"expected a folder of annotations, but .*absent is not there"):
        read(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"expected a folder of annotations, but .*file is a file"):
        read(tmp_path / "file")


@pytest.mark.parametrize("name", ["two words", "", "line\nbreak", None])
def test_names_that_are_no_word_are_refused(name: str | None, tmp_path: Path) -> None:
    dataset = read(labels(tmp_path, a=REAL))
    dataset.categories |= {2: name} if name is not None else {}
    if name is None:
        del dataset.categories[2]
    with pytest.raises(
        InputError, match=re.escape(f"KITTI labels, got {name!r}") if name is not None else "got none for 2"
    ):
        write(dataset, tmp_path / "out")
    shutil.rmtree(tmp_path / "label_2")
    assert list(tmp_path.iterdir()) == []
