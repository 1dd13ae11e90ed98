"""Tables, names and thresholds that cannot be used are refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.unsorted import boxes

from fastbox import Boxes, InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread


@pytest.mark.jit
def test_fitted_anchors_are_assigned(tmp_path: Path) -> None:
    rows, fitted = boxes([1, 1, 2, 2, 3, 3]), tmp_path / "fitted.json"
    jobs.fit_anchors(rows, fitted, count=6)
    grid = AnchorGrid.from_fit(fitted)
    assert grid.strides == (8, 16)
    wanted = jobs.assign(rows, grid, resize=Resize("none", 64, 64)).to_dict()
    pq.write_table(rows, tmp_path / "t.parquet")
    command = ["assign", str(tmp_path / "t.parquet"), "--anchors", str(fitted), "--size", "64x64"]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["positives"] == wanted["positives"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"levels": 2, "anchors": [{"width": 1, "height": 2}]}', "\x00"])
def test_what_are_no_fitted_anchors_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(
        InputError, match=r"fitted anchors in .*f\.json, got other content: write them with jobs\.fit_anchors"
    ):
        AnchorGrid.from_fit(tmp_path / "f.json")
    with pytest.raises(InputError, match=r"a file of fitted anchors, got .*none\.json, No such file"):
        AnchorGrid.from_fit(tmp_path / "none.json")


# In memory


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (5, "expected detections as a path, a frame, a dict of arrays or Boxes, got int"),
        ({"a": [1]}, r"columns of boxes in detections \(a dict\)"),
        (
            {"image_id": [1, 2], "bbox": [[0, 0, 1, 1]]},
            "columns of one length in detections .*, got 2 in 'image_id', 1",
        ),
        ({"image_id": [1, "a"], "bbox": [[0, 0, 1, 1]] * 2}, "one type in column 'image_id' of detections"),
        (Boxes([[0, 0, 1, 1]]), "a column 'score' in detections"),
        ([], "at least one file, got an empty list"),
        (None, "expected detections as a path, a frame, a dict of arrays or Boxes, got NoneType: name a file"),
        ([1, 2, 3], "a path, a frame, a dict of arrays or Boxes, got int in a list"),
        ({}, r"columns of boxes in detections \(a dict\).*, got no columns"),
        (pa.table({}), r"columns of boxes in detections \(a Table\).*, got no columns"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        jobs.nms(given)


@pytest.mark.parametrize("metric", ["iou", "iof", "ios", "giou", "diou", "ciou", "eiou"])
def test_a_threshold_that_no_pair_can_reach_is_refused(metric: str) -> None:
    table = boxes([1, 1, 2])
    assert jobs.pairs(table, threshold=1, metrics=[metric]).pairs == 0
    with pytest.raises(InputError, match=rf"of {metric} of at most 1, got 50: as a share of 1 it is 0\.5$"):
        jobs.pairs(table, threshold=50, metrics=[metric])
    with pytest.raises(InputError, match=r"got 500: no pair reaches more$"):
        jobs.pairs(table, threshold=500, metrics=[metric])


def test_a_distance_below_zero_is_refused_as_threshold_and_so_is_text() -> None:
    table = boxes([1, 1, 2])
    assert jobs.pairs(table, threshold=500, metrics=["l1"]).pairs == 1
    for metric in ("l1", "smooth_l1"):
        with pytest.raises(InputError, match=f"a threshold of {metric} of 0 or more, got -1"):
            jobs.pairs(table, threshold=-1, metrics=[metric])
    with pytest.raises(TypeError, match="expected threshold as a number, got 'half'"):
        jobs.pairs(table, threshold="half")  # type: ignore[arg-type]
    refused = CliRunner().invoke(main, ["pairs", "data/truths.parquet", "--threshold", "95"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "as a share of 1 it is 0.95" in refused.stderr


def test_generators_of_names_are_held_against_outputs(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(boxes([1, 2], score=[0.5, 0.9]), path)
    before = path.read_bytes()
    assert jobs.nms(tmp_path.glob("*.parquet")).kept == 2
    for job in (jobs.nms, jobs.sort):
        with pytest.raises(InputError, match="choose another output path"):
            job(tmp_path.glob("*.parquet"), path)  # type: ignore[operator]
    with pytest.raises(InputError, match="holds the input"):
        spread(jobs.nms, tmp_path.glob("*.parquet"), out=tmp_path, overwrite=True)
    assert path.read_bytes() == before


def test_a_name_that_leads_to_nothing_says_which_is_like_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(boxes([1], score=[0.5]), "detections.parquet")
    for name, says in (
        ("detectons.parquet", r"got no file detectons\.parquet \(did you mean detections\.parquet\?\)$"),
        ("detections.parqet", r"got no file detections\.parqet \(did you mean detections\.parquet\?\)$"),
        ("there/d.parquet", r"got no file there/d\.parquet \(there is no folder there\)$"),
        ("detections.json", r"got no file detections\.json \(did you mean detections\.parquet\?\)$"),
        ("x.parquet", r"got no file x\.parquet$"),
        ("nothere.parquet", r"got no file nothere\.parquet$"),  # an ending in common is no likeness
    ):
        with pytest.raises(InputError, match=says):
            jobs.nms(name)
    with pytest.raises(InputError, match=r"expected a folder to write .*: make it with mkdir -p '?.*new one'?$"):
        jobs.nms("detections.parquet", "new one/kept.parquet")


@pytest.mark.parametrize("option", ["--high", "--low"])
def test_anchors_are_not_assigned_by_an_iou_that_none_reaches(option: str) -> None:
    command = [
        "assign",
        "data/truths.parquet",
        "--anchors",
        "retinanet",
        "--resize",
        "shorter=800,longer=1333",
        option,
        "50",
    ]
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert option in refused.stderr
    assert "range 0<=x<=1" in refused.stderr


def test_a_pattern_of_other_files_matches_nothing_hidden(tmp_path: Path) -> None:
    text = "image_id,category_id,xmin,ymin,xmax,ymax\n1,2,0,0,4,4\n"
    for name in ("a.csv", "_b.csv", ".c.csv"):
        (tmp_path / name).write_text(text)
    for pattern in (f"{tmp_path}/*.csv", f"{tmp_path}/**/*.csv"):
        assert jobs.nms(pattern, score_column="xmax").boxes == 1
        assert jobs.convert(pattern, tmp_path / "out.parquet")["rows"] == 1


@pytest.mark.parametrize(
    ("names", "option", "python"),
    [
        (("bbox", "kind"), "--class-column FIELD", "class_column=FIELD"),
        (("place", "category"), "--box FIELD", "box=FIELD"),
    ],
)
def test_a_refusal_names_the_call_that_takes_its_option(
    tmp_path: Path, names: tuple[str, str], option: str, python: str
) -> None:
    path, (box, category) = tmp_path / "ragged.parquet", names
    row = {"image_id": 1, "width": 9, "height": 9, "objects": {box: [[0.0, 0.0, 5.0, 5.0]], category: [0]}}
    pq.write_table(pa.Table.from_pylist([row]), path)
    with pytest.raises(InputError) as refused:
        jobs.inspect(path)
    call = f"jobs.convert({str(path)!r}, 'boxes.parquet')"
    assert str(refused.value).endswith(f"name it with {python}: give this option to {call}, and read its output")
    said = CliRunner().invoke(main, ["inspect", str(path)]).stderr
    call = f"`fastbox convert {path} boxes.parquet`"
    assert said.endswith(f"name it with {option}: give this option to {call}, and read its output\n")


def test_a_refusal_of_two_rows_of_an_image_names_the_call_that_takes_its_option(tmp_path: Path) -> None:
    path = tmp_path / "ragged.parquet"
    row = {"image_id": 1, "width": 9, "height": 9, "objects": {"bbox": [[0.0, 0.0, 5.0, 5.0]], "category": [0]}}
    pq.write_table(pa.Table.from_pylist([row, row]), path)
    with pytest.raises(InputError, match=r"with image_column=COLUMN: give this option to jobs\.convert\("):
        jobs.inspect(path)
