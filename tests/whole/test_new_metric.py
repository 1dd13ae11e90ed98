"""A new metric is one formula and one record: in a copy of the package it then works in every function and command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import WITHOUT_JIT

import fastbox

PACKAGE = Path(fastbox.__file__).parent

FORMULA = '''

@device
def dice(a, b, beta):
    """Compute twice the intersection over the sum of the areas (Dice 1945)."""
    return ratio(type(a.x0)(2) * intersection(a, b), a.area + b.area)
'''

RECORD = '\nMETRICS["dice"] = Metric("Dice", (0.0, 1.0), NEEDS_OVERLAP, by_axis=True)\n'

USED = '''
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

import fastbox
from fastbox import jobs
from fastbox.cli import main
from fastbox.ops import few, indexing

assert fastbox.METRICS[-1] == "dice"


def naive(a, b):
    """Compute the coefficients of boxes row by row."""
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    areas = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]) + (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return 2 * sides.prod(axis=-1) / areas


def same(found, wanted):
    assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


rng = np.random.default_rng(0)
low = rng.uniform(0, 100, (80, 2))
boxes = np.concatenate([low, low + rng.uniform(1, 40, (80, 2))], axis=1)
a, b = boxes[:50], boxes[30:]
wanted = naive(a[:, None], b[None])

same(fastbox.pairwise(a, b, metric="dice"), wanted)
same(fastbox.aligned(a, b, metric="dice"), naive(a, b))
counts = fastbox.histogram(a, b, metric="dice", bins=7)
assert_array_equal(counts, np.histogram(wanted, 7, (0, 1))[0])


def search():
    """Return the best, the top and the pairs, after a comparison with the matrix."""
    values, indices = fastbox.best(a, b, metric="dice")
    same(values, wanted.max(axis=1))
    assert_array_equal(indices, wanted.argmax(axis=1))
    top = fastbox.top(a, b, 3, metric="dice")
    same(top.values, -np.sort(-wanted, axis=1)[:, :3])
    pairs = fastbox.pairs(a, b, threshold=0.3, metric="dice")
    assert_array_equal(np.stack((pairs.rows, pairs.cols)), np.nonzero(wanted >= 0.3))
    same(pairs.values, wanted[wanted >= 0.3])
    return values, indices, top.values, pairs.rows, pairs.cols, pairs.values


small = search()
few.are_plain = lambda *_: False
dense = search()
for by_few, by_many in zip(small, dense, strict=True):
    assert_array_equal(by_few, by_many)
plan, planned = indexing.plan, []
indexing.GAIN, indexing.crowded = 0, lambda one: False
indexing.plan = lambda *sides, **options: planned.append(plan(*sides, **options)) or planned[-1]
for through, without in zip(search(), dense, strict=True):
    assert_array_equal(through, without)
assert len(planned) == 3 and all(planned)
indexing.plan = lambda *sides, **options: []

near, sizes = [[0.0, 0, 2, 2], [1, 0, 3, 2]], [1e-200, 1e200]
assert np.isnan(fastbox.pairwise([[0.0, 0, np.nan, 2]], near, metric="dice")).all()
for size in sizes:
    with np.errstate(all="ignore"):  # kernels that are not compiled warn
        found = fastbox.pairwise(np.multiply(near, size), np.multiply(near, size), metric="dice")
    same(found, [[1, 0.5], [0.5, 1]])

images = np.arange(50) % 5
for name, sides in (("a", a), ("b", b)):
    order = np.argsort(images, kind="stable")
    columns = {"image_id": images[order], "bbox": pa.FixedSizeListArray.from_arrays(sides[order].reshape(-1), 4)}
    pq.write_table(pa.table(columns), f"{name}.parquet")
together = images[:, None] == images[None]
reached = wanted[together & (wanted >= 0.3)]
found = jobs.pairs("a.parquet", "b.parquet", metrics=["dice", "iou"], threshold=0.3, report="jobs.html")
assert found.pairs == len(reached)
same(found.metrics["dice"].mean, reached.mean())
assert found.to_dict()["metrics"]["dice"]["unit"] is None
assert "with Dice \\u2265 0.30" in Path("jobs.html").read_text(encoding="utf-8")

line = ["pairs", "a.parquet", "b.parquet", "--metrics", "dice", "--threshold", "0.3", "--json"]
result = CliRunner().invoke(main, [*line, "-o", "found.parquet", "--report", "page.html"])
assert result.exit_code == 0, result.output
assert json.loads(result.stdout)["pairs"] == len(reached)
same(np.sort(pq.read_table("found.parquet")["dice"].to_numpy()), np.sort(reached))
assert "The 12 pairs with the lowest Dice" in Path("page.html").read_text(encoding="utf-8")
assert "smooth_l1, dice" in CliRunner().invoke(main, ["pairs", "--help"]).stdout.replace("\\n", " ").replace("  ", " ")
assert "did you mean 'dice'?" in CliRunner().invoke(main, [*line[:4], "dise"]).stderr
print("all used")
'''


@pytest.mark.slow
@pytest.mark.process
def test_a_new_metric_is_one_formula_and_one_record(tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "fastbox"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file, text in (("geometry/formulas.py", FORMULA), ("metrics.py", RECORD)):
        with open(copy / "kernels" / file, "a") as written:
            written.write(text)
    (tmp_path / "used.py").write_text(USED)
    env = os.environ | {"PYTHONPATH": str(copy.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "used.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120 if WITHOUT_JIT else 500,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "all used\n", "")
