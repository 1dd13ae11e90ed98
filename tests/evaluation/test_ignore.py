"""Truths that are not to count (`ignore`), on every way from a file to a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fastbox import jobs
from fastbox.datasets.convert import convert

KITTI = (
    "Car 0.00 0 -1.57 10.00 10.00 50.00 50.00 1.5 1.6 3.7 0.4 1.5 69.4 -1.56\n"
    "Pedestrian 0.00 0 -1.57 100.00 10.00 120.00 60.00 1.5 1.6 3.7 0.4 1.5 69.4 -1.56\n"
    "DontCare -1 -1 -10 200.00 10.00 240.00 50.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
)


def instances(*flags: dict[str, Any]) -> dict[str, Any]:
    annotations = [
        {"id": k + 1, "image_id": 1, "category_id": 1, "bbox": [50 * k, 0, 40, 40], "area": 1600, **flag}
        for k, flag in enumerate(flags)
    ]
    categories = [{"id": 1, "name": "thing"}]
    return {"images": [{"id": 1, "width": 640, "height": 480}], "categories": categories, "annotations": annotations}


def ignored(path: Path) -> list[int]:
    return [annotation.get("ignore", 0) for annotation in json.loads(path.read_text())["annotations"]]


@pytest.mark.parametrize("value", [1, True])
def test_ignore_goes_from_json_to_tables_and_back(tmp_path: Path, value: Any) -> None:
    source, table, back = tmp_path / "gt.json", tmp_path / "gt.parquet", tmp_path / "back.json"
    source.write_text(json.dumps(instances({}, {"ignore": value}, {"ignore": 0, "iscrowd": 1})))
    convert(source, table)
    assert pq.read_table(table)["ignore"].to_pylist() == [0, 1, 0]
    assert pq.read_table(table)["iscrowd"].to_pylist() == [0, 0, 1]
    convert(table, back)
    assert ignored(back) == [0, 1, 0]
    again = tmp_path / "again.json"
    convert(back, again)
    assert again.read_text() == back.read_text()


LOST = [
    ("yolo", 2, 1),
    ("voc", 2, 1),
    ("kitti", 2, 1),
    ("c.odgt", 0, 1),
    ("o.csv", 2, 0),
    ("p.parquet", 0, 0),
    ("j.json", 0, 0),
]


@pytest.mark.parametrize(("out", "ignored", "crowds"), LOST)
def test_marks_that_the_target_has_no_place_for_are_said(
    out: str, ignored: int, crowds: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "gt.json"
    source.write_text(json.dumps(instances({}, {"ignore": 1}, {"ignore": 1, "iscrowd": 1})))
    convert(source, tmp_path / out, out_format=out if "." not in out else None)
    found = caplog.messages
    assert len(found) == bool(ignored) + bool(crowds)
    assert any(
        f"no place for ignore, and {ignored} boxes become plain: write Parquet or COCO" in one for one in found
    ) is bool(ignored)
    assert any("no place for iscrowd, and 1 box becomes plain: write Parquet or COCO" in one for one in found) is bool(
        crowds
    )


def test_without_ignore_a_table_has_no_such_column(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(instances({}, {})))
    convert(tmp_path / "gt.json", tmp_path / "gt.parquet")
    assert "ignore" not in pq.read_table(tmp_path / "gt.parquet").column_names


@pytest.mark.parametrize(
    "ways", [(), ("json",), ("parquet",), ("json", "parquet"), ("parquet", "json", "parquet", "json")]
)
def test_dont_care_is_ignored_however_it_was_converted(tmp_path: Path, ways: tuple[str, ...]) -> None:
    labels = tmp_path / "kitti" / "label_2"
    labels.mkdir(parents=True)
    (labels / "000001.txt").write_text(KITTI)
    path: Path = tmp_path / "kitti"
    for step, extension in enumerate(("parquet", *ways)):
        convert(path, tmp_path / f"{step}.{extension}")
        path = tmp_path / f"{step}.{extension}"
    boxes = [(0, [10, 10, 40, 40]), (3, [100, 10, 20, 50]), (8, [200, 10, 40, 40])]
    results = [{"image_id": "000001", "category_id": kind, "bbox": box, "score": 0.9} for kind, box in boxes]
    (tmp_path / "dt.json").write_text(json.dumps(results))
    found = jobs.evaluate(tmp_path / "dt.json", path).to_dict()
    assert found["stats"]["AP"] == pytest.approx(1.0)
    counts = found["errors"]["counts"]
    assert (counts["matched"], counts["ignored"], counts["missed"]) == (2, 1, 0)
    convert(path, tmp_path / "again", out_format="kitti")
    assert (tmp_path / "again" / "label_2" / "000001.txt").read_text().split()[::15] == KITTI.split()[::15]


def test_json_with_ignore_is_evaluated_as_without_these_truths_and_what_lies_on_them(tmp_path: Path) -> None:
    detections = [
        {"image_id": 1, "category_id": 1, "bbox": [50 * k, 0, 40, 40], "score": 0.9 - k / 10} for k in range(4)
    ]
    (tmp_path / "dt.json").write_text(json.dumps(detections))
    (tmp_path / "gt.json").write_text(json.dumps(instances({"ignore": 1}, {}, {"ignore": 1}, {})))
    found = jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json")
    (tmp_path / "few.json").write_text(json.dumps(instances({}, {}, {}, {}) | {
        "annotations": [one for one in instances({}, {}, {}, {})["annotations"] if one["id"] % 2 == 0]
    }))  # fmt: skip
    (tmp_path / "few_dt.json").write_text(json.dumps(detections[1::2]))
    few = jobs.evaluate(tmp_path / "few_dt.json", tmp_path / "few.json")
    own, its = ({name: value for name, value in one.stats[None].items() if name != "AR1"} for one in (found, few))
    assert own == its
