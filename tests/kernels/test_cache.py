"""Kernels are compiled once: kept on disk, found by the next process, and never found when the source has changed."""

from __future__ import annotations

import ast
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.cached import ASK, copied

pytestmark = [pytest.mark.jit, pytest.mark.compiler]


USE_ALL = """
import json, logging, sys
import numpy as np
import fastbox

compiled = []
class Said(logging.Handler):
    def emit(self, record):
        compiled.append(record.kernel)
logging.getLogger("fastbox").addHandler(Said())
logging.getLogger("fastbox").setLevel("INFO")

def use(dtype):
    n = np.arange(12, dtype=dtype)
    plain = np.stack([n, n, n + 3, n + 4], 1)
    locked = plain.copy()
    locked.flags.writeable = False
    every = np.repeat(plain, 2, 0)[::2]
    for a in (plain, np.asfortranarray(plain), every, locked, plain[::-1]):
        for b in (plain, fastbox.Boxes(a, "xywh"), fastbox.Boxes(a, "cxcywh")):
            for metric in METRICS:
                fastbox.pairwise(a, b, metric=metric)
                fastbox.aligned(a, b, metric=metric, beta=2)
                fastbox.best(a, b, metric=metric)
                fastbox.top(a, b, 2, metric=metric)
                fastbox.pairs(a, b, threshold=0.5, metric=metric)
                fastbox.histogram(a, b, bins=4, range=(0, 1), metric=metric)
        fastbox.pairs(a, threshold=1)
        p, q = fastbox.Boxes(a, offsets=[0, 5, 12]), fastbox.Boxes(a, images=[1] * 5 + [2] * 7)
        fastbox.pairwise(p, p), fastbox.best(q, q), fastbox.top(p, p, 2), fastbox.pairs(q, threshold=0.1)
        fastbox.histogram(p, p, bins=4, range=(0, 1))
        for loss in (fastbox.l1_loss, fastbox.smooth_l1_loss)[: len(METRICS)]:
            for reduction in ("none", "box", "sum", "mean"):
                loss(a, plain, reduction=reduction)
                loss(fastbox.Boxes(a), fastbox.Boxes(plain), reduction=reduction)

for dtype in DTYPES:
    use(dtype)
print(json.dumps({"compiled": compiled, "numba": "numba" in sys.modules}))
"""


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cold cache for the tests that may share it."""
    return tmp_path_factory.mktemp("cache")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    files = [f for f in folder.rglob("*") if f.is_file()]
    return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.mark.long
@pytest.mark.slow
def test_a_second_process_compiles_nothing(python: Any, shared_cache: Path) -> None:
    code = "DTYPES, METRICS = ('float32',), ('iou',)" + USE_ALL
    first = json.loads(python(code, NUMBA_CACHE_DIR=str(shared_cache)).stdout)
    kept = listing(shared_cache)
    assert len(first["compiled"]) == len(kept) > 0
    assert first["numba"]
    second = json.loads(python(code, NUMBA_CACHE_DIR=str(shared_cache)).stdout)
    assert second == {"compiled": [], "numba": False}
    assert listing(shared_cache) == kept


@pytest.mark.long
@pytest.mark.slow
def test_a_kernel_is_compiled_once_for_a_dtype(python: Any, tmp_path: Path) -> None:
    """Strides, read-only memory, formats and options share one compiled version."""
    code = "DTYPES, METRICS = ('float32', 'float64'), ('iou',)" + USE_ALL
    compiled = json.loads(python(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout)["compiled"]
    assert compiled
    assert len(set(compiled)) == len(compiled)


def double_iou(folder: Path) -> str:
    """Edit the formula of IoU in the copy, and nothing in the files that call it; return the old text."""
    formulas = folder / "fastbox" / "kernels" / "geometry" / "formulas.py"
    text = formulas.read_text()
    formula = next(f for f in ast.parse(text).body if isinstance(f, ast.FunctionDef) and f.name == "iou")
    last = formula.body[-1]
    assert isinstance(last, ast.Return)
    assert last.value is not None
    old = ast.get_source_segment(text, last.value)
    assert old is not None
    lines = text.splitlines(keepends=True)
    lines[last.lineno - 1 : last.end_lineno] = [f"    twice = {old}\n    return twice + twice\n"]
    formulas.write_text("".join(lines))
    return text


@pytest.mark.slow
def test_a_changed_formula_is_never_served_from_the_cache(python: Any, tmp_path: Path) -> None:
    home, cache = copied(tmp_path), str(tmp_path / "cache")
    assert python(ASK, cwd=home, NUMBA_CACHE_DIR=cache).stdout.strip() == str(1 / 7)
    old = double_iou(home)
    assert python(ASK, cwd=home, NUMBA_CACHE_DIR=cache).stdout.strip() == str(2 / 7)
    (home / "fastbox" / "kernels" / "geometry" / "formulas.py").write_text(old)
    assert python(ASK, cwd=home, NUMBA_CACHE_DIR=cache).stdout.strip() == str(1 / 7)


MIXED = """
import fastbox
a, b = [[0.0, 0, 1, 1]], [[3.0, 0, 4, 1], [0, 0, 2, 1]]
calls = {
    "iou": lambda: fastbox.histogram(a, b, bins=4, range=(-1, 1), metric="iou").tolist(),
    "giou": lambda: fastbox.histogram(a, b, bins=4, range=(-1, 1), metric="giou").tolist(),
}
print(*(f"{name} {calls[name]()}" for name in NAMES), sep="\\n")
"""


@pytest.mark.long
@pytest.mark.slow
def test_kernels_that_different_processes_compiled_do_not_mix(python: Any, tmp_path: Path) -> None:
    def ask(*names: str) -> list[str]:
        return python(f"NAMES = {names}{MIXED}", NUMBA_CACHE_DIR=str(tmp_path)).stdout.splitlines()

    names = ["iou", "giou"]
    alone = [ask(name)[0] for name in names]
    assert alone == ["iou [0, 0, 1, 1]", "giou [0, 1, 0, 1]"]
    assert ask(*names) == alone
    assert ask(*reversed(names)) == alone[::-1]


@pytest.mark.slow
def test_processes_that_start_together_share_a_cold_cache(python: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: python(ASK, NUMBA_CACHE_DIR=str(tmp_path)), range(2)))
    assert {d.stdout.strip() for d in done} == {str(1 / 7)}


@pytest.mark.slow
def test_callers_that_start_together_compile_once(python: Any, shared_cache: Path) -> None:
    code = """
import threading
import numpy as np
import fastbox
boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32)
right = [[1, np.float32(1 / 7)], [np.float32(1 / 7), 1]]
start, wrong = threading.Barrier(6), []

def call():
    start.wait()
    if not np.array_equal(fastbox.pairwise(boxes, boxes), right):
        wrong.append(1)

callers = [threading.Thread(target=call) for _ in range(6)]
[c.start() for c in callers]
[c.join() for c in callers]
print(len(wrong))
"""
    assert python(code, NUMBA_CACHE_DIR=str(shared_cache)).stdout.strip() == "0"


@pytest.mark.slow
def test_without_the_compiler_the_answers_are_the_same(python: Any) -> None:
    code = """
import numpy as np
import fastbox
rng = np.random.default_rng(0)
low = rng.uniform(0, 9, (2, 20, 2)).astype(np.float32)
a, b = (np.concatenate([x, x + rng.uniform(0, 9, (20, 2)).astype(np.float32)], 1) for x in low)
b[3, 2] = np.nan
print(fastbox.pairwise(a, b).tobytes().hex(), fastbox.pairwise(a, b, metric="giou").tobytes().hex())
print(fastbox.best(a, b).indices.tolist(), fastbox.pairs(a, b, threshold=0.2).cols.tolist())
"""
    assert python(code, NUMBA_DISABLE_JIT="1").stdout == python(code).stdout
