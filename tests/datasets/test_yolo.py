"""YOLO labels: a line times the image's size is the box, nothing is dropped or moved, and all of it comes back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.yolo import LINES, coco, put, rows_of

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats.yolo import read, write
from fastbox.errors import InputError

Image = pytest.importorskip("PIL.Image")


yaml = pytest.importorskip("yaml")


SIDES = ("cx", "cy", "w", "h")


Rows = list[dict[str, Any]]


def exact(rows: Rows) -> list[dict[str, str]]:
    return [{name: repr(value) for name, value in row.items()} for row in rows]


def expected(image: str, size: tuple[int, int], line: str) -> dict[str, Any]:
    number, *box = line.split()
    row = {"image_id": image, "category_id": int(float(number))}
    row |= {side: float(word) * size[i % 2] for i, (side, word) in enumerate(zip(SIDES, box, strict=False))}
    return row | ({"score": float(box[4])} if len(box) == 5 else {})


def test_lines_times_the_size_of_the_image(tmp_path: Path) -> None:
    put(tmp_path, {
        "labels/train/b.txt": "\r\n".join(LINES) + "\r\n",
        "labels/a.txt": "\n \n",
        "labels/classes.txt": "cat\ndog\n",
        "images/train/b.JPG": (641, 333),
        "images/a.png": (5, 4),
        "images/background.png": (7, 9),
        "images/notes.md": "",
    })  # fmt: skip
    dataset = read(tmp_path)
    assert (dataset.kind, dataset.ordered, dataset.categories) == ("truths", True, {0: "cat", 1: "dog"})
    assert exact(rows_of(dataset)) == exact([expected("train/b", (641, 333), line) for line in LINES])
    assert dataset.images().to_pylist() == [
        {"image_id": "a", "width": 5, "height": 4, "file_name": "a.png"},
        {"image_id": "background", "width": 7, "height": 9, "file_name": "background.png"},
        {"image_id": "train/b", "width": 641, "height": 333, "file_name": "train/b.JPG"},
    ]


def test_six_numbers_are_results(tmp_path: Path) -> None:
    lines = ["0 0.5 0.5 0.1 0.2 0.875", "1 0.1 0.2 0.3 0.4 0.123456789"]
    put(tmp_path, {"labels/a.txt": "", "labels/b.txt": "\n".join(lines), "images/b.png": (100, 50)})
    dataset = read(tmp_path)
    assert dataset.kind == "results"
    assert exact(rows_of(dataset)) == exact([expected("b", (100, 50), line) for line in lines])


@pytest.mark.parametrize(("score", "kind"), [("", "truths"), (" 0.5", "results")])
def test_a_polygon_is_the_box_around_it(score: str, kind: str, tmp_path: Path) -> None:
    lines = [f"1 0.5 0.25 0.75 0.5 0.25 1{score}", f"0 0.5 0.5 0.1 0.2{score}"]
    put(tmp_path, {"labels/b.txt": "\n".join(lines), "images/b.png": (100, 50)})
    dataset = read(tmp_path)
    assert dataset.kind == kind
    around = expected("b", (100, 50), f"1 0.5 0.625 0.5 0.75{score}")
    assert rows_of(dataset) == [around, expected("b", (100, 50), lines[1])]


@pytest.mark.parametrize(("score", "kind"), [("", "truths"), (" 0.5", "results")])
def test_keypoints_stand_behind_the_box(score: str, kind: str, tmp_path: Path) -> None:
    put(tmp_path, {
        "data.yaml": "kpt_shape: [1, 3]\nnames: {0: person}",
        "labels/b.txt": f"0 0.5 0.5 0.1 0.2 0.9 0.9 2{score}",
        "images/b.png": (100, 50),
    })  # fmt: skip
    dataset = read(tmp_path)
    assert (dataset.kind, dataset.categories) == (kind, {0: "person"})
    assert rows_of(dataset) == [expected("b", (100, 50), f"0 0.5 0.5 0.1 0.2{score}")]


LAYOUTS = {
    "flat, beside the images": ({"7.txt": "L", "7.png": "I", "classes.txt": "cat"}, ""),
    "a folder of labels": ({"labels/train/7.txt": "L", "images/train/7.png": "I", "data.yaml": "Y"}, "labels/train"),
    "the labels": ({"labels/7.txt": "L", "images/7.png": "I", "labels/classes.txt": "cat"}, "labels"),
    "a split": ({"train/labels/7.txt": "L", "train/images/7.png": "I", "data.yaml": "Y"}, "train"),
    "obj.names": ({"labels/7.txt": "L", "images/7.png": "I", "obj.names": "cat\n\n"}, ""),
}


@pytest.mark.parametrize(("files", "source"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layouts(files: dict[str, str], source: str, tmp_path: Path) -> None:
    meant = {"L": LINES[0], "I": (64, 32), "Y": "names: [cat]"}
    dataset = read(put(tmp_path, {name: meant.get(what, what) for name, what in files.items()}) / source)
    assert rows_of(dataset) == [expected("7", (64, 32), LINES[0])]
    assert dataset.images()["file_name"].to_pylist() == ["7.png"]
    assert dataset.categories == {0: "cat"}


def test_exif_lays_an_image_on_its_side(tmp_path: Path) -> None:
    put(tmp_path, {"labels/b.txt": LINES[0], "images/x": ""})
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (100, 50)).save(tmp_path / "images" / "b.jpg", exif=exif)
    assert rows_of(read(tmp_path)) == [expected("b", (50, 100), LINES[0])]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_sizes_come_from_a_table(suffix: str, tmp_path: Path) -> None:
    put(tmp_path, {"labels/007.txt": LINES[0], "labels/NA.txt": ""})
    table = pa.table({"image_id": ["007", "other", "NA"], "width": [100, 1, 2], "height": [50.0, 1.0, None]})
    path = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        path.write_text("height,image_id,width\n50,007,100\n1,other,1\n,NA,2\n")
    else:
        pq.write_table(table, path)
    dataset = read(tmp_path, sizes=path)
    assert rows_of(dataset) == [expected("007", (100, 50), LINES[0])]
    assert dataset.images().to_pylist() == [
        {"image_id": "007", "width": 100, "height": 50, "file_name": None},
        {"image_id": "NA", "width": 2, "height": None, "file_name": None},
    ]


def test_names_are_text_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    put(tmp_path, {"labels/a.txt": "", "data.yaml": "nc: 3\nnames: [no, 1.50, 'a b']"})
    assert read(tmp_path).categories == {0: "no", 1: "1.50", 2: "a b"}
    assert read(tmp_path, names={7: "x"}).categories == {7: "x"}
    assert read(tmp_path, names=["x", "x"]).categories == {0: "x", 1: "x"}
    put(tmp_path, {"other.yml": "names:\n  3: no\n  8: ~\n"})
    assert read(tmp_path, names=tmp_path / "other.yml").categories == {3: "no", 8: "~"}


sizes = st.integers(1, 5000)


decimals = st.one_of(st.floats(-2, 3), st.integers(-(10**6), 2 * 10**6).map(lambda i: i / 1e6))


names = st.dictionaries(st.integers(0, 9), st.text(st.characters(codec="utf-8"), max_size=5), max_size=4)


paths = st.sampled_from(["a", "train/7", "é", "B", '7, "8"']).filter(lambda name: '"' not in name)


@pytest.mark.slow
@given(data=st.data(), results=st.booleans(), batch=st.integers(1, 9), ordered=st.booleans(), digits=st.integers(0, 17))
def test_everything_comes_back(data: st.DataObject, results: bool, batch: int, ordered: bool, digits: int) -> None:
    known = {image: data.draw(st.tuples(sizes, sizes)) for image in data.draw(st.lists(paths, unique=True))}
    row = {"category_id": st.integers(0, 2**31 - 1), **dict.fromkeys(SIDES, decimals)} | (
        {"score": st.floats(0, 1)} if results else {}
    )
    rows = []
    for image in data.draw(st.lists(st.sampled_from(sorted(known)), max_size=9) if known else st.just([])):
        drawn = data.draw(st.fixed_dictionaries(row))
        rows.append({"image_id": image} | {
            name: drawn[name] * known[image][SIDES.index(name) % 2] if name in SIDES else drawn[name]
            for name in ("category_id", *SIDES, "score") if name in drawn
        })  # fmt: skip
    if ordered:
        rows.sort(key=lambda row: row["image_id"])
    known["empty"] = (1, 1)
    images = [
        {
            "image_id": image,
            "width": width,
            "height": height,
            "file_name": data.draw(st.sampled_from([None, f"{image}.jpg"])),
        }
        for image, (width, height) in known.items()
    ]
    schema = boxes_schema(pa.string(), *([("score", pa.float64())] if results else []), format="cxcywh")
    dataset = Dataset(
        "results" if results else "truths",
        schema,
        (pa.RecordBatch.from_pylist(rows[i : i + batch], schema) for i in range(0, len(rows), batch)),
        ordered,
        lambda: pa.Table.from_pylist(images, images_schema(pa.string())),
        data.draw(names),
    )
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out")
        write(dataset, target, digits=digits)
        again = read(target)
        assert again.kind == (dataset.kind if rows else "truths")
        assert exact(rows_of(again)) == exact(sorted(rows, key=lambda row: row["image_id"]))
        assert again.images().to_pylist() == sorted(images, key=lambda image: image["image_id"])
        assert again.categories == dataset.categories


@pytest.mark.slow
@given(words=st.lists(st.integers(-(10**6), 2 * 10**6), min_size=4, max_size=4), size=st.tuples(sizes, sizes))
def test_six_decimals_are_written_again_to_the_digit(words: list[int], size: tuple[int, int]) -> None:
    line = "3 " + " ".join(f"{word / 1e6:.6f}" for word in words)
    with tempfile.TemporaryDirectory() as folder:
        source = put(
            Path(folder), {"labels/a.txt": line + "\n", "sizes.csv": f"image_id,width,height\na,{size[0]},{size[1]}"}
        )
        write(read(source), source / "out")
        trimmed = [word.rstrip("0").rstrip(".") for word in line.split()[1:]]
        assert (source / "out" / "labels" / "a.txt").read_text().split() == ["3", *trimmed]


@pytest.mark.parametrize(
    "name", ["\x85", "\u2028", "\ufeff", "\x00", "a\nb", " a ", "", "no", "é", "\U0001f600", "'", "#"]
)
def test_any_name_comes_back(name: str, tmp_path: Path) -> None:
    dataset = coco()
    dataset.categories = {0: name, 1: "x" * 200 + " y"}
    for renumber in (False, True):
        dataset.batches = []
        write(dataset, tmp_path / str(renumber), renumber=renumber)
        assert read(tmp_path / str(renumber)).categories == dataset.categories


def test_what_other_formats_have_becomes_centres_and_ids_are_kept(tmp_path: Path) -> None:
    write(coco(), tmp_path / "out")
    assert (tmp_path / "out" / "labels" / "train" / "0007.txt").read_text() == (
        "18 0.125 0.3 0.05 0.2\n1 0.5 0.5 1 1\n"
    )
    assert (tmp_path / "out" / "labels" / "2.txt").read_text() == ""
    assert yaml.safe_load((tmp_path / "out" / "data.yaml").read_text()) == {"names": {1: "person", 18: "dog"}}
    images = read(tmp_path / "out").images().to_pylist()
    assert images[1] == {"image_id": "train/0007", "width": 100, "height": 50, "file_name": "train/0007.jpg"}


def test_categories_are_renumbered_where_asked(tmp_path: Path) -> None:
    write(coco(), tmp_path / "out", renumber=True)
    text = (tmp_path / "out" / "labels" / "train" / "0007.txt").read_text()
    assert [line.split()[0] for line in text.splitlines()] == ["1", "0"]
    assert yaml.safe_load((tmp_path / "out" / "data.yaml").read_text()) == {"names": ["person", "dog"]}
    unnamed = coco()
    del unnamed.categories[18]
    with pytest.raises(InputError, match="expected a name for every category to number them from 0, got none for 18"):
        write(unnamed, tmp_path / "other", renumber=True)
