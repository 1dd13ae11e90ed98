"""`fastbox evaluate` of tables of rotated boxes: the figures of the function, by IoU and by ProbIoU."""

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
from fastbox import RotatedBoxes, jobs
from fastbox.cli import main

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library


@pytest.fixture
def tables(tmp_path: Path) -> tuple[dict[str, Any], list[str]]:
    """Truths of two classes in ten images, and detections beside them turned by some degrees."""
    random = np.random.default_rng(0)
    images, classes = np.arange(60) // 6, np.array(["plane", "ship"])[np.arange(60) % 2]
    truths = np.column_stack([random.uniform(0, 500, (60, 2)), np.full(60, 60.0), np.full(60, 15.0), np.zeros(60)])
    boxes = truths + random.normal(0, 1, (60, 5)) * [2, 2, 1, 1, 14]
    scores, difficult = random.permutation(60) / 60, random.random(60) < 0.2
    files = []
    sides = {"detections": (boxes, {"score": scores}), "truths": (truths, {"difficult": difficult})}
    for name, (side, more) in sides.items():
        columns = dict(zip(("cx", "cy", "w", "h", "angle"), side.T, strict=True))
        table = pa.table({"image_id": images, "category_id": classes, **columns, **more})
        pq.write_table(table.replace_schema_metadata({"box_format": "cxcywhd"}), tmp_path / f"{name}.parquet")
        files.append(str(tmp_path / f"{name}.parquet"))
    given = {
        "detections": RotatedBoxes(boxes, "cxcywhd", images=images),
        "scores": scores,
        "truths": RotatedBoxes(truths, "cxcywhd", images=images),
        "classes": classes,
        "truth_classes": classes,
        "ignore": difficult,
    }
    return given, files


def invoke(*given: str) -> str:
    found = CliRunner().invoke(main, ["evaluate", *given], env={"COLUMNS": "120"})
    assert found.exit_code == 0, found.output
    return found.stdout


def test_figures_of_a_table_are_those_of_the_function(tables: tuple[dict[str, Any], list[str]], tmp_path: Path) -> None:
    given, files = tables
    out = tmp_path / "matched.parquet"
    found = json.loads(invoke(*files, "--rule", "voc12", "--metric", "probiou", "-o", str(out), "--json"))
    wanted = fastbox.evaluate(**given, rule="voc12", metric="probiou")
    assert found["stats"] == wanted.stats()
    assert (found["rules"]["metric"], found["rules"]["strict"]) == ("probiou", True)
    assert list(found["calibration"]) == ["ece", "edges", "counts", "scores", "precision", "probiou"]
    assert pq.read_table(out).column_names == ["image_id", "detection", "match_type", "truth", "probiou"]
    counted = json.loads(invoke(*files, "--rule", "voc12", "--difficult", "count", "--json"))
    params = fastbox.Params(rule="voc12", difficult="count")
    assert counted["stats"] == fastbox.evaluate(**given, params=params).stats()


def test_both_metrics_side_by_side(tables: tuple[dict[str, Any], list[str]]) -> None:
    given, files = tables
    shown = invoke(*files, "--rule", "voc12", "--metric", "iou,probiou")
    by = {metric: fastbox.evaluate(**given, rule="voc12", metric=metric) for metric in ("iou", "probiou")}
    for metric, found in by.items():
        row = next(line for line in shown.splitlines() if line.split()[0] == metric)
        assert f"mAP {found.stats()['mAP']:.4f}" in row
    true, more = (by[metric].outcomes()["true"] for metric in ("iou", "probiou"))
    assert true < more
    assert f"{true} detections are true by IoU, {more - true:+} by ProbIoU" in shown
    both = jobs.compare_rules(*files, rules=["coco", "voc12"], metrics=["iou", "probiou"]).to_dict()
    assert [(row["rule"], row["metric"]) for row in both["rules"]] == [
        *(("coco", "iou"), ("coco", "probiou"), ("voc12", "iou"), ("voc12", "probiou"))
    ]


def test_models_side_by_side_and_a_page(tables: tuple[dict[str, Any], list[str]], tmp_path: Path) -> None:
    given, (detections, truths) = tables
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(detections).slice(10), other)
    found = json.loads(invoke(detections, str(other), truths, "--compare", "--bootstrap", "5", "--json"))
    wanted = fastbox.evaluate(**given | {"ignore": None})  # COCO's rule does not read the column of difficult truths
    assert found["models"]["detections"]["stats"] == wanted.stats()
    pytest.importorskip("jinja2", reason="needs the extra report")
    page = tmp_path / "page.html"
    invoke(detections, truths, "--metric", "probiou", "--report", str(page))
    assert "ProbIoU ≥ 0.50" in page.read_text()
    assert '<polygon class="truth"' in page.read_text() and '<polygon class="detection"' in page.read_text()


def test_what_is_refused(tables: tuple[dict[str, Any], list[str]]) -> None:
    _, files = tables
    for more, message in (
        (["--metric", "giou"], "expected a metric to match by of iou, probiou, got 'giou'"),
        (["--rule", "kitti"], "expected plain boxes with rule 'kitti', got rotated ones"),
        (["--metric", "iou,probiou", "--report", "page.html"], "expected one metric with --report"),
        (
            ["--difficult", "count"],
            "expected an option of rule 'coco', got --difficult: it is one of rule",
        ),
    ):
        found = CliRunner().invoke(main, ["evaluate", *files, *more])
        assert found.exit_code != 0 and message in found.output
        assert "Traceback" not in found.output
