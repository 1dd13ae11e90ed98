"""What evaluation takes is what is there: many classes and many models cost their own boxes, and no grid of all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import InputError, jobs

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
small.figures(), small.errors(), small.figures_by_class(), small.traced().precision()
before = peak()
"""
CLASSES = """
found = filled(60_000, 40_000, 30_000)
found.figures(), found.errors(), found.figures_by_class(), found.traced().precision()
print(peak() - before)
"""
MODELS = """
found = filled(60_000, 40_000, 5, runs=random.integers(0, 3_000, 60_000))
assert len(found.runs) == 3_000
for run in found.runs[::500]:
    assert found.errors(run).counts[:, -1].sum() > 36_000
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize(("code", "most"), [(CLASSES, 400), (MODELS, 200)], ids=["classes", "models"])
def test_many_classes_and_models_take_what_is_there(python: Callable[..., Any], code: str, most: int) -> None:
    """Whole curves of 30,000 classes would take 1.9 GB, every truth of 3,000 models 1.9 GB."""
    kib = 1 if sys.platform == "darwin" else 1024
    assert int(python(CODE + code).stdout) * kib < most << 20


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
