"""The columns that an evaluation reads: of models, classes, scores, images and boxes, named or found."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.misread import Scene, warned

import fastbox
from fastbox import jobs
from fastbox.cli import main
from fastbox.errors import on_command_line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "model", "Detector", "experiment", "Model Name", "model-id"])
def test_models_that_nobody_told_apart_are_said(tmp_path: Path, name: str) -> None:
    scene = Scene()
    models = np.array(["one", "two"])[np.arange(len(scene.score)) % 2]
    detections, truths = scene.write(tmp_path, **{name: models})
    (sentence,) = warned(detections, truths)
    assert sentence.startswith(f"column {name!r} of {detections} has several values ('one' to 'two')")
    assert sentence.endswith(f"evaluate each by itself with by={name!r}")
    with on_command_line():
        assert warned(detections, truths)[0].endswith(f"with --by {shlex.quote(name)}")
    assert warned(detections, truths, by=name) == []
    assert warned(*scene.write(tmp_path, **{name: np.full(len(models), "one")})) == []
    assert warned(*scene.write(tmp_path, note=models)) == []


def test_models_are_told_without_statistics_too(tmp_path: Path) -> None:
    scene = Scene()
    models = np.arange(len(scene.score)) // 399
    detections, truths = scene.write(tmp_path, model=models)
    pq.write_table(pq.read_table(detections), detections, write_statistics=False)
    assert "column 'model' of" in jobs.evaluate(detections, truths).warnings[0]
    pq.write_table(pq.read_table(scene.write(tmp_path, model=models * 0)[0]), detections, write_statistics=False)
    assert jobs.evaluate(detections, truths).warnings == []


@pytest.mark.parametrize("role", ["class_column", "score_column", "image", "boxes"])
def test_a_column_that_is_used_tells_no_models_apart(tmp_path: Path, role: str) -> None:
    """Classes of cars may be called by their model."""
    tables = Scene().write(tmp_path)
    own = {"class_column": "category_id", "score_column": "score", "image": "image_id", "boxes": "x"}[role]
    for path in tables:
        names = pq.read_table(path).column_names
        pq.write_table(pq.read_table(path).rename_columns(["model" if name == own else name for name in names]), path)
    if role == "image":
        found = jobs.evaluate(*(fastbox.Source(path, image="model") for path in tables))
    elif role == "boxes":
        found = jobs.evaluate(*(fastbox.Source(path, boxes="model,y,w,h", format="xywh") for path in tables))
    else:
        found = jobs.evaluate(*tables, **{role: "model"})
    assert found.warnings == [] and found.stats[None]["AP50"] > 0.8


def test_a_terminal_shows_warnings_and_what_figures_depend_on(tmp_path: Path) -> None:
    detections, truths = Scene().write(tmp_path, format="xyxy", called="xywh", model=np.arange(400) % 3)
    result = CliRunner().invoke(main, ["evaluate", str(detections), str(truths)], env={"COLUMNS": "400"})
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum(line.startswith("warning: ") for line in lines) == 2
    for said in (
        "images in both tables: 40; in detections only: 0; in truths only: 0",
        "columns: score, class category_id, image image_id",
        "boxes of both: x, y, w, h (xywh)",
    ):
        assert said in lines
    assert "IoU ≥ 0.50 to 0.95" in result.stdout and "at most 1, 10, 100 detections of an image" in result.stdout


def test_names_and_columns_of_boxes_can_be_told(tmp_path: Path) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    for path, names in ((detections, ("a", "b", "c", "d")), (truths, ("p", "q", "r", "s"))):
        table = pq.read_table(path)
        pq.write_table(table.rename_columns({**dict(zip("xywh", names, strict=True))}), path)
    (tmp_path / "names.txt").write_text("".join(f"thing {k}\n" for k in range(21)))
    options = ("--box", "a,b,c,d", "--truth-box", "p,q,r,s", "--format", "xywh", "--names", str(tmp_path / "names.txt"))
    result = CliRunner().invoke(main, ["evaluate", str(detections), str(truths), "--json", *options])
    found = json.loads(result.stdout)
    assert found["warnings"] == [] and found["by_class"][4]["name"] == "thing 5"
    assert found["boxes"]["truths"] == {"columns": "p, q, r, s", "format": "xywh"}
    named = (fastbox.Source(detections, "a,b,c,d", "xywh"), fastbox.Source(truths, "p,q,r,s", "xywh"))
    told = jobs.evaluate(*named, names=[f"thing {k}" for k in range(21)]).to_dict()
    assert {"schema": 1, **told} == found
