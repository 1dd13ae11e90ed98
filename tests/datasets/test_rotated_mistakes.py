"""Files of rotated boxes that are mixed, mistaken for others or read in part: refused, or with a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fastbox import Boxes, InputError, InputWarning
from fastbox.datasets.convert import convert

LINE = "0 0 4 0 4 2 1 2"
BOM = "\ufeff"


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("padding", [0, 300_000])  # a small file, and one that the kernels would read
@pytest.mark.parametrize("results", [False, True])
@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({}, r"has no obb \(its keys: .*\): add its obb, as others"),
        ({"obb": None}, "has no obb, but null"),
        ({"bbox": [0, 0, 4, 2, 30]}, "has no obb"),
    ],
)
def test_an_obb_in_some_annotations_alone_is_refused(
    tmp_path: Path, padding: int, results: bool, first: dict[str, Any], message: str
) -> None:
    plain = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 2], "score": 0.5, "note": " " * padding}
    boxes = [plain | first, plain | {"obb": [1, 1, 4, 2, 0.3]}]
    given = tmp_path / "given.json"
    given.write_text(json.dumps(boxes if results else {"images": [{"id": 1}], "annotations": boxes, "categories": []}))
    with pytest.raises(InputError, match=rf"(annotation|result) 0 \(image_id 1\) of .* {message}"):
        convert(given, tmp_path / "boxes.parquet")
    assert not (tmp_path / "boxes.parquet").exists()


def test_an_obb_that_is_null_everywhere_is_ignored(tmp_path: Path) -> None:
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 2], "score": 0.5, "obb": None}]
    (tmp_path / "given.json").write_text(json.dumps(boxes))
    convert(tmp_path / "given.json", tmp_path / "boxes.parquet")
    assert "angle" not in pq.read_schema(tmp_path / "boxes.parquet").names


def test_detections_of_one_class_in_two_folders_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "dota", {f"{name}/Task1_plane.txt": f"P1 0.5 {LINE}\n" for name in "ba"})
    with pytest.raises(InputError, match=r"a/Task1_plane.txt and b/Task1_plane.txt in .* are both of class 'plane'"):
        convert(folder, tmp_path / "boxes.parquet")


def test_labels_and_detections_in_one_folder_bring_a_warning(tmp_path: Path) -> None:
    detections = {"Task1_plane.txt": f"P1 0.5 {LINE}\n", "notes.txt": "made by hand\n"}
    labels = f"imagesource:x\ngsd:1\n{LINE} plane\n"
    together = written(tmp_path / "together", {**detections, "labels/P1.txt": labels})
    with pytest.warns(InputWarning, match=r"and labels too, such as labels/P1\.txt: the labels are left out"):
        assert convert(together, tmp_path / "boxes.parquet")["kind"] == "results"
    apart = written(tmp_path / "apart", {**detections, "labelTxt/P1.txt": labels})
    with pytest.warns(InputWarning, match=r"has labels, in labelTxt, and detections too, such as Task1_plane\.txt"):
        assert convert(apart, tmp_path / "boxes.parquet")["kind"] == "truths"
    convert(written(tmp_path / "alone", detections), tmp_path / "boxes.parquet")  # other text brings no warning


@pytest.mark.parametrize(
    ("files", "third"),
    [
        ({"P1.txt": f"{BOM}{LINE} plane\n"}, 4.0),
        ({"Task1_plane.txt": f"{BOM}P1 0.5 {LINE}\n"}, 4.0),
        (
            {
                "labels/a.txt": f"{BOM}0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\n",
                "sizes.csv": "image_id,width,height\na,10,10\n",
            },
            5.0,
        ),
    ],
    ids=["labels", "detections", "yolo-obb"],
)
def test_byte_order_marks_hide_no_format(tmp_path: Path, files: dict[str, str], third: float) -> None:
    convert(written(tmp_path / "folder", files), tmp_path / "boxes.parquet")
    assert pq.read_table(tmp_path / "boxes.parquet")["x3"].to_pylist() == [third]


SLANTED = "0 0.51 0.12 0.93 0.5 0.5 0.9 0.1 0.53"
UPRIGHT = "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9"


@pytest.mark.parametrize(
    ("lines", "warned"),
    [
        ([SLANTED], True),
        ([f"{SLANTED} 0.5"], True),
        ([SLANTED, UPRIGHT], True),
        ([UPRIGHT], False),
        ([SLANTED, f"{SLANTED} 0.2 0.2"], False),
        ([SLANTED, "0 0.5 0.5 0.1 0.1"], False),
    ],
    ids=["slanted", "scored", "some upright", "all upright", "a polygon of five", "a box"],
)
def test_polygons_of_four_points_throughout_bring_a_warning(tmp_path: Path, lines: list[str], warned: bool) -> None:
    files = {f"labels/{name}.txt": f"{line}\n" for name, line in zip("ab", lines, strict=False)}
    folder = written(tmp_path / "yolo", {**files, "sizes.csv": "image_id,width,height\na,10,10\nb,10,10\n"})
    if warned:
        with pytest.warns(InputWarning, match=r"all lines .* four points.*: if .*rotated.* source_format='yolo-obb'"):
            convert(folder, tmp_path / "boxes.parquet")
    else:
        convert(folder, tmp_path / "boxes.parquet")


def test_corners_in_pixels_are_named_where_lines_are_read_as_polygons(tmp_path: Path) -> None:
    files = {"labels/a.txt": "0 3 3 50 3 50 50 3 50\n", "sizes.csv": "image_id,width,height\na,64,64\n"}
    with pytest.raises(
        InputError, match=r"line 1, .* if these are pixels, divide them by the image's width and height$"
    ):
        convert(written(tmp_path / "yolo", files), tmp_path / "boxes.parquet")


def test_truths_that_become_plain_where_difficulty_has_no_place_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """VOC's rules ignore difficult truths, and would count them in such an output."""
    folder = written(tmp_path / "dota", {"P1.txt": f"{LINE} plane 1\n{LINE} plane 0\n{LINE} plane\n"})
    (tmp_path / "sizes.csv").write_text("image_id,width,height\nP1,10,10\n")
    convert(folder, tmp_path / "obb", out_format="yolo-obb", sizes=tmp_path / "sizes.csv")
    assert "yolo-obb has no place for difficult, and 1 box becomes plain: write Parquet, VOC or DOTA" in caplog.text
    caplog.clear()
    convert(folder, tmp_path / "boxes.parquet")
    convert(tmp_path / "boxes.parquet", tmp_path / "again", out_format="dota")
    words = {"boxes": Boxes([[0, 0, 4, 2]], images=["a"]), "category_id": [1], "difficult": ["hard"]}
    convert(words, tmp_path / "words.json")
    assert not caplog.text


def test_python_is_told_the_arguments_of_convert(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("image_id,category_id,cx,cy,w,h,angle\n1,1,10,20,4,2,30\n")
    with pytest.raises(
        InputError, match=r"got none: give format='cxcywhr' \(radians\) or format='cxcywhd' \(degrees\)$"
    ):
        convert(tmp_path / "boxes.csv", tmp_path / "boxes.parquet")


def test_written_corners_that_look_like_polygons_are_recognized(tmp_path: Path) -> None:
    folder = written(tmp_path / "dota", {"P1.txt": f"{LINE} plane\n"})
    (tmp_path / "sizes.csv").write_text("image_id,width,height\nP1,10,10\n")
    convert(folder, tmp_path / "obb", out_format="yolo-obb", sizes=tmp_path / "sizes.csv")
    convert(tmp_path / "obb", tmp_path / "boxes.parquet")
    assert pq.read_table(tmp_path / "boxes.parquet")["x4"].to_pylist() == [1.0]
    (tmp_path / "obb" / "labels" / "P1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    convert(tmp_path / "obb", tmp_path / "boxes.parquet")  # the task alone makes no corners
    assert "w" in pq.read_schema(tmp_path / "boxes.parquet").names
