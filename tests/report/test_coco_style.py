"""`fastbox evaluate --style coco`: the lines of pycocotools, to the letter."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from support.paths import ROOT

from fastbox.cli import main
from fastbox.evaluation.core import Evaluation
from fastbox.report.terminal.coco import show_coco

DETECTIONS, TRUTHS = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"


def call(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_lines_are_those_of_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    call("convert", TRUTHS, tmp_path / "truths.json", "--to", "coco")
    call("convert", DETECTIONS, tmp_path / "detections.json", "--to", "coco-results")
    made = json.loads((tmp_path / "truths.json").read_text())
    found = {one["image_id"] for one in json.loads((tmp_path / "detections.json").read_text())}
    made["images"] += [
        {"id": image, "width": 640, "height": 480} for image in found - {one["id"] for one in made["images"]}
    ]
    (tmp_path / "truths.json").write_text(json.dumps(made))
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        truths = coco.COCO(tmp_path / "truths.json")
        reference = cocoeval.COCOeval(truths, truths.loadRes(str(tmp_path / "detections.json")), "bbox")
        reference.evaluate()
        reference.accumulate()
        with contextlib.redirect_stdout(said):
            reference.summarize()
    assert len(said.getvalue().splitlines()) == 12
    assert call("evaluate", DETECTIONS, TRUTHS, "--style", "coco") == said.getvalue()


def test_figures_that_are_not_shown_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = Evaluation.errors
    monkeypatch.setattr(Evaluation, "errors", lambda *given: asked.append(given) or real(*given))
    assert len(call("evaluate", DETECTIONS, TRUTHS, "--style", "coco").splitlines()) == 12
    assert not asked
    call("evaluate", DETECTIONS, TRUTHS)
    assert asked


def test_each_model_has_its_lines_and_nothing_to_measure_is_minus_one() -> None:
    rules = {"iou_thresholds": [0.3, 0.7], "area_ranges": {"all": [0, 1e10], "tiny": [0, 9]}, "max_dets": [5, 20]}
    models = {
        name: {"stats": {"AP": value, "AP50": -1, "AP_tiny": 0.25, "AR5": 1}} for name, value in (("a", 0.5), ("b", 0))
    }
    console = Console(file=io.StringIO(), width=80, highlight=False)
    show_coco(console, {"by": "model", "rules": rules, "models": models})
    assert console.file.getvalue().splitlines()[:5] == [  # type: ignore[attr-defined]
        "model a",
        " Average Precision  (AP) @[ IoU=0.30:0.70 | area=   all | maxDets= 20 ] = 0.500",
        " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets= 20 ] = -1.000",
        " Average Precision  (AP) @[ IoU=0.30:0.70 | area=  tiny | maxDets= 20 ] = 0.250",
        " Average Recall     (AR) @[ IoU=0.30:0.70 | area=   all | maxDets=  5 ] = 1.000",
    ]
