"""Jobs on tables of rotated boxes: the values of the functions, and outputs that keep their unit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import Boxes, InputError, RotatedBoxes, jobs

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

CROSS = RotatedBoxes([[0, 0, 4, 2, 0], [0, 0, 4, 2, 90], [0, 0, 4, 2, 0]], "cxcywhd", images=[1, 1, 2])
UPRIGHT = Boxes([[-2, -1, 2, 1], [9, 9, 10, 10]], images=[1, 2])


def test_pairs_of_a_cross(tmp_path: Path) -> None:
    """A cross of two bars of 4 x 2 has an IoU of 4 / 12; a table of plain boxes has the angle 0."""
    found = jobs.pairs(CROSS, threshold=0.3, metrics=["iou", "probiou"])
    assert found.pairs == 1 and found.metrics["iou"].mean == 4 / 12
    both = jobs.pairs(CROSS, UPRIGHT, tmp_path / "pairs.parquet", threshold=0.3, boxes=True)
    assert both.pairs == 2
    rows = pq.read_table(tmp_path / "pairs.parquet")
    assert rows["iou"].to_pylist() == [1, 4 / 12]
    assert rows["pred_angle"].to_pylist() == [0, 90] and rows["target_xmax"].to_pylist() == [2, 2]
    measured = jobs.measure(tmp_path / "pairs.parquet", tmp_path / "measured.parquet", metrics=["iof"])
    assert measured.metrics["iof"].mean == 0.75  # of 1 and 0.5
    assert list(jobs.measure(tmp_path / "measured.parquet").metrics) == ["iou", "giou"]  # the unit is still known


def test_the_best_truth_of_quadrilaterals(tmp_path: Path) -> None:
    quads = RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy", images=[1])
    jobs.pairs(quads, Boxes([[0, 0, 4, 2]], images=[1]), tmp_path / "best.parquet", best=True, boxes=True)
    (row,) = pq.read_table(tmp_path / "best.parquet").to_pylist()
    assert row["iou"] == 7 / 8 and row["pred_x4"] == 1 and row["target_ymax"] == 2


def test_nms_keeps_the_unit(tmp_path: Path) -> None:
    table = {"boxes": CROSS, "score": [0.9, 0.8, 0.7]}
    assert jobs.nms(table, tmp_path / "kept.parquet", iou_threshold=0.3).kept == 2
    (chunk,) = fastbox.scan(tmp_path / "kept.parquet")
    assert chunk.a.format == "cxcywhd" and chunk.a.columns[4].tolist() == [0, 0]
    jobs.nms(fastbox.Source(tmp_path / "kept.parquet", format="cxcywh"), tmp_path / "again.parquet")  # upright
    (chunk,) = fastbox.scan(tmp_path / "again.parquet")
    assert chunk.a.format == "cxcywhd"


def test_unsorted_tables_are_sorted(tmp_path: Path) -> None:
    order = np.array([2, 0, 1])
    columns = dict(zip(("cx", "cy", "w", "h", "angle"), (column[order] for column in CROSS.columns), strict=True))
    path = tmp_path / "boxes.parquet"
    pq.write_table(pa.table({"image_id": [2, 1, 1], **columns}, metadata={"box_format": "cxcywhd"}), path)
    assert jobs.pairs(path, threshold=0.3).metrics["iou"].mean == 4 / 12
    jobs.sort(path, tmp_path / "sorted.parquet")
    assert jobs.pairs(tmp_path / "sorted.parquet", threshold=0.3).pairs == 1


def test_invalid_boxes_by_reason() -> None:
    odd = RotatedBoxes([[0, 0, 1, 1, 2.0**21], [0, 0, -1, 1, 0], [0, 0, 1, 1, 0]], "cxcywhr", images=[1, 1, 1])
    counts = jobs.pairs(odd).to_dict()["invalid"]["detections"]
    assert counts == {"not_finite": 0, "inverted": 1, "angle_too_large": 1}


@pytest.mark.parametrize("metric", ["diou", "l1"])
def test_other_metrics_are_refused(tmp_path: Path, metric: str) -> None:
    with pytest.raises(InputError, match=f"expected a metric of rotated boxes .*, got '{metric}'"):
        jobs.pairs(CROSS, metrics=[metric])
    jobs.pairs(CROSS, UPRIGHT, tmp_path / "pairs.parquet", threshold=0.3, boxes=True)
    with pytest.raises(InputError, match="expected a metric of rotated boxes"):
        jobs.measure(tmp_path / "pairs.parquet", metrics=[metric])


def test_other_jobs_refuse_rotated_boxes() -> None:
    with pytest.raises(InputError, match=r"expected plain boxes in .* .*, got rotated boxes in cx, cy, w, h, angle"):
        jobs.fit_anchors(CROSS)


QUADS = [
    [0, 0, 40, 0, 40, 20, 0, 20],
    [0, 0, 40, 0, 40, 20, 10, 20],  # an area of 700 in a rectangle of 800
    [0, 0, 40, 20, 40, 0, 0, 20],
    [50, 50, 90, 50, 90, 50, 50, 90],
    [0, 0, 40, 0, 40, 20, 0, 20],
    [5, 5, 9, 5, 9, 5, 5, 5],
]


def problems(path: Path) -> list[tuple[str, int, float | None]]:
    table = pq.read_table(path)
    return [(row["code"], row["row"], row["value"]) for row in table.to_pylist() if row["code"] != "class_size"]


def test_problems_of_quadrilaterals(tmp_path: Path) -> None:
    table = {"boxes": RotatedBoxes(QUADS, "xyxyxyxy", images=[1] * 6), "category_id": [1] * 6}
    out, fixed = tmp_path / "problems.parquet", tmp_path / "fixed.parquet"
    found = jobs.inspect(table, None, out, fix=fixed)
    assert problems(out) == [
        ("not_a_rectangle", 1, 0.875),
        ("edges_cross", 2, None),
        ("not_a_rectangle", 3, 0.5),
        ("repeated_corner", 3, None),
        ("duplicate", 4, None),
        ("repeated_corner", 5, None),
        ("zero_side", 5, 0.0),
    ]
    assert found.to_dict()["invalid"]["boxes"] == {"not_finite": 0, "inverted": 0, "edges_cross": 1}
    assert found.to_dict()["fix"] == {
        "rows": 3, "clipped": 0, "dropped": {"duplicate": 1, "edges_cross": 1, "zero_side": 1},
    }  # fmt: skip
    (chunk,) = fastbox.scan(fixed)
    assert np.stack(chunk.a.columns, axis=1).tolist() == [QUADS[0], QUADS[1], QUADS[3]]


def test_the_page_draws_the_corners_of_rotated_boxes(tmp_path: Path) -> None:
    boxes = RotatedBoxes([[60, 60, 80, 20, 30], [60, 60, 80, 20, 31]], "cxcywhd", images=[1, 1])
    found = jobs.inspect({"boxes": boxes, "category_id": [1, 1]}, None, report=tmp_path / "page.html")
    (example,) = found.to_dict()["problems"][0]["examples"]
    corners = boxes.corners().reshape(2, 8).tolist()
    assert (example["outline"], example["other_outline"]) == (corners[1], corners[0])
    page = (tmp_path / "page.html").read_text().replace("\xa0", " ")
    assert page.count('<polygon class="problem"') == page.count('<polygon class="box"') == 1
    assert "80.00 × 20.00, 31°" in page and "80.00 × 20.00, 30°" in page


@pytest.mark.parametrize(
    ("told", "angle", "codes"),
    [
        ("cxcywhr", 90.0, ["degrees_as_radians"]),
        ("cxcywhr", 6.28, []),
        ("cxcywhd", 360.5, ["angle_beyond_turn"]),
        ("cxcywhd", -360.0, []),
        ("ccw_cxcywhr", 2.0**21, ["angle_too_large"]),
    ],
)
def test_problems_of_angles(tmp_path: Path, told: str, angle: float, codes: list[str]) -> None:
    out, fixed = tmp_path / "problems.parquet", tmp_path / "fixed.parquet"
    table = {"boxes": RotatedBoxes([[50, 50, 40, 20, angle]], told, images=[1])}
    jobs.inspect(table, None, out, fix=fixed)
    assert [code for code, *_ in problems(out)] == codes
    kept = [chunk.a.columns[4].tolist() for chunk in fastbox.scan(fixed)]
    assert kept == ([] if codes == ["angle_too_large"] else [[angle]])


def test_a_turned_box_beyond_its_image_is_not_clipped(tmp_path: Path) -> None:
    """The frame of a square of 20 at 45 degrees reaches 14.14 px from its centre."""
    table = {"boxes": RotatedBoxes([[10, 50, 20, 20, 45]], "cxcywhd", images=[1]), "width": [100], "height": [100]}
    out, fixed = tmp_path / "problems.parquet", tmp_path / "fixed.parquet"
    jobs.inspect(table, None, out, fix=fixed)
    ((code, _, value),) = problems(out)
    assert code == "out_of_image" and value == pytest.approx(200**0.5 - 10)
    assert pq.read_table(fixed)["w"].to_pylist() == [20]


def test_pages_draw_turned_boxes(tmp_path: Path) -> None:
    """The view of the cross is 100 wide: a square around its frame with a margin."""
    pytest.importorskip("jinja2", reason="pages are made with the extra report")
    page = tmp_path / "pairs.html"
    jobs.pairs(CROSS, threshold=0.3, report=page)
    text = page.read_text()
    points = [
        [float(number) for number in found.replace(",", " ").split()]
        for found in re.findall(r'<polygon class="\w+" points="([^"]*)"', text)
    ]
    assert len(points) == 2  # the one pair
    wide, high = np.ptp(np.reshape(points, (2, 4, 2)), axis=1).T
    assert high / wide == pytest.approx([2, 0.5], abs=0.01)
    assert re.findall(r"(?:other|box): [^<]*, (\S+)°", text) == ["90", "0"]
