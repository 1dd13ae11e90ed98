"""Open Images: fractions, labels and flags come back as they were, and a bad file leaves nothing."""

from __future__ import annotations

import csv
import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fastbox.cli import main
from fastbox.datasets.convert import convert
from fastbox.datasets.formats.open_images import RESULTS, TRUTHS, read, write
from fastbox.errors import InputError, InputWarning

MORE = (*TRUTHS, "XClick1X")
SIZES = {"a": (640, 480), "b": (1024, 683), "été": (3, 7), "x/y": (5000, 1)}

Rows = list[dict[str, Any]]


def written(path: Path, header: tuple[str, ...], rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, header, lineterminator="\n").writeheader()
        csv.DictWriter(file, header, lineterminator="\n").writerows(rows)
    return path


def sizes_file(folder: Path) -> Path:
    path = folder / "sizes.csv"
    rows = [{"image_id": name, "width": width, "height": height} for name, (width, height) in SIZES.items()]
    return written(path, ("image_id", "width", "height"), rows)


def lines(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def line(image: str = "a", **more: Any) -> dict[str, Any]:
    plain = dict.fromkeys(TRUTHS[8:], "0") | {"Source": "xclick", "LabelName": "/m/01yrx", "Confidence": "1"}
    return {"ImageID": image, "XMin": "0.25", "XMax": "0.5", "YMin": "0", "YMax": "1", **plain, **more}


# Quotes, commas and what a spreadsheet takes for a formula are names too.
labels = st.sampled_from(["/m/01yrx", "/m/0,4", 'say "boo"', "=1+1", "../../etc", "猫"])
# Fractions as Open Images writes them: six decimals, without trailing zeros.
fractions = st.integers(0, 10**6).map(lambda value: repr(value / 10**6) if value % 10**6 else str(value // 10**6))
plain_fractions = fractions.filter(lambda text: "e" not in text)
flag = st.sampled_from(["-1", "0", "1"])
truths = st.fixed_dictionaries(
    {
        "ImageID": st.sampled_from(list(SIZES)),
        "Source": st.sampled_from(["xclick", "activemil", "", "who, me"]),
        "LabelName": labels,
        "Confidence": st.sampled_from(["1", "0", "0.5"]),
        **dict.fromkeys(("XMin", "XMax", "YMin", "YMax"), plain_fractions),
        **dict.fromkeys(TRUTHS[8:], flag),
        "XClick1X": st.sampled_from(["-1.0", "0.0125", ""]),
    }
)
results = st.fixed_dictionaries(
    {
        "ImageID": st.sampled_from(list(SIZES)),
        "LabelName": labels,
        "Score": st.floats(0, 1).map(lambda value: repr(value).removesuffix(".0")),
        **dict.fromkeys(("XMin", "XMax", "YMin", "YMax"), plain_fractions),
    }
)


@pytest.mark.slow
@given(rows=st.lists(truths, max_size=12), table=st.booleans())
def test_every_cell_of_truths_comes_back(rows: Rows, table: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, sizes = written(folder / "boxes.csv", MORE, rows), sizes_file(folder)
        if table:
            summary = convert(source, folder / "boxes.parquet", sizes=sizes)
            assert convert(folder / "boxes.parquet", folder / "again.csv")["rows"] == len(rows)
        else:
            summary = convert(source, folder / "again.csv", sizes=sizes)
        assert (summary["kind"], summary["rows"]) == ("truths", len(rows))
        assert lines(folder / "again.csv") == sorted(rows, key=lambda row: row["ImageID"].encode())
        assert (folder / "again.csv").read_text(encoding="utf-8").partition("\n")[0] == ",".join(MORE)


@pytest.mark.slow
@given(rows=st.lists(results, max_size=12), header=st.permutations(RESULTS))
def test_every_cell_of_results_comes_back(rows: Rows, header: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = written(folder / "boxes.csv", tuple(header), rows)
        summary = convert(source, folder / "boxes.parquet", sizes=sizes_file(folder))
        convert(folder / "boxes.parquet", folder / "again.csv")
        assert summary["kind"] == "results"
        assert lines(folder / "again.csv") == sorted(rows, key=lambda row: row["ImageID"].encode())


def test_pixels_are_fraction_times_size_and_unknown_is_null(tmp_path: Path) -> None:
    rows = [line("b", XMin="0.0125", YMax="0.39166668", IsGroupOf="1"), line("a", IsGroupOf="-1", LabelName="/m/02")]
    sizes = {"image_id": ["a", "b"], "width": [640, 1024], "height": [480, 683]}
    pq.write_table(pa.table(sizes), tmp_path / "sizes.parquet")
    dataset = read(written(tmp_path / "boxes.csv", TRUTHS, rows), sizes=tmp_path / "sizes.parquet")
    found = [row for batch in dataset.batches for row in batch.to_pylist()]
    assert [row["xmin"] for row in found] == [0.0125 * 1024, 0.25 * 640]
    assert [row["ymax"] for row in found] == [0.39166668 * 683, 480]
    assert [row["iscrowd"] for row in found] == [1, None]
    assert [row["category_id"] for row in found] == [0, 1]
    assert dataset.categories == {0: "/m/01yrx", 1: "/m/02"}
    assert [image["image_id"] for image in dataset.images().to_pylist()] == ["b", "a"]


@pytest.mark.parametrize("header", [False, True])
def test_descriptions_name_the_labels_and_back(header: bool, tmp_path: Path) -> None:
    names = tmp_path / "classes.csv"
    names.write_text(f'{"LabelName,DisplayName" if header else ""}\n/m/02,"Dog, big"\n/m/01yrx,Cat\n')
    source = written(tmp_path / "boxes.csv", TRUTHS, [line("a"), line("b", LabelName="/m/02")])
    convert(source, tmp_path / "boxes.json", sizes=sizes_file(tmp_path), names=names)
    coco = json.loads((tmp_path / "boxes.json").read_text())
    assert coco["categories"] == [{"id": 0, "name": "Dog, big"}, {"id": 1, "name": "Cat"}]
    assert [box["category_id"] for box in coco["annotations"]] == [1, 0]
    convert(tmp_path / "boxes.json", tmp_path / "again.csv", names=names)
    back = lines(tmp_path / "again.csv")
    assert [row["LabelName"] for row in back] == ["/m/01yrx", "/m/02"]
    assert [[row[name] for name in ("XMin", "XMax", "YMin", "YMax")] for row in back] == [["0.25", "0.5", "0", "1"]] * 2


def test_sizes_come_from_the_headers_of_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.png")
    image.new("RGB", (5, 5)).save(tmp_path / "images" / "empty.png")
    source = written(tmp_path / "boxes.csv", TRUTHS, [line("a")])
    convert(source, tmp_path / "boxes.parquet", sizes=tmp_path / "images")
    row = pq.read_table(tmp_path / "boxes.parquet").to_pylist()[0]
    assert (row["xmin"], row["xmax"], row["ymax"], row["width"], row["height"]) == (7.5, 15, 20, 30, 20)


HEADER = "ImageID,LabelName,XMin,XMax,YMin,YMax\n"
BAD: dict[str, tuple[str, str]] = {
    "nothing": ("", "expected a header with the columns of Open Images .* got none called ImageID, LabelName"),
    "another header": ("id,x,y\n1,2,3\n", "got none called ImageID, LabelName, XMin, YMin, XMax, YMax"),
    "twice": ("ImageID,LabelName,XMin,XMax,YMin,YMax,XMin\n", "got one of them twice"),
    "short": (HEADER + "a,l,0,1,0\n", "line 2 of .*boxes.csv has 5 cells, and the header has 6: fix the line"),
    "text": (HEADER + "a,l,0,1,zero,1\n", "line 2 of .*boxes.csv has YMin 'zero': give a number"),
    "a flag": (
        HEADER.replace("YMax", "YMax,IsInside") + 3 * "a,l,0,1,0,1,0\n" + "a,l,0,1,0,1,0.5\n",
        "line 5 of .*boxes.csv has IsInside '0.5': give a whole number from -128 to 127",
    ),
    "pixels": (
        HEADER + "a,l,0,1,0,1\na,l,10,20,30,40\n",
        "line 3 of .*boxes.csv has a box in pixels: divide it by the image's width and height",
    ),
    "empty": (HEADER + "a,l,0,1,0,1\na,l,0,1,,1\n", "line 3 of .*boxes.csv has no YMin: give a number"),
    "no size": (
        HEADER + "nowhere,l,0,1,0,1\n",
        "the sizes of the images of .*boxes.csv, got none, for example of 'nowhere': give their folder, or a table",
    ),
    "no text": (
        HEADER + "a,\xff,0,1,0,1\n",
        "expected UTF-8 in .*boxes.csv, got byte 0xff in line 2: save it as UTF-8",
    ),
    "no text below": (
        HEADER + 2000 * "a,l,0,1,0,1\n" + "a,\xff,0,1,0,1\n",
        "expected UTF-8 in .*boxes.csv, got byte 0xff in line 2002",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_named_and_leave_nothing(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_bytes(text.encode("latin-1"))
    sizes = sizes_file(tmp_path)
    (tmp_path / "out.parquet").write_text("what was there")
    with pytest.raises(InputError, match=message) as caught:
        convert(tmp_path / "boxes.csv", tmp_path / "out.parquet", source_format="open-images", sizes=sizes)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out.parquet").read_text() == "what was there"
    assert sorted(os.listdir(tmp_path)) == ["boxes.csv", "out.parquet", "sizes.csv"]


def test_an_image_that_was_not_downloaded_is_left_out_with_a_warning(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "images").mkdir()
    image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "cut.jpg").touch()
    boxes = [(name, place) for place, name in enumerate(["a", "gone", "a", "cut", "gone", "a"])]
    lines = "".join(f"{name},l,0,1,0,0.{place}\n" for name, place in boxes)
    (tmp_path / "boxes.csv").write_text(HEADER + lines)
    said = r"left out of .*boxes.csv: 3 boxes in 2 images without a size \(gone, cut\): add the missing images"
    with pytest.warns(InputWarning, match=said):
        summary = convert(tmp_path / "boxes.csv", tmp_path / "out.parquet", sizes=tmp_path / "images")
    assert (summary["rows"], summary["images"]) == (3, 1)
    assert pq.read_table(tmp_path / "out.parquet")["ymax"].to_pylist() == [0, 4, 10]


@pytest.mark.parametrize("packed", [False, True])
def test_flags_in_the_ways_of_their_writers(packed: bool, tmp_path: Path) -> None:
    flags = ["0", "1", "-1", "1.0", "0.0", "True", "false", "", "3"]
    text = HEADER.replace("YMax", "YMax,IsInside,IsGroupOf")
    data = (text + "".join(f"a,l,0,1,0,1,{flag},{flag}\n" for flag in flags)).encode()
    source = tmp_path / ("boxes.csv.gz" if packed else "boxes.csv")
    source.write_bytes(gzip.compress(data) if packed else data)
    convert(source, tmp_path / "out.parquet", sizes=sizes_file(tmp_path))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["IsInside"].to_pylist() == [0, 1, -1, 1, 0, 1, 0, -1, 3]
    assert table["iscrowd"].to_pylist() == [0, 1, None, 1, 0, 1, 0, None, 3]


@pytest.mark.parametrize(
    "text",
    [
        "ImageID,Width,Height\na,30,20\n",
        "height,File_Name,width\n20,a.jpg,30\n",
        "image_id,width,height\na,30,20\na,30,20",
    ],
)
def test_tables_of_sizes_in_the_ways_of_their_writers(text: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(HEADER + "a,l,0,1,0,1\n")
    (tmp_path / "sizes.csv").write_text(text)
    convert(tmp_path / "boxes.csv", tmp_path / "out.parquet", sizes=tmp_path / "sizes.csv")
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert (row["image_id"], row["width"], row["height"]) == ("a", 30, 20)


def test_two_sizes_of_one_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(HEADER + "a,l,0,1,0,1\n")
    (tmp_path / "sizes.csv").write_text("image_id,width,height\na,30,20\nb,1,1\na,20,30\n")
    with pytest.raises(InputError, match="has two sizes of image 'a', 30x20 and 20x30: remove the wrong one"):
        convert(tmp_path / "boxes.csv", tmp_path / "out.parquet", sizes=tmp_path / "sizes.csv")


def test_without_sizes_one_sentence_says_what_to_give(tmp_path: Path) -> None:
    source = written(tmp_path / "boxes.csv", TRUTHS, [line()])
    result = CliRunner().invoke(main, ["convert", str(source), str(tmp_path / "out.parquet")])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: expected the sizes of the images of ")
    assert "--sizes" in result.stderr
    assert os.listdir(tmp_path) == ["boxes.csv"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0], "category_id": ["c"]}, "the width and height of every image .* got none of 'a'"),
        (
            {"x": [np.nan], "category_id": ["c"], "width": [9], "height": [9]},
            "finite numbers .* got xmin nan in .* 'a'",
        ),
        ({"x": [1.0], "category_id": [4], "width": [9], "height": [9]}, "a name for every category .* got none for 4"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(table: dict[str, Any], message: str, tmp_path: Path) -> None:
    whole = {"image_id": ["a"], **table, "y": [1.0], "w": [1.0], "h": [1.0]}
    pq.write_table(pa.table(whole), tmp_path / "boxes.parquet")
    with pytest.raises(InputError, match=message) as caught:
        convert(tmp_path / "boxes.parquet", tmp_path / "out.csv")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["boxes.parquet"]


def test_descriptions_must_know_every_label(tmp_path: Path) -> None:
    names, sizes = tmp_path / "classes.csv", sizes_file(tmp_path)
    source = written(tmp_path / "boxes.csv", TRUTHS, [line()])
    names.write_text("/m/02,Dog\n")
    with pytest.raises(InputError, match=r"boxes.csv has the label '/m/01yrx', which has no name: add it to the names"):
        convert(source, tmp_path / "out.parquet", sizes=sizes, names=names)
    names.write_text("/m/02\n")
    with pytest.raises(InputError, match=r"expected a label and its name in .*classes.csv, class 1, got '/m/02'"):
        convert(source, tmp_path / "out.parquet", sizes=sizes, names=names)
    with pytest.raises(
        InputError, match=r"nowhere.csv can't be read \(No such file or directory\): name an existing file"
    ):
        convert(source, tmp_path / "out.parquet", sizes=sizes, names=tmp_path / "nowhere.csv")


def test_nothing_gives_a_header(tmp_path: Path) -> None:
    dataset = read(written(tmp_path / "boxes.csv", RESULTS, []), sizes=sizes_file(tmp_path))
    write(dataset, tmp_path / "out.csv", digits=2)
    assert (tmp_path / "out.csv").read_text() == ",".join(RESULTS) + "\n"
