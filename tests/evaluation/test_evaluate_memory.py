"""What evaluation takes is what is there: many classes and many models cost their own boxes, and no grid of all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import fastbox
from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.evaluation import Evaluation
from fastbox.report.page.write import render
from fastbox.report.pages.evaluated import page_of

CODE = """
import resource
import numpy as np, fastbox
from fastbox.evaluation import Evaluation
random = np.random.default_rng(0)

def boxes(n):
    corner, side = random.random((n, 2)) * 500, random.random((n, 2)) * 90 + 9
    return fastbox.Boxes(np.hstack((corner, side)), "xywh", images=np.sort(random.integers(0, 500, n)))

def filled(n, m, many, **more):
    found = Evaluation()
    kinds = {"classes": random.integers(0, many, n), "truth_classes": random.integers(0, many, m)}
    found.add(boxes(n), random.random(n), boxes(m), **kinds, **more)
    return found

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small = filled(200, 200, 5)
small.stats(), small.errors(), small.stats_by_class(), small.traced().precision()
before = peak()
"""
CLASSES = """
found = filled(60_000, 40_000, 30_000)
found.stats(), found.errors(), found.stats_by_class(), found.traced().precision()
print(peak() - before)
"""
MODELS = """
found = filled(60_000, 40_000, 5, models=random.integers(0, 3_000, 60_000))
assert len(found.models) == 3_000
for model in found.models[::500]:
    assert found.errors(model).counts[:, -1].sum() > 36_000
print(peak() - before)
"""
DETECTIONS = """
detections, truths, scores = boxes(3_000_000), boxes(20_000), random.random(3_000_000)
before = peak()
found = fastbox.evaluate(detections, scores, truths, params=fastbox.Params(max_dets=[10_000]))
found.stats(), found.errors(), found.calibration()
print(peak() - before)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize(
    ("code", "most"),
    [(CLASSES, 400), (MODELS, 200), pytest.param(DETECTIONS, 240, marks=pytest.mark.jit)],
    ids=["classes", "models", "detections"],
)
def test_many_classes_and_models_take_what_is_there(python: Callable[..., Any], code: str, most: int) -> None:
    """Whole curves of 30,000 classes would take 1.9 GB, every truth of 3,000 models 1.9 GB.

    Three million detections would take 310 MiB with the matches of all in memory at once.
    """
    kib = 1 if sys.platform == "darwin" else 1024
    assert int(python(CODE + code).stdout) * kib < most << 20


@pytest.mark.jit
def test_more_classes_than_memory_holds_are_refused(tmp_path: Path) -> None:
    ids = np.arange(40_000)
    boxes = {"image_id": ids, "category_id": ids, "bbox": [[0.0, 0, 4, 4]] * len(ids), "score": np.ones(len(ids))}
    pq.write_table(pa.table(boxes), tmp_path / "boxes.parquet")
    fastbox.set_memory("512MiB")
    try:
        with pytest.raises(InputError, match=r"expected classes that fit in 512 MiB of memory, got [\d,]+ classes"):
            jobs.evaluate(tmp_path / "boxes.parquet", tmp_path / "boxes.parquet", tmp_path / "out.parquet")
    finally:
        fastbox.set_memory(None)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.jit
@pytest.mark.parametrize("by", [None, "found_by"])
@pytest.mark.parametrize("models", [0, 1, 7])
def test_json_is_written_a_model_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: int, by: str | None
) -> None:
    ids = np.arange(10 * models)
    boxes = {"image_id": ids // 5, "category_id": ids % 3, "bbox": [[0.0, 0, 4, 4]] * len(ids), "score": ids / 99}
    found = {
        name: pa.array(column, pa.list_(pa.float64()) if name == "bbox" else None) for name, column in boxes.items()
    }
    pq.write_table(pa.table(found | {"found_by": ids % max(models, 1)}), tmp_path / "boxes.parquet")
    result = jobs.evaluate(tmp_path / "boxes.parquet", tmp_path / "boxes.parquet", by=by, samples=3)
    whole = json.dumps({"schema": 1, **result.to_dict()}, indent=2, allow_nan=False)
    assert "".join(result.to_json()) == whole
    command = ["evaluate", *[str(tmp_path / "boxes.parquet")] * 2, *(() if by is None else ("--by", by))]
    said = CliRunner().invoke(main, [*command, "--bootstrap", "3", "--json"])
    assert said.stdout == whole + "\n"
    if by is None:
        return
    made: list[Any] = []
    figures = Evaluation.figures

    def counted(found: Evaluation, model: Any, *asked: Any) -> Any:
        made.append(model)
        return figures(found, model, *asked)

    monkeypatch.setattr(Evaluation, "figures", counted)
    parts = result.to_json()
    next(parts)
    for model in range(models):
        assert len(made) == model
        assert json.loads("{" + next(parts).lstrip("{,") + "}").keys() == {str(model)}


@pytest.mark.slow
def test_a_page_has_details_of_the_best_models_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.arange(200)
    right = np.where(ids // 5 % 20 > ids % 20, 0.0, 50.0)
    boxes = {"image_id": ids // 20, "score": ids / 200, "model": ids % 20, "x": right, "y": right, "w": ids * 0 + 9}
    pq.write_table(pa.table(boxes | {"h": ids * 0 + 9}), tmp_path / "dt.parquet")
    pq.write_table(
        pa.table({"image_id": np.arange(10), **dict.fromkeys("xy", np.zeros(10)), "w": [9] * 10, "h": [9] * 10}),
        tmp_path / "gt.parquet",
    )
    rules = fastbox.Params(class_agnostic=True)
    found = jobs.evaluate(tmp_path / "dt.parquet", tmp_path / "gt.parquet", by="model", params=rules)
    whole = page_of(found.to_dict())
    detailed: list[Any] = []
    figures = Evaluation.figures

    def counted(found: Evaluation, model: Any, asked: Any, details: bool) -> Any:
        detailed.extend([model] * details)
        return figures(found, model, asked, details)

    monkeypatch.setattr(Evaluation, "figures", counted)
    page = found.page()
    assert render(page) == render(whole)
    assert 0 < len(detailed) < 20
