"""Kernels of one command, compiled by processes side by side; and the shortcuts of compiling, which change no code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.jit, pytest.mark.compiler]

forking = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere each process compiles by itself")

TOGETHER = """
import json, logging, os
import numpy as np
from fastbox import parallel
from fastbox.kernels.build import forks, kernel
from fastbox.kernels.common import sketch
from fastbox.kernels.compare import dense

told = []
class Said(logging.Handler):
    def emit(self, record):
        told.append(record.kernel)
logging.getLogger("fastbox").addHandler(Said())
logging.getLogger("fastbox").setLevel("INFO")
keep = kernel.Kernel.keep

class Kernel(kernel.Kernel):
    def keep(self, *version):
        CHILD

kernel.Kernel.keep = Kernel.keep
parallel.set_num_threads(2)
forks.allowed = ALLOWED
VERSIONS = [("common.sketch", "TALLY", "float64", ""), ("compare.dense", "SCATTER", "float64", "")]
parallel.compile_together(VERSIONS)
kept = len(told)
f8 = np.dtype(np.float64)
counts = np.zeros(2 * sketch.BINS, np.int64)
high, low, special = np.zeros(2048, np.int64), np.zeros(2048, np.int64), np.zeros(3, np.int64)
sketch.TALLY[f8, ""](np.array([0.5, 2.0, np.nan]).view(np.int64), counts, high, low, special)
dense.SCATTER[f8, ""]
try:
    os.waitpid(-1, os.WNOHANG)
    left = True
except ChildProcessError:
    left = False
print(json.dumps({"kept": kept, "told": told, "sums": [int(counts.sum()), *special.tolist()], "left": left}))
"""


def together(python: Any, cache: Path, child: str, allowed: bool = True) -> Any:
    code = TOGETHER.replace("CHILD", child).replace("ALLOWED", str(allowed))
    return json.loads(python(code, NUMBA_CACHE_DIR=str(cache), FASTBOX_JIT="1").stdout)


@forking
def test_children_compile_a_share_and_report_it(python: Any, tmp_path: Path) -> None:
    slow = "import time; time.sleep(0.2); keep(self, *version)"  # so that this process takes a kernel too
    found = together(python, tmp_path, slow)
    assert found["kept"] == 2
    assert sorted(found["told"]) == ["scatter (float64)", "tally (float64)"]
    assert found["sums"] == [2, 1, 0, 0]
    assert not found["left"]
    assert len(list(tmp_path.rglob("*.kernel"))) == 2


@forking
@pytest.mark.parametrize("child", ["raise OSError('no room')", "os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_a_kernel_that_a_child_fails_to_compile_is_compiled_at_its_first_use(
    python: Any, tmp_path: Path, child: str
) -> None:
    found = together(python, tmp_path, child)
    assert sorted(found["told"]) == ["scatter (float64)", "tally (float64)"]
    assert found["sums"] == [2, 1, 0, 0]
    assert not found["left"]


def test_only_a_process_of_the_command_line_forks(python: Any, tmp_path: Path) -> None:
    found = together(python, tmp_path, "raise AssertionError", allowed=False)
    assert found["kept"] == 0
    assert sorted(found["told"]) == ["scatter (float64)", "tally (float64)"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "kernels"),
    [
        ("evaluate DETECTIONS TRUTHS", 6),
        ("fuse DETECTIONS DETECTIONS -o OUT", 2),
        ("nms DETECTIONS", 2),
        ("pairs DETECTIONS TRUTHS --metrics iou,giou,smooth_l1", 5),
        ("pairs DETECTIONS TRUTHS --best --metrics giou,iou", 3),
        ("suspects DETECTIONS TRUTHS", 3),
    ],
)
def test_a_command_gives_the_same_with_one_process_and_two(
    python: Any, tmp_path: Path, command: str, kernels: int
) -> None:
    named = {
        "DETECTIONS": "data/detections.parquet",
        "TRUTHS": "data/truths.parquet",
        "OUT": str(tmp_path / "out.parquet"),
    }
    words = [*(named.get(word, word) for word in command.split()), "--json"]
    code = f"import sys; sys.argv = ['fastbox', *{words!r}]\nfrom fastbox.__main__ import main\nmain()"
    found = []
    for processors in ("1", "2"):
        folder = tmp_path / processors
        done = python(code, NUMBA_CACHE_DIR=str(folder), FASTBOX_JIT="1", FASTBOX_NUM_THREADS=processors)
        files = {file.name.rsplit(".", 2)[0] for file in folder.rglob("*.kernel")}
        found.append((done.stdout, files))
    assert found[0] == found[1]
    assert len(found[0][1]) == kernels


SHORTCUTS = """
import gc, json
import numpy as np
from fastbox.kernels.build import compiler
from fastbox.kernels.build.shortcuts import _SHORTER, shortcuts
from fastbox.kernels.build.types import float64
from fastbox.kernels.MODULE import KERNEL
from contextlib import nullcontext

before = [getattr(holder, name) for holder, name, _ in _SHORTER]
with WAY():
    code = compiler.object_code(KERNEL.bound(""), KERNEL.signature(float64), "kernel")
after = [getattr(holder, name) for holder, name, _ in _SHORTER]
print(json.dumps({"code": code.hex(), "own": after == before, "collects": gc.isenabled()}))
"""


@pytest.mark.parametrize(
    ("module", "kernel"),
    [("common.sketch", "TALLY"), pytest.param("suppress.fusion", "FUSE", marks=pytest.mark.slow)],
)
def test_shortcuts_change_no_code_and_end(python: Any, module: str, kernel: str) -> None:
    code = SHORTCUTS.replace("MODULE", module).replace("KERNEL", kernel)
    own, short = (json.loads(python(code.replace("WAY", way)).stdout) for way in ("nullcontext", "shortcuts"))
    assert short == own
    assert short["own"] and short["collects"]
