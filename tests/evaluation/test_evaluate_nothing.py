"""`fastbox evaluate` of nothing: no boxes, images, classes or models, in every format and with every option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import fastbox
from fastbox import jobs
from fastbox.cli import main

BOX = [("x", pa.float64()), ("y", pa.float64()), ("w", pa.float64()), ("h", pa.float64())]
FOUND = pa.schema(
    [("image_id", pa.int64()), ("category_id", pa.int64()), *BOX, ("score", pa.float64()), ("by", pa.string())]
)
WANTED = pa.schema([("image_id", pa.int64()), ("category_id", pa.int64()), *BOX, ("iscrowd", pa.int8())])
ROW = {"image_id": 1, "category_id": 1, "x": 0.0, "y": 0.0, "w": 9.0, "h": 9.0, "score": 0.5, "by": "one", "iscrowd": 0}
CROWD = ROW | {"iscrowd": 1}
SIDES: dict[str, tuple[list[Any], list[Any]]] = {
    "nothing": ([], []),
    "no detections": ([], [ROW]),
    "no truths": ([ROW], []),
    "crowds alone": ([ROW], [CROWD]),
    "invalid alone": ([ROW | {"w": float("nan")}], [ROW | {"h": -1.0}]),
    "no scores": ([ROW | {"score": float("nan")}], [ROW]),
}
OPTIONS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "bootstrap": ("--bootstrap", "5"),
    "all classes": ("--class-agnostic", "--bootstrap", "3"),
    "by": ("--by", "by"),
    "by, bootstrap": ("--by", "by", "--bootstrap", "70"),
    "rules": ("--iou-thresholds", "0.3", "--max-dets", "5", "--areas", "all:0-10"),
}


def tables(folder: Path, side: str, rows: bool = True) -> tuple[Path, Path]:
    found, wanted = SIDES[side]
    for name, listed, schema in (("dt", found, FOUND), ("gt", wanted, WANTED)):
        pq.write_table(pa.Table.from_pylist(listed, schema), folder / f"{name}.parquet")
    return folder / "dt.parquet", folder / "gt.parquet"


def call(*arguments: Any) -> Any:
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("side", SIDES)
def test_nothing_has_defined_figures(tmp_path: Path, side: str, options: str) -> None:
    paths, out = tables(tmp_path, side), tmp_path / "out.parquet"
    found = json.loads(call(*paths, *OPTIONS[options], "--json", "-o", out).stdout)
    assert pq.read_table(out).num_rows == len(SIDES[side][0])
    call(*paths, *OPTIONS[options], "--report", tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()
    parts = json.loads(call(*paths, *OPTIONS[options], "--json", "-o", f"{tmp_path}/parts/").stdout)
    assert parts == found
    models = list(found["models"].values()) if "models" in found else [found]
    # A box of 9 by 9 is out of the range of the rules, one of 9 by -1 out of every range.
    expected = 0.0 if side in ("no detections", "no scores") and options != "rules" else -1.0
    for model in models:
        assert model["stats"]["AP"] == expected
        assert model["errors"]["counts"]["matched"] == 0
        if "intervals" in model:
            assert model["intervals"]["AP"] in ([None, None], [0.0, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("detections", [[], [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5}]])
def test_empty_lists_of_json(tmp_path: Path, listed: bool, detections: list[Any]) -> None:
    if detections and not listed:
        return
    lists = (
        {"images": [{"id": 1}], "categories": [{"id": 1, "name": "a"}]} if listed else {"images": [], "categories": []}
    )
    (tmp_path / "gt.json").write_text(json.dumps(lists | {"annotations": []}))
    (tmp_path / "dt.json").write_text(json.dumps(detections))
    for options in OPTIONS.values():
        if "--by" not in options:
            found = json.loads(call(tmp_path / "dt.json", tmp_path / "gt.json", *options, "--json").stdout)
            assert set(found["stats"].values()) == {-1.0}
            call(tmp_path / "dt.json", tmp_path / "gt.json", *options, "--report", tmp_path / "page.html")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("by", [None, "by"])
def test_results_of_nothing_are_shown_in_python(tmp_path: Path, side: str, by: str | None) -> None:
    found = jobs.evaluate(*tables(tmp_path, side), by=by, samples=2)
    assert isinstance(found._repr_html_(), str)
    assert all(isinstance(rows, list) for rows in found.tables().values())
    assert found.to_arrow().num_rows >= 0
    for run in found.evaluation.models:
        assert found.evaluation.errors(run).counts.shape == (len(found.evaluation.classes), 8)
        found.evaluation.calibration(run), found.evaluation.pairs(run), found.evaluation.curves(run)


def test_arrays_of_nothing() -> None:
    none = np.empty((0, 4))
    for boxes, scores, truths in ((none, [], none), (none, [], [[0, 0, 4, 4]]), ([[0, 0, 4, 4]], [1.0], none)):
        found = fastbox.evaluate(boxes, scores, truths)
        assert found.stats()["AP"] == (0.0 if len(truths) else -1.0)
        assert len(found.bootstrap(samples=3)["AP"]) == 3
        assert found.to_dict()["warnings"] == []
        empty = fastbox.evaluate(
            boxes, scores, truths, classes=np.zeros(len(boxes), int), truth_classes=[7] * len(truths)
        )
        assert empty.stats()["AP"] == (0.0 if len(truths) else -1.0)
        assert isinstance(empty._repr_html_(), str)
