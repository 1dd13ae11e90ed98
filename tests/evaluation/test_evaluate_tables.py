"""The tables of an evaluation: every part of the summary as rows, for pandas and others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from fastbox import jobs

TABLES = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"


@pytest.mark.slow
def test_the_tables_of_one_model_are_those_of_its_figures() -> None:
    found = jobs.evaluate(*TABLES, confusion_iou=0.5, samples=5)
    tables, evaluation = found.tables(), found.evaluation
    errors = {row["match_type"]: (row["count"], row["delta_ap"]) for row in tables["errors"]}
    own = evaluation.errors()
    assert errors["missed"] == (int(own.counts[:, -1].sum()), own.delta_ap["missed"])
    assert errors["matched"][1] is None
    by_iou = {(row["area_range"], row["iou"]): row["ap"] for row in tables["ap_by_iou"]}
    assert by_iou["small", 0.75] == evaluation.ap_by_iou()["small"][5]
    score = evaluation.confusion().score
    matrix = evaluation.confusion(score=score)
    assert [tuple(row.values()) for row in tables["confusion"]] == matrix.entries
    frame = tables["confusion"].to_pandas()
    assert int(frame["count"].sum()) == matrix.counts.sum()
    assert frame.equals(found.to_pandas("confusion"))
    chosen = evaluation.operating_points(samples=5)
    assert chosen.intervals is not None
    first, mean, *classes = tables["best_scores"]
    assert (first["of"], first["score"], first["f"]) == ("all classes", chosen.best.score, chosen.best.f)
    assert (first["score_low"], first["score_high"]) == chosen.intervals.best["score"]
    assert (mean["of"], mean["f"]) == ("mean of classes", chosen.best_macro.f)
    assert [row["class"] for row in classes] == evaluation.classes
    points = tables["operating_points"]
    assert all(np.diff([row["score"] for row in points]) < 0)
    place = int(np.flatnonzero(chosen.scores == points[100]["score"])[0])
    assert points[100]["recall"] == chosen.recall[place] and points[100]["macro"] == chosen.macro[place]


@pytest.mark.slow
def test_the_tables_of_models_side_by_side_name_the_model(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    shutil.copy(TABLES[0], other)
    found = jobs.evaluate(*TABLES, others=[other], compare=True, samples=3, confusion_iou=0.5)
    tables = found.tables()
    for name in ("errors", "ap_by_iou", "operating_points", "best_scores", "confusion"):
        assert list(dict.fromkeys(row["model"] for row in tables[name])) == ["detections", "other"], name
    (comparison,) = found.comparisons
    assert [row["both"] for row in tables["truths_found"]] == comparison.found[:, 0].tolist()
    assert tables["truths_found"][0]["other"] == "other"
    assert tables["comparisons"][0]["truths_both"] == comparison.found[:, 0].sum()
