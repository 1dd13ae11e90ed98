"""Kernels are compiled once: kept on disk, found by the next process, and never found when the source has changed."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

from fastbox.kernels.build import cache

pytestmark = pytest.mark.jit

USE_ALL = """
import gc, json
import numpy as np
import fastbox
from numba.core.dispatcher import Dispatcher

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
found = [d for d in gc.get_objects() if isinstance(d, Dispatcher) and d.py_func.__module__.startswith("fastbox")]
kept = [d for d in found if d.stats.cache_path is not None and d.signatures]
names = sorted((d.py_func.__module__, d.py_func.__qualname__, str(s)) for d in kept for s in d.signatures)
hits = sum(sum(d.stats.cache_hits.values()) for d in kept)
misses = sum(sum(d.stats.cache_misses.values()) for d in kept)
print(json.dumps({"names": names, "hits": hits, "misses": misses}))
"""


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cold cache for the tests that may share it."""
    return tmp_path_factory.mktemp("cache")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    files = [f for f in folder.rglob("*") if f.is_file()]
    return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.mark.slow
def test_a_second_process_compiles_nothing(python: Any, shared_cache: Path) -> None:
    code = "DTYPES, METRICS = ('float32',), ('iou',)" + USE_ALL
    first = json.loads(python(code, NUMBA_CACHE_DIR=str(shared_cache)).stdout)
    kept = listing(shared_cache)
    assert first["misses"] > 0
    assert kept
    second = json.loads(python(code, NUMBA_CACHE_DIR=str(shared_cache)).stdout)
    assert second["misses"] == 0
    assert second["hits"] == len(second["names"]) == len(first["names"])
    assert listing(shared_cache) == kept


@pytest.mark.slow
def test_a_kernel_is_compiled_once_for_a_dtype(python: Any) -> None:
    """Strides, read-only memory, formats and options share one compiled version."""
    names = json.loads(python("DTYPES, METRICS = ('float32', 'float64'), ('iou', 'smooth_l1')" + USE_ALL).stdout)[
        "names"
    ]
    versions = Counter((module, name) for module, name, _ in names)
    assert versions
    assert {name: count for name, count in versions.items() if count > 2} == {}
    assert len({tuple(name) for name in names}) == len(names)


ASK = "import fastbox; print(fastbox.aligned([[0.0, 0, 2, 2]], [[1.0, 1, 3, 3]]).item())"


def copied(folder: Path) -> Path:
    shutil.copytree(ROOT / "fastbox", folder / "fastbox", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def double_iou(folder: Path) -> str:
    """Edit the formula of IoU in the copy, and nothing in the files that call it; return the old text."""
    metrics = folder / "fastbox" / "kernels" / "geometry" / "metrics.py"
    text = metrics.read_text()
    formula = next(f for f in ast.parse(text).body if isinstance(f, ast.FunctionDef) and f.name == "iou")
    last = formula.body[-1]
    assert isinstance(last, ast.Return)
    assert last.value is not None
    old = ast.get_source_segment(text, last.value)
    assert old is not None
    lines = text.splitlines(keepends=True)
    lines[last.lineno - 1 : last.end_lineno] = [f"    twice = {old}\n    return twice + twice\n"]
    metrics.write_text("".join(lines))
    return text


@pytest.mark.slow
def test_a_changed_formula_is_never_served_from_the_cache(python: Any, tmp_path: Path) -> None:
    home, cache = copied(tmp_path), str(tmp_path / "cache")
    assert python(ASK, cwd=home, NUMBA_CACHE_DIR=cache).stdout.strip() == str(1 / 7)
    old = double_iou(home)
    assert python(ASK, cwd=home, NUMBA_CACHE_DIR=cache).stdout.strip() == str(2 / 7)
    (home / "fastbox" / "kernels" / "geometry" / "metrics.py").write_text(old)
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


@pytest.mark.slow
def test_kernels_that_different_processes_compiled_do_not_mix(python: Any, tmp_path: Path) -> None:
    """Numba numbers its functions anew in each process: two of one name and number would be taken for one another."""

    def ask(*names: str) -> list[str]:
        return python(f"NAMES = {names}{MIXED}", NUMBA_CACHE_DIR=str(tmp_path)).stdout.splitlines()

    names = ["iou", "giou"]
    alone = [ask(name)[0] for name in names]
    assert alone == ["iou [0, 0, 1, 1]", "giou [0, 1, 0, 1]"]
    assert ask(*names) == alone
    assert ask(*reversed(names)) == alone[::-1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="folders are locked differently on Windows")
def test_without_a_place_for_the_cache_it_still_works(python: Any, tmp_path: Path) -> None:
    home = copied(tmp_path)
    (home / "fastbox" / "kernels" / "__pycache__").write_text("a file where the folder would be")
    (home / "fastbox" / "__pycache__").write_text("a file where the folder would be")
    nowhere = str(home / "fastbox" / "__pycache__" / "below a file")
    more = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": None}
    assert python(ASK, cwd=home, **more).stdout.strip() == str(1 / 7)
    assert python(ASK, cwd=home, **{**more, "NUMBA_CACHE_DIR": nowhere}).stdout.strip() == str(1 / 7)


SMALL = """
import logging, sys
import numpy as np
said = []
class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger("fastbox").addHandler(Said())
logging.getLogger("fastbox").setLevel("INFO")
import fastbox
a, b = np.array([[0, 0, 2, 2.0]]), np.array([[1, 1, 3, 3.0]])
print(*(fastbox.aligned(a, b, metric=metric).item() for metric in ("iou", "giou", "l1")))
print(len(said))
"""
RIGHT = [str(1 / 7), str(1 / 7 - 2 / 9), "4.0"]


@pytest.fixture(scope="module")
def small_cache(tmp_path_factory: pytest.TempPathFactory, python: Any) -> Path:
    """A warm cache of three kernels."""
    folder = tmp_path_factory.mktemp("small")
    asked(python, folder, compiled=3)
    assert len(entries(folder)) == 3
    return folder


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def asked(python: Any, folder: Path, compiled: int, before: str = "") -> None:
    """Ask for three answers in a new process that says nothing but them, and compiles as many kernels as told."""
    done = python(before + SMALL, NUMBA_CACHE_DIR=str(folder))
    assert done.stderr == ""
    assert done.stdout.split() == [*RIGHT, str(compiled)]


def flipped(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


DAMAGES: dict[str, Any] = {
    "emptied": lambda content, other, chance: b"",
    "cut": lambda content, other, chance: content[: chance.randrange(1, len(content))],
    "lengthened": lambda content, other, chance: content + b"\0",
    "one bit flipped": lambda content, other, chance: flipped(content, chance),
    "garbage": lambda content, other, chance: chance.randbytes(len(content)),
    "the entry of another kernel": lambda content, other, chance: other,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_heals(damage: str, python: Any, small_cache: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_cache, tmp_path / "cache"))
    files, chance = entries(folder), random.Random(damage)
    contents = [path.read_bytes() for path in files]
    for path, content, other in zip(files, contents, contents[1:] + contents[:1], strict=True):
        path.write_bytes(DAMAGES[damage](content, other, chance))
    asked(python, folder, compiled=3)
    asked(python, folder, compiled=0)
    assert entries(folder) == files


@given(st.binary(max_size=300), st.sampled_from(sorted(DAMAGES)), st.randoms())
def test_no_damaged_entry_is_loaded(payload: bytes, damage: str, chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder, "one"), Path(folder, "other")
        cache.write(path, b"key", payload)
        cache.write(other, b"another key", payload)
        assert cache.read(path, b"key") == payload
        path.write_bytes(DAMAGES[damage](path.read_bytes(), other.read_bytes(), chance))
        assert cache.read(path, b"key") is None
        assert not path.exists()
        cache.write(path, b"key", payload)
        assert cache.read(path, b"key") == payload


@pytest.mark.slow
def test_an_entry_that_can_not_be_loaded_is_compiled_again(python: Any, small_cache: Path, tmp_path: Path) -> None:
    """Its checksum is right, yet what made it knew other classes."""
    folder = Path(shutil.copytree(small_cache, tmp_path / "cache"))
    refuse = """
import numba.core.compiler as compiler
whole, calls = compiler.CompileResult._rebuild, []
def refused(*given):
    calls.append(given)
    if len(calls) == 1:
        raise AttributeError("no such class")
    return whole(*given)
compiler.CompileResult._rebuild = refused
"""
    asked(python, folder, compiled=1, before=refuse)
    asked(python, folder, compiled=0)


FAULTS = {
    "the disk is full": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    "the disk is read-only": """
import os, pathlib
def refuse(self, *given, **named):
    raise OSError(30, "Read-only file system", str(self))
pathlib.Path.write_bytes = pathlib.Path.mkdir = refuse
""",
    "files may not be read": """
import pathlib
sound = pathlib.Path.read_bytes
def refuse(self):
    if self.suffix == ".kernel":
        raise PermissionError(13, "Permission denied", str(self))
    return sound(self)
pathlib.Path.read_bytes = refuse
""",
    "a folder is in the place of each file": """
import os, pathlib
for path in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.kernel"):
    path.unlink()
    path.mkdir()
""",
    "the folder goes while the process runs": """
import os, shutil
import numba.core.compiler as compiler
reduce, rebuild = compiler.CompileResult._reduce, compiler.CompileResult._rebuild
def gone(call):
    def called(*given):
        shutil.rmtree(os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)
        return call(*given)
    return called
compiler.CompileResult._reduce, compiler.CompileResult._rebuild = gone(reduce), gone(rebuild)
""",
}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there are no such limits on Windows")
@pytest.mark.parametrize(("fault", "compiled"), list(zip(FAULTS, [0, 0, 3, 3, 2], strict=True)))
def test_a_bad_place_for_the_cache_costs_time_alone(
    fault: str, compiled: int, python: Any, small_cache: Path, tmp_path: Path
) -> None:
    cold, warm = tmp_path / "cold", Path(shutil.copytree(small_cache, tmp_path / "warm"))
    asked(python, cold, compiled=3, before=FAULTS[fault])
    asked(python, warm, compiled=compiled, before=FAULTS[fault])
    assert [path.name for path in entries(tmp_path) if path.suffix == ".tmp"] == []


@pytest.mark.slow
def test_other_compilers_and_processors_have_entries_of_their_own(
    python: Any, small_cache: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_cache, tmp_path / "cache"))
    asked(python, folder, compiled=3, before="import os; os.environ['NUMBA_CPU_NAME'] = 'generic'\n")
    asked(python, folder, compiled=3, before="import numba; numba.__version__ = '0.0'\n")
    asked(python, folder, compiled=3, before="import numba, llvmlite; llvmlite.__version__ = '0.0'\n")
    asked(python, folder, compiled=0)


@pytest.mark.slow
def test_files_of_others_and_half_written_ones_are_left_alone(python: Any, small_cache: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_cache, tmp_path / "cache"))
    strange = [path.with_name(f"{path.name}.0123.tmp") for path in entries(folder)]
    strange += [path.with_suffix(suffix) for path in entries(folder) for suffix in (".nbi", ".1.nbc")]
    for path in strange:
        path.write_bytes(b"\x80\x05half")
    asked(python, folder, compiled=0)
    assert {path.read_bytes() for path in strange} == {b"\x80\x05half"}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="folders are locked differently on Windows")
def test_kernels_beside_the_package_serve_those_who_may_not_write_there(python: Any, tmp_path: Path) -> None:
    home = copied(tmp_path)
    own = {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": str(tmp_path / "own")}
    assert python(SMALL, cwd=home, **own).stdout.split() == [*RIGHT, "3"]
    assert python(FAULTS["the disk is read-only"] + SMALL, cwd=home, **own).stdout.split() == [*RIGHT, "0"]
    shutil.rmtree(home / "fastbox" / "kernels" / "__pycache__")
    (home / "fastbox" / "kernels" / "__pycache__").write_text("a file where the folder would be")
    assert python(SMALL, cwd=home, **own).stdout.split() == [*RIGHT, "3"]
    assert python(SMALL, cwd=home, **own).stdout.split() == [*RIGHT, "0"]


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
