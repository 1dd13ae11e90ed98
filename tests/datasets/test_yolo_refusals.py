"""YOLO labels that cannot be used are named by file and line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.yolo import LINES, coco, put, rows_of

from fastbox.datasets.formats.yolo import read, write
from fastbox.errors import InputError


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
        r"got 8: .*: the line looks like keypoints: write kpt_shape: \[1, 3\] in data.yaml",
    ),
    "hidden ones": (
        "0 .5 .5 .2 .2 .5 .5 1 0 0 0 .45 .55 0",
        r"got 14: .* the line looks like keypoints: write kpt_shape: \[3, 3\]",
    ),
    "keypoints elsewhere": (
        "0 .5 .5 .1 .1 .9 .9 .8 .8 .9 2 ",
        r"no polygon lies so far outside of its image; if these are key.*\[2, 3\] or",
    ),
    "a score and a track": (
        "0 .5 .5 .1 .1 .9 12",
        r"got 7: '.*: no polygon lies so far .*; remove the last number if .* write kpt_shape: \[1, 2\]",
    ),
    "pixels": ("0 320 240.5 50 60", "got 5: .*: its box is in pixels: divide it by the image's width and height"),
    "turned": (
        "0 .5 .2 .8 .5 .5 .8 .2 .5",
        r"got 9: .*: the line looks like a rotated box \(OBB\): name the format",
    ),
    "turned little": ("0 .1 .2 .4 .21 .39 .31 .09 .3", "the line looks like a rotated box"),
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
        InputError, match=r"a.txt, line 2, got 6: .*: its last number is not a score from 0 to 1: remove the number"
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
    put(tmp_path, {"labels/a.txt": f"{line}\n1 0 0 1 0 1 1", "sizes.csv": "image_id,width,height\na,1,1"})
    points = list(map(float, line.split()[1:]))
    row, _ = rows_of(read(tmp_path))
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
        r"a\.png is not an image whose size can be read: copy it here again",
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
        r"data\.yaml is not YAML in line 1, column 10: fix this place",
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
