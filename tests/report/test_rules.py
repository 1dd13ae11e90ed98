"""Summaries say what their figures depend on: on the terminal, as JSON and on pages, for every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.pages import parsed

from fastbox.cli import main

BOXES, PAIRS = "boxes.parquet", "pairs.parquet"

# The command, what its terminal and page say, and what its JSON holds under "rules".
CASES: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {
    "pairs": (
        ["pairs", BOXES, BOXES, "--threshold", "0.25", "--metrics", "giou,iou"],
        ["GIoU ≥ 0.25", "class-agnostic"],
        {"metric": "giou", "threshold": 0.25, "sign": "≥", "mode": "threshold", "class_column": None},
    ),
    "pairs by distance and class": (
        ["pairs", BOXES, BOXES, "--threshold", "7", "--metrics", "smooth_l1", "--per-class", "--beta", "2"],
        ["Smooth L1 ≤ 7 px", "per class (category_id)", "Smooth L1 with beta 2 px"],
        {"threshold": 7.0, "sign": "≤", "class_column": "category_id", "beta": 2.0},
    ),
    "best pairs": (
        ["pairs", BOXES, BOXES, "--best"],
        ["of best IoU", "class-agnostic"],
        {"mode": "best", "threshold": None, "metric": "iou"},
    ),
    "measure": (
        ["measure", PAIRS, "--metrics", "smooth_l1,huber_loss", "--beta", "3", "--delta", "4"],
        ["Smooth L1 with beta 3 px", "Huber loss with delta 4 px"],
        {"beta": 3.0, "delta": 4.0},
    ),
    "nms": (
        ["nms", BOXES, "--iou-threshold", "0.35"],
        ["IoU > 0.35", "per class (category_id)"],
        {"method": "nms", "iou_threshold": 0.35, "class_column": "category_id", "min_score": None},
    ),
    "soft nms": (
        ["nms", BOXES, "--method", "soft-gaussian", "--sigma", "0.4", "--class-agnostic"],
        ["soft-gaussian with sigma 0.4", "class-agnostic", "scores ≥ 0.001"],
        {"method": "soft-gaussian", "sigma": 0.4, "min_score": 0.001, "class_column": None},
    ),
    "fuse": (
        ["fuse", BOXES, BOXES, "-o", "fused.parquet", "--iou-threshold", "0.6", "--weights", "2,1"],
        ["fused at IoU > 0.60", "weights 2, 1", "per class (category_id)", "confidence avg"],
        {"iou_threshold": 0.6, "weights": [2.0, 1.0], "conf_type": "avg"},
    ),
    "assign": (
        ["assign", BOXES, "--anchors", "retinanet", "--resize", "shorter=100,longer=200", "--high", "0.6"],
        [
            "positive at IoU ≥ 0.60 or best for a truth, negative below 0.40",
            "anchors retinanet",
            "shorter side to 100 px",
        ],
        {"rule": "fastbox", "thresholds": [0.4, 0.6], "anchors": "retinanet", "lengths": [100.0, 200.0]},
    ),
    "anchors": (
        ["anchors", BOXES, "--count", "2", "--resize", "640", "--min-side", "3"],
        ["images resized to 640", "image sizes by width, height", "boxes of 3 px and more"],
        {"size_columns": ["width", "height"], "image_size": None},
    ),
    "evaluate": (
        ["evaluate", BOXES, BOXES, "--iou-thresholds", "0.5,0.75", "--max-dets", "1,7"],
        ["IoU ≥ 0.50, 0.75", "per class", "at most 1, 7 detections", "small below 32² px"],
        {"iou_thresholds": [0.5, 0.75], "max_dets": [1, 7], "class_agnostic": False},
    ),
    "inspect": (
        ["inspect", BOXES, "--near", "0.8", "--huge", "0.5"],
        ["near-duplicates at IoU ≥ 0.80", "huge above 50%", "image sizes by width, height", "classes by category_id"],
        {"class_column": "category_id", "size_columns": ["width", "height"]},
    ),
    "suspects": (
        ["suspects", BOXES, BOXES, "--min-score", "0.4", "--by", "width"],
        ["scores ≥ 0.40", "suspicion ≥ 0.50", "per class (category_id)", "votes of models by width"],
        {"min_score": 0.4, "min_suspicion": 0.5, "by": "width", "models": 1, "score_column": "score"},
    ),
    "disagreement": (
        ["experiment", "disagreement", PAIRS, "--beta", "2"],
        ["Smooth L1 with beta 2 px"],
        {"beta": 2.0},
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with boxes and pairs, to be worked in."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (60, 2))
    corners = np.concatenate([low, low + rng.uniform(5, 30, (60, 2))], axis=1)
    columns = dict(zip(("xmin", "ymin", "xmax", "ymax"), corners.T, strict=True))
    ids = {"image_id": np.repeat(np.arange(10), 6), "category_id": np.arange(60) % 3, "score": np.linspace(0, 1, 60)}
    pq.write_table(pa.table({**ids, **columns, "width": [100] * 60, "height": [100] * 60}), tmp_path / BOXES)
    sides = {
        f"{side}_{name}": values + k for k, side in enumerate(("pred", "target")) for name, values in columns.items()
    }
    pq.write_table(pa.table(sides), tmp_path / PAIRS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(arguments: list[str]) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_rules_are_on_the_terminal_and_in_json(folder: Path, name: str) -> None:
    if name == "anchors":
        pytest.importorskip("scipy", reason="anchors are fitted with the extra optimize")
    given, sentences, rules = CASES[name]
    text = call(given)
    assert [sentence for sentence in sentences if sentence not in text] == []
    found = json.loads(call([*given, "--json"]))["rules"]
    assert {key: found.get(key) for key in rules} == rules


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in CASES if CASES[name][0][0] in {"pairs", "assign", "evaluate", "inspect", "suspects"}]
)
def test_the_rules_are_on_the_page(folder: Path, name: str) -> None:
    pytest.importorskip("jinja2", reason="pages need the extra report")
    pytest.importorskip("matplotlib", reason="pages need the extra report")
    given, sentences, _ = CASES[name]
    call([*given, "--report", "page.html"])
    text = "".join(parsed((folder / "page.html").read_text("utf-8")).texts)
    assert [sentence for sentence in sentences if sentence not in text] == []
