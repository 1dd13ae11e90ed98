"""YOLO labels: a line times the image's size is the box, nothing is dropped or moved, and all of it comes back."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats.yolo import read, write
from fastbox.errors import InputError

Image = pytest.importorskip("PIL.Image")
yaml = pytest.importorskip("yaml")

SIDES = ("cx", "cy", "w", "h")

Rows = list[dict[str, Any]]


def put(folder: Path, files: dict[str, Any]) -> Path:
    """Write text, bytes, or an image of a size, to each path."""
    for name, what in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, tuple):
            Image.new("L", what).save(path)
        else:
            path.write_bytes(what.encode() if isinstance(what, str) else what)
    return folder


def rows_of(dataset: Dataset) -> Rows:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


def exact(rows: Rows) -> list[dict[str, str]]:
    return [{name: repr(value) for name, value in row.items()} for row in rows]


def expected(image: str, size: tuple[int, int], line: str) -> dict[str, Any]:
    number, *box = line.split()
    row = {"image_id": image, "category_id": int(float(number))}
    row |= {side: float(word) * size[i % 2] for i, (side, word) in enumerate(zip(SIDES, box, strict=False))}
    return row | ({"score": float(box[4])} if len(box) == 5 else {})


LINES = ["0 0.5 0.5 0.1 0.2", "79 0.123456 1.0004 2 -0.25", "79 0.123456 1.0004 2 -0.25", "3.0 nan 1e-3 inf 0"]


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


def coco(**image: Any) -> Dataset:
    schema = boxes_schema(pa.int64(), ("iscrowd", pa.int8()), format="xywh")
    boxes = [(18, 10, 10, 5, 10), (1, 0, 0, 100, 50)]
    rows = [dict(zip(("category_id", "x", "y", "w", "h"), box, strict=True)) | {"image_id": 7} for box in boxes]
    listed = [{"image_id": 7, "width": 100, "height": 50, "file_name": "train/0007.jpg"} | image, {"image_id": 2}]
    return Dataset(
        "truths",
        schema,
        [pa.RecordBatch.from_pylist(rows, schema)],
        True,
        lambda: pa.Table.from_pylist(listed, images_schema(pa.int64())),
        {18: "dog", 1: "person"},
    )


@pytest.mark.parametrize("width", [None, 0])
def test_an_image_without_a_size_is_named(width: int | None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the width of image 7, which YOLO's boxes are relative to, got none"):
        write(coco(width=width), tmp_path / "out")
    put(tmp_path, {"labels/a.txt": LINES[0]})
    with pytest.raises(
        InputError, match=r"expected the size of image a, .*a\.txt are relative to, got none: put images/"
    ):
        write(read(tmp_path), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


BAD = {
    "four": ("0 1 1 1", r"expected 5 numbers, .* in .*a\.txt, line 2, got 4: '0 1 1 1'"),
    "a score": ("0 1 1 1 1 1", r"expected 5 numbers, .* in .*a\.txt, line 2, got 6: "),
    "half a polygon": ("0 1 1 1 1 1 1 1", r"expected 5 numbers, .* in .*a\.txt, line 2, got 8: "),
    "no number": ("0 1 1 x 1", r"line 2, got 5: '0 1 1 x 1'"),
    "underscore": ("0 1 1 1_0 1", r"line 2, got 5: '0 1 1 1_0 1'"),
    "half a class": ("0.5 1 1 1 1", r"the first a whole one, or a class and a polygon in .*line 2, got 5"),
    "negative class": ("-1 1 1 1 1", r"the first a whole one.*line 2, got 5"),
    "no class": ("nan 1 1 1 1", r"the first a whole one.*line 2, got 5"),
    "great class": ("2147483648 1 1 1 1", r"the first a whole one.*line 2, got 5"),
    "bytes": (b"\xff\x00", r"line 2, got 1: "),
    "visibility": (
        "0 .5 .5 .1 .1 .5 .5 2",
        r"got 8: .*: it looks like keypoints: say kpt_shape: \[1, 3\] in data.yaml",
    ),
    "hidden ones": (
        "0 .5 .5 .2 .2 .5 .5 1 0 0 0 .45 .55 0",
        r"got 14: .* it looks like keypoints: say kpt_shape: \[3, 3\]",
    ),
    "keypoints elsewhere": (
        "0 .5 .5 .1 .1 .9 .9 .8 .8 .9 2 ",
        r"no polygon lies so far outside of its image; of key.*\[2, 3\] or",
    ),
    "a score and a track": (
        "0 .5 .5 .1 .1 .9 12",
        r"got 7: '.*: no polygon lies so far .*; cut off its last number if .* say kpt_shape: \[1, 2\]",
    ),
    "pixels": ("0 320 240.5 50 60", "got 5: .*: its box is in pixels: divide it by the image's width and height"),
    "turned": (
        "0 .5 .2 .8 .5 .5 .8 .2 .5",
        r"got 9: .*: it looks like a rotated box \(OBB\), and boxes here have no angle",
    ),
    "turned little": ("0 .1 .2 .4 .21 .39 .31 .09 .3", "it looks like a rotated box"),
}


@pytest.mark.parametrize(("line", "message"), BAD.values(), ids=BAD.keys())
def test_a_line_that_cannot_be_used_is_named(line: str | bytes, message: str, tmp_path: Path) -> None:
    text = LINES[0].encode() + b"\n" + (line.encode() if isinstance(line, str) else line)
    put(tmp_path, {"labels/a.txt": text, "sizes.csv": "image_id,width,height\na,9,9"})
    dataset = read(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        write(dataset, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels", "sizes.csv"]


@pytest.mark.parametrize("words", ["12", "3.0", "1.5", "-0.1", "nan", "1e9"])
def test_a_track_id_is_no_score(words: str, tmp_path: Path) -> None:
    put(
        tmp_path,
        {"labels/a.txt": f"0 .5 .5 .1 .1 0\n1 .5 .5 .1 .1 {words}", "sizes.csv": "image_id,width,height\na,9,9"},
    )
    with pytest.raises(
        InputError, match=r"a.txt, line 2, got 6: .*: its last number is no score, from 0 to 1: cut it off"
    ):
        rows_of(read(tmp_path))
    dataset = coco()
    schema = dataset.schema.append(pa.field("score", pa.float64()))
    dataset.kind, dataset.schema = "results", schema
    dataset.batches = [batch.append_column("score", pa.array([0.5, float(words)])) for batch in dataset.batches]
    with pytest.raises(
        InputError, match=r"expected scores from 0 to 1 for YOLO, got .* in a box of image 7: scale them"
    ):
        write(dataset, tmp_path / "out")


@pytest.mark.parametrize(
    "line",
    ["1 .1 .2 .4 .2 .4 .5 .1 .5", "1 .4 .2 .1 .2 .1 .5 .4 .5", "1 .1 .2 .4 .2 .3 .5 .1 .45", "1 0 0 1 0 1 1 0 1 0 0",
     "0 .2 .2 .2 .2 .6 .6 .6 .6", "1 -.01 0 1.01 0 1 1.02"],
)  # fmt: skip
def test_polygons_that_are_no_more_than_that(line: str, tmp_path: Path) -> None:
    put(tmp_path, {"labels/a.txt": line, "sizes.csv": "image_id,width,height\na,1,1"})
    points = list(map(float, line.split()[1:]))
    (row,) = rows_of(read(tmp_path))
    assert (row["w"], row["h"]) == tuple(max(axis) - min(axis) for axis in (points[::2], points[1::2]))


FILES = {
    "first line": ({"labels/a.txt": "0 1 1 1"}, r"expected 5 numbers, .* in .*a\.txt, line 1, got 4: '0 1 1 1'"),
    "nothing": ({"x/y": ""}, r"expected YOLO labels, \*\.txt, in .*, got none"),
    "two images": (
        {"labels/a.txt": "", "images/a.png": "", "images/a.jpg": ""},
        "expected one image called a in .*, got",
    ),
    "no image": (
        {"labels/a.txt": LINES[0], "images/a.png": "no"},
        r"a\.png is no image whose size can be read: copy it here again",
    ),
    "an empty image": (
        {"labels/a.txt": LINES[0], "images/a.png": ""},
        r"expected the size of image a, which the boxes in .*a\.txt are relative to, got none",
    ),
    "another image": (
        {"labels/a.txt": LINES[0], "images/b.png": (9, 9)},
        r"expected the size of image a, which the boxes in .*a\.txt are relative to, got none",
    ),
    "no sizes": ({"labels/a.txt": "", "sizes.csv": "id,width\n1,2"}, "got no image_id and no height"),
    "bad sizes": (
        {"labels/a.txt": "", "sizes.csv": "image_id,width,height\na,x,1"},
        "has width 'x' in row 0: give a whole number",
    ),
    "yaml": (
        {"labels/a.txt": "", "data.yaml": "names: [a"},
        r"data\.yaml is no YAML in line 1, column 10: fix it there",
    ),
    "yaml list": ({"labels/a.txt": "", "data.yaml": "- a"}, r"data\.yaml, got no object"),
    "names": ({"labels/a.txt": "", "data.yaml": "names: cat"}, "expected a list of names, or names by number"),
    "numbers": ({"labels/a.txt": "", "data.yaml": "names: {a: cat}"}, "expected a list of names, or names by number"),
    "nested": ({"labels/a.txt": "", "data.yaml": "names: [[cat]]"}, "expected a list of names, or names by number"),
    "keypoints": ({"labels/a.txt": "", "data.yaml": "kpt_shape: [a]"}, "expected two whole numbers for kpt_shape in "),
    "latin": (
        {"labels/a.txt": "", "classes.txt": b"\xff"},
        r"expected UTF-8 in .*classes\.txt, got byte 0xff in line 1: save it as UTF-8",
    ),
}


@pytest.mark.parametrize(("files", "message"), FILES.values(), ids=FILES.keys())
def test_files_that_cannot_be_used_are_named(files: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rows_of(read(put(tmp_path, files)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("module", ["PIL", "yaml"])
def test_a_missing_package_is_named_with_its_extra(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(
        tmp_path, {"labels/a.txt": LINES[0], "images/a.png": (9, 9)} | ({"data.yaml": "{}"} if module == "yaml" else {})
    )
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        InputError, match=r"expected Py?.*, got none: install it with pip install 'fastbox-engine\[formats\]'"
    ):
        rows_of(read(tmp_path))
