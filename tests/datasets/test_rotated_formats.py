"""File formats of rotated boxes: every number as written by hand, and round trips without a loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import Boxes, InputError, RotatedBoxes, jobs
from fastbox.datasets.convert import convert

DOTA = {
    "P0003": "imagesource:GoogleEarth\ngsd:0.146343590398\n"
    "2753.5 2408 2861 2385 2888 2468 2805.0625 2502 small-vehicle 1\n"
    "10 10 20 10 20 20 10 20 plane 0\n",
    "P0001": "imagesource:null\ngsd:null\n0 0 4 0 4 2 1 2 plane\n",
    "P0002": "",
}
QUADS = [
    [0, 0, 4, 0, 4, 2, 1, 2],
    [2753.5, 2408, 2861, 2385, 2888, 2468, 2805.0625, 2502],
    [10, 10, 20, 10, 20, 20, 10, 20],
]
NAMES = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")


@pytest.fixture
def dota(tmp_path: Path) -> Path:
    folder = tmp_path / "train" / "labelTxt"
    folder.mkdir(parents=True)
    for image, text in DOTA.items():
        (folder / f"{image}.txt").write_text(text)
    return tmp_path / "train"


def quads_of(path: Path) -> list[list[float]]:
    table = pq.read_table(path)
    return np.stack([table[name].to_numpy() for name in NAMES], axis=1).tolist()


def test_dota(dota: Path, tmp_path: Path) -> None:
    made = convert(dota, tmp_path / "boxes.parquet")
    assert made == {
        "kind": "truths", "rows": 3, "images": 3, "categories": 2, "images_without_boxes": 1, "images_left_out": 1,
    }  # fmt: skip
    assert quads_of(tmp_path / "boxes.parquet") == QUADS
    table = pq.read_table(tmp_path / "boxes.parquet")
    assert table["image_id"].to_pylist() == ["P0001", "P0003", "P0003"]
    assert table["category_id"].to_pylist() == [0, 1, 0] and table["difficult"].to_pylist() == [None, 1, 0]
    assert table["gsd"].to_pylist() == [None, 0.146343590398, 0.146343590398]
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert isinstance(chunk.a, RotatedBoxes) and chunk.a.geometry == "quads"


def test_dota_round_trip(dota: Path, tmp_path: Path) -> None:
    convert(dota, tmp_path / "again", out_format="dota")
    for image, text in DOTA.items():
        head = "" if text else "imagesource:null\ngsd:null\n"
        told = text.replace("1 2 plane\n", "1 2 plane 0\n")  # a missing difficulty is written as 0
        assert (tmp_path / "again" / "labelTxt" / f"{image}.txt").read_text() == head + told


def test_detections_of_dota(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "Task1_small-vehicle.txt").write_text("P2 0.5 0 0 4 0 4 2 1 2\nP1 0.25 1.5 0 4 0 4 2 1 2\n")
    (folder / "Task1_plane.txt").write_text("P2 1.0 5 5 9 5 9 9 5 9\n")
    made = convert(folder, tmp_path / "boxes.parquet")
    assert made["kind"] == "results" and made["rows"] == 3
    rows = pq.read_table(tmp_path / "boxes.parquet").to_pylist()
    assert [(row["image_id"], row["category_id"], row["score"], row["x1"]) for row in rows] == [
        ("P1", 1, 0.25, 1.5), ("P2", 0, 1.0, 5.0), ("P2", 1, 0.5, 0.0),
    ]  # fmt: skip
    convert(tmp_path / "boxes.parquet", tmp_path / "again", out_format="dota")
    again = (tmp_path / "again" / "Task1_small-vehicle.txt").read_text()
    assert again == "P1 0.25 1.5 0 4 0 4 2 1 2\nP2 0.5 0 0 4 0 4 2 1 2\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 4 5 6 7 8", r"P0009\.txt, line 3, got 8 words: '1 2 3"),
        ("1 2 3 4 5 6 7 x plane 0", r"8 numbers, a class and perhaps a difficulty in .*P0009\.txt, line 3"),
        ("1 2 3 4 5 6 7 1_0 plane 0", r"line 3"),
        ("1 2 3 4 5 6 7 8 plane hard", r"line 3"),
    ],
)
def test_wrong_lines_of_dota_are_named(dota: Path, tmp_path: Path, line: str, message: str) -> None:
    (dota / "labelTxt" / "P0009.txt").write_text(f"imagesource:x\ngsd:1\n{line}\n")
    with pytest.raises(InputError, match=message):
        convert(dota, tmp_path / "boxes.parquet")
    assert not (tmp_path / "boxes.parquet").exists()


@pytest.mark.compiler
def test_commands_read_dota(dota: Path) -> None:
    """The quadrilateral 0 0 4 0 4 2 1 2 has an area of 7, its rectangle one of 8."""
    truths = Boxes([[0, 0, 4, 2], [10, 10, 20, 20]], images=["P0001", "P0003"])
    assert jobs.pairs(dota, truths, metrics=["iou"]).to_dict()["metrics"]["iou"]["min"] == 7 / 8


@pytest.fixture
def obb(tmp_path: Path) -> Path:
    folder = tmp_path / "yolo" / "labels"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\n0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n")
    (folder / "b.txt").write_text("")
    (tmp_path / "yolo" / "sizes.csv").write_text("image_id,width,height\na,640,480\nb,8,8\n")
    return tmp_path / "yolo"


def test_yolo_obb(obb: Path, tmp_path: Path) -> None:
    made = convert(obb, tmp_path / "boxes.parquet")
    assert made["rows"] == 2 and made["images"] == 2
    wanted = [[320, 48, 576, 240, 320, 432, 64, 240], [160, 120, 320, 120, 320, 360, 160, 360]]
    assert quads_of(tmp_path / "boxes.parquet") == wanted
    convert(obb, tmp_path / "again", out_format="yolo-obb")
    assert (tmp_path / "again" / "labels" / "a.txt").read_text() == (obb / "labels" / "a.txt").read_text()


def test_yolo_obb_with_scores(obb: Path, tmp_path: Path) -> None:
    (obb / "labels" / "a.txt").write_text("1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5 0.75\n")
    made = convert(obb, tmp_path / "boxes.parquet", source_format="yolo-obb")
    assert made["kind"] == "results"
    assert pq.read_table(tmp_path / "boxes.parquet")["score"].to_pylist() == [0.75]


def test_wrong_lines_of_yolo_obb_are_named(obb: Path, tmp_path: Path) -> None:
    (obb / "labels" / "b.txt").write_text("1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\n0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(InputError, match=r"expected 9 numbers.* in .*b\.txt, line 2, got 5"):
        convert(obb, tmp_path / "boxes.parquet", source_format="yolo-obb")


def test_yolo_obb_in_pixels_is_told_by_any_corner(obb: Path, tmp_path: Path) -> None:
    (obb / "labels" / "b.txt").write_text("0 3 3 50 3 50 50 3 50\n")
    with pytest.raises(InputError, match=r"in .*b\.txt, line 1, .*its box is in pixels"):
        convert(obb, tmp_path / "boxes.parquet", source_format="yolo-obb")


@pytest.mark.compiler
def test_rectangles_become_quadrilaterals_and_back_by_name(tmp_path: Path) -> None:
    """From rectangles to corners without a loss; from corners to rectangles only when asked for."""
    table = {"boxes": RotatedBoxes([[10, 20, 4, 2, 90]], "cxcywhd", images=["a"]), "category_id": ["ship"]}
    convert(table, tmp_path / "dota", out_format="dota")
    told = (tmp_path / "dota" / "labelTxt" / "a.txt").read_text()
    assert told == "imagesource:null\ngsd:null\n11 18 11 22 9 22 9 18 ship 0\n"
    convert(table, tmp_path / "radians.parquet", out_box_format="ccw_cxcywhr")
    assert pq.read_table(tmp_path / "radians.parquet")["angle"].to_pylist() == [-np.pi / 2]
    with pytest.raises(InputError, match="expected rectangles to write as cxcywhd, got quadrilaterals: add rectangles"):
        convert(tmp_path / "dota", tmp_path / "boxes.parquet", out_box_format="cxcywhd")
    with pytest.raises(InputError, match="expected plain boxes to write voc, got rotated ones"):
        convert(tmp_path / "radians.parquet", tmp_path / "voc", out_format="voc")


@pytest.mark.compiler
def test_the_loss_of_rectangles_is_counted(dota: Path, tmp_path: Path) -> None:
    made = convert(dota, tmp_path / "boxes.parquet", rectangles=True, out_box_format="cxcywhd")
    quads = RotatedBoxes(QUADS, "xyxyxyxy")
    values = fastbox.aligned(quads, quads.rectangles())
    assert made["min_iou"] == values.min() < 0.9 and made["mean_iou"] == pytest.approx(values.mean())
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert chunk.a.format == "cxcywhd" and chunk.a.columns[2].tolist()[::2] == [4, 10]


def test_plain_boxes_are_written_as_corners(tmp_path: Path) -> None:
    """Those of an inverted box would be a valid quadrilateral the other way round."""
    table = {"boxes": Boxes([[1, 2, 4, 8], [4, 2, 1, 8]], images=["a"] * 2), "category_id": ["ship"] * 2}
    assert convert(table, tmp_path / "dota", out_format="dota")["invalid_boxes"] == 1
    lines = (tmp_path / "dota" / "labelTxt" / "a.txt").read_text().splitlines()
    assert lines[2:] == ["1 2 4 2 4 8 1 8 ship 0", f"{'nan ' * 8}ship 0"]


@pytest.mark.compiler
def test_invalid_quadrilaterals_become_no_rectangles(tmp_path: Path) -> None:
    quads = RotatedBoxes([[0, 0, 4, 2, 4, 0, 0, 2], [0, 0, 4, 0, 4, 2, 0, 2]], "xyxyxyxy", images=["a"] * 2)
    table = {"boxes": quads, "category_id": ["ship"] * 2}
    made = convert(table, tmp_path / "boxes.parquet", rectangles=True)
    assert (made["invalid_boxes"], made["min_iou"]) == (1, 1.0)
    assert np.isnan(pq.read_table(tmp_path / "boxes.parquet")["w"].to_numpy()).tolist() == [True, False]


SHIP = """<HRSC_Image>
  <Img_SizeWidth>1166</Img_SizeWidth><Img_SizeHeight>753</Img_SizeHeight>
  <Img_FileName>100000001</Img_FileName><Img_FileFmt>bmp</Img_FileFmt>
  <HRSC_Objects><HRSC_Object><Object_ID>100000001</Object_ID><Class_ID>100000013</Class_ID>
    <difficult>0</difficult><box_xmin>194</box_xmin><box_ymin>154</box_ymin>
    <mbox_cx>582.9349</mbox_cx><mbox_cy>353.2006</mbox_cy><mbox_w>778.4486</mbox_w><mbox_h>178.7402</mbox_h>
    <mbox_ang>-0.2785</mbox_ang></HRSC_Object></HRSC_Objects>
</HRSC_Image>"""


def test_hrsc(tmp_path: Path) -> None:
    pytest.importorskip("defusedxml", reason="XML is read by defusedxml")
    folder = tmp_path / "train" / "Annotations"
    folder.mkdir(parents=True)
    (folder / "100000001.xml").write_text(SHIP)
    convert(tmp_path / "train", tmp_path / "boxes.parquet")
    (row,) = pq.read_table(tmp_path / "boxes.parquet").to_pylist()
    assert row == {
        "image_id": "100000001", "category_id": 100000013, "cx": 582.9349, "cy": 353.2006, "w": 778.4486,
        "h": 178.7402, "angle": -0.2785, "difficult": 0, "truncated": None, "width": 1166, "height": 753,
    }  # fmt: skip
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert chunk.a.format == "cxcywhr"
    (folder / "100000001.xml").write_text(SHIP.replace("mbox_ang", "angle"))
    with pytest.raises(InputError, match=r"object 1 of .*100000001\.xml has no mbox_ang"):
        convert(tmp_path / "train", tmp_path / "again.parquet")
    with pytest.raises(InputError, match=r"hrsc .* only read"):
        convert(tmp_path / "boxes.parquet", tmp_path / "again", out_format="hrsc")


def coco(path: Path, *annotations: dict[str, Any]) -> Path:
    images = [{"id": 7, "width": 64, "height": 48, "file_name": "7.jpg"}]
    made = [{"id": k, "image_id": 7, "category_id": 1, **one} for k, one in enumerate(annotations, start=1)]
    path.write_text(json.dumps({"images": images, "annotations": made, "categories": [{"id": 1, "name": "ship"}]}))
    return path


def test_coco_of_detectron2(tmp_path: Path) -> None:
    """A bbox of five numbers: the angle in degrees, counter-clockwise; written so, too."""
    given = coco(tmp_path / "given.json", {"bbox": [10.5, 20, 8, 4, 30]}, {"bbox": [5, 5, 2, 1, -90], "iscrowd": 1})
    convert(given, tmp_path / "boxes.parquet")
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert chunk.a.format == "ccw_cxcywhd"
    assert np.stack(chunk.a.columns, axis=1).tolist() == [[10.5, 20, 8, 4, 30], [5, 5, 2, 1, -90]]
    convert(tmp_path / "boxes.parquet", tmp_path / "again.json")
    again = json.loads((tmp_path / "again.json").read_text())["annotations"]
    assert [(one["bbox"], one["area"], one["iscrowd"]) for one in again] == [
        ([10.5, 20, 8, 4, 30], 32, 0), ([5, 5, 2, 1, -90], 2, 1),
    ]  # fmt: skip


def test_coco_results_with_five_numbers(tmp_path: Path) -> None:
    one = {"image_id": "a", "category_id": 1, "bbox": [1, 2, 3, 4, 45], "score": 0.5}
    (tmp_path / "results.json").write_text(json.dumps([one]))
    assert convert(tmp_path / "results.json", tmp_path / "boxes.parquet")["kind"] == "results"
    convert(tmp_path / "boxes.parquet", tmp_path / "again.json", out_format="coco-results")
    assert json.loads((tmp_path / "again.json").read_text()) == [one]


@pytest.mark.parametrize("padding", [0, 300_000])  # a small file, and one that the kernels would read
def test_coco_of_hotcoco(tmp_path: Path, padding: int) -> None:
    given = coco(tmp_path / "given.json", {"bbox": [1, 2, 3, 4], "obb": [10, 20, 8, 4, 0.5], "note": " " * padding})
    convert(given, tmp_path / "boxes.parquet")
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert chunk.a.format == "cxcywhr" and [float(one[0]) for one in chunk.a.columns] == [10, 20, 8, 4, 0.5]


def test_polygons_of_coco_on_demand(tmp_path: Path) -> None:
    polygon = {"bbox": [0, 0, 4, 2], "segmentation": [[0, 0, 4, 0, 4, 2, 1, 2]]}
    given = coco(tmp_path / "given.json", polygon)
    convert(given, tmp_path / "plain.parquet")
    assert "x1" not in pq.read_schema(tmp_path / "plain.parquet").names
    convert(given, tmp_path / "boxes.parquet", quads=True)
    assert quads_of(tmp_path / "boxes.parquet") == [[0, 0, 4, 0, 4, 2, 1, 2]]
    coco(given, polygon, polygon | {"segmentation": [[0, 0, 4, 0, 4, 2]]})
    with pytest.raises(
        InputError, match=r"annotation 1 \(id 2, image_id 7\) of .*given\.json .* of 6 numbers: give one"
    ):
        convert(given, tmp_path / "again.parquet", quads=True)


def test_wrong_boxes_of_five_are_named(tmp_path: Path) -> None:
    given = coco(tmp_path / "given.json", {"bbox": [10.5, 20, 8, 4, 30]}, {"bbox": [5, 5, 2, 1]})
    with pytest.raises(
        InputError, match=r"annotation 1 \(id 2, image_id 7\) of .* of 4 numbers: give a list of the centre"
    ):
        convert(given, tmp_path / "boxes.parquet")


KITTI = """Car 0.00 0 -1.57 599 156 630 189 1.5 1.6 4.0 2.0 1.65 20.0 0.3
DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10
"""


@pytest.mark.compiler
def test_kitti_from_above(tmp_path: Path) -> None:
    """x, z, length, width and -rotation_y; the corners are those of KITTI's own rotation."""
    folder = tmp_path / "training" / "label_2"
    folder.mkdir(parents=True)
    (folder / "000007.txt").write_text(KITTI)
    convert(tmp_path / "training", tmp_path / "above.parquet", from_above=True)
    (row,) = pq.read_table(tmp_path / "above.parquet").to_pylist()
    assert [row[name] for name in ("cx", "cy", "w", "h", "angle")] == [2, 20, 4, 1.6, -0.3]
    assert row["height_3d"] == 1.5 and "xmin" not in row
    (chunk,) = fastbox.scan(tmp_path / "above.parquet")
    # Corners by KITTI's own rotation about y: x' = cos l/2 + sin w/2, z' = -sin l/2 + cos w/2.
    cos, sin = np.cos(0.3), np.sin(0.3)
    own = [[2 + cos * x + sin * z, 20 - sin * x + cos * z] for x, z in ((-2, -0.8), (2, -0.8), (2, 0.8), (-2, 0.8))]
    assert chunk.a.corners()[0] == pytest.approx(np.array(own))


@pytest.mark.compiler
def test_invalid_rectangles_become_no_valid_quadrilaterals(tmp_path: Path) -> None:
    """The page of an inspection draws those that have corners."""
    boxes = RotatedBoxes([[9, 9, -4, 2, 0], [9, 9, 4, 2, 0], [9, 9, 4, 2, 1e9]], "cxcywhd", images=["a"] * 3)
    table = {"boxes": boxes, "category_id": ["ship"] * 3}
    made = convert(table, tmp_path / "quads.parquet", out_box_format="xyxyxyxy")
    assert made["invalid_boxes"] == 2
    (chunk,) = fastbox.scan(tmp_path / "quads.parquet")
    assert chunk.a.invalid().tolist() == [1, 0, 1]
    jobs.inspect(table, report=tmp_path / "page.html")
    assert "angle_too_large" in (tmp_path / "page.html").read_text()
