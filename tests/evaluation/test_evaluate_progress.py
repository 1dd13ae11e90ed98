"""The progress of an evaluation counts the matching and the figures of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import jobs
from fastbox.evaluation import Evaluation

ROWS, MODELS = 101, 3


def tables(folder: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(5)
    boxes = (random.random((ROWS, 4)) * 50).tolist()
    rows = {"image_id": np.arange(ROWS) // 10, "category_id": random.integers(0, 2, ROWS), "bbox": boxes}
    more = {"score": random.random(ROWS), "model": [f"model {k}" for k in random.integers(0, MODELS, ROWS)]}
    pq.write_table(pa.table(rows | more), folder / "d.parquet")
    pq.write_table(pa.table(rows), folder / "t.parquet")
    return folder / "d.parquet", folder / "t.parquet"


def events(monkeypatch: pytest.MonkeyPatch, *given: Any, **options: Any) -> list[Any]:
    """The numbers reported, and a word for each model whose samples are drawn."""
    said: list[Any] = []
    bootstrap = Evaluation.bootstrap

    def told(*args: Any, **kwargs: Any) -> Any:
        said.append("samples")
        return bootstrap(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Evaluation, "bootstrap", told)
        jobs.evaluate(*given, progress=said.append, rows=30, **options).to_dict()
    return said


def counts(said: list[Any]) -> list[int]:
    return [count for count in said if isinstance(count, int)]


def test_half_of_the_detections_are_done_with_the_figures_of_their_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = events(monkeypatch, *tables(tmp_path), by="model", samples=3)
    assert sum(counts(said)) == ROWS
    begin = said.index("samples")
    assert sum(said[:begin]) == ROWS // 2
    assert [isinstance(one, int) for one in said[begin:]] == [False, True] * MODELS
    assert max(counts(said[begin:])) <= -(-ROWS // (2 * MODELS)) + 1


@pytest.mark.parametrize("options", [{}, {"samples": 2}, {"by": "model"}])
def test_all_detections_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    said = counts(events(monkeypatch, *tables(tmp_path), **options))
    assert sum(said) == ROWS
    assert len(said) > 2


def test_figures_wait_until_asked_for_where_nobody_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluation, "bootstrap", lambda *args, **kwargs: pytest.fail("samples were drawn"))
    jobs.evaluate(*tables(tmp_path), by="model", samples=3)
