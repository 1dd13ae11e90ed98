"""Libraries of kernels give the bits of the compiler without it, and are left aside where they do not belong."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.kernels import registry
from fastbox.kernels.build import native

THERE = native.available()
BUILT = [level for level in THERE if Path(native.file(level)).exists()]

LINK = """
import sys
from pathlib import Path
from fastbox.jobs import linking
from fastbox.kernels import registry
from fastbox.kernels.build.native import LEVELS
if __name__ == "__main__":
    few = [one for one in registry.versions(("float64",)) if str(one) in ("aligned (iou, float64)", "tally (float64)")]
    level = next(level for level in LEVELS if level.name == sys.argv[1])
    linking.write(level, few, Path(sys.argv[2]), 2)
"""

CALL = """
import logging, sys
BLOCKED
from fastbox.kernels.build import native
native.FOLDER = FOLDER
said = []
class Said(logging.Handler):
    def emit(self, record):
        said.append(record.kernel)
logging.getLogger("fastbox").addHandler(Said())
logging.getLogger("fastbox").setLevel("INFO")
import fastbox
print(fastbox.aligned([[0.0, 0, 2, 2]], [[1.0, 1, 3, 3]]).item(), said, "numba" in sys.modules)
"""
BLOCK = "sys.modules['numba'] = sys.modules['llvmlite'] = None"
FOUND = f"{1 / 7} [] "


@pytest.fixture(scope="module")
def built(python: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of two kernels, of the lowest level that this processor has."""
    if not THERE or shutil.which("cc") is None:
        pytest.skip("no level of this processor, or no linker")
    folder = tmp_path_factory.mktemp("native")
    script, out = folder / "link.py", folder / Path(native.file(THERE[-1])).name
    script.write_text(LINK)
    run = f"import runpy, sys; sys.argv = ['', {THERE[-1].name!r}, {str(out)!r}]; "
    python(run + f"runpy.run_path({str(script)!r}, run_name='__main__')")
    return folder


def call(python: Any, folder: Path, blocked: bool = False, **env: str) -> str:
    code = CALL.replace("BLOCKED", BLOCK if blocked else "").replace("= FOLDER", f"= {str(folder)!r}")
    return str(python(code, **env).stdout.strip())


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
def test_kernels_of_a_library_need_no_compiler(python: Any, built: Path, tmp_path: Path) -> None:
    assert call(python, built, blocked=True) == FOUND + "True"  # the name is blocked, not imported
    assert call(python, built, NUMBA_CACHE_DIR=str(tmp_path)) == FOUND + "False"
    assert not list(tmp_path.rglob("*.kernel"))


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
def test_a_library_is_left_aside_on_request(python: Any, built: Path, tmp_path: Path) -> None:
    compiled = f"{1 / 7} ['aligned (iou, float64)'] True"
    assert call(python, built, FASTBOX_JIT="1", NUMBA_CACHE_DIR=str(tmp_path / "a")) == compiled
    assert call(python, built, FASTBOX_LEVEL="another", NUMBA_CACHE_DIR=str(tmp_path / "b")) == compiled


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.parametrize("damage", ["emptied", "of another text"])
def test_a_library_that_does_not_fit_is_left_aside(damage: str, python: Any, built: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built, tmp_path / "native"))
    path = folder / Path(native.file(THERE[-1])).name
    symbol = b"compare.aligned.aligned.iou.float64"
    content = path.read_bytes()
    assert symbol in content
    path.write_bytes(b"" if damage == "emptied" else content.replace(symbol + b".", symbol + b"_"))
    assert call(python, folder, NUMBA_CACHE_DIR=str(tmp_path)) == f"{1 / 7} ['aligned (iou, float64)'] True"


@pytest.mark.parametrize("level", BUILT, ids=lambda level: level.name)
def test_a_library_has_every_kernel_that_is_linked(level: native.Level) -> None:
    opened = ctypes.CDLL(native.file(level))
    for version in registry.linked(("float32", "float64")):
        symbol = registry.found(version).symbol(np.dtype(version.dtype), version.metric)
        assert hasattr(opened, symbol), (
            f"{version}: python -m fastbox.jobs.linking {level.name} writes the library anew"
        )


@pytest.mark.jit
def test_rotated_rectangles_are_compared_matched_and_suppressed_without_a_compiler() -> None:
    """With libraries that hold these kernels, and where there are none, by what was compiled."""
    rng = np.random.default_rng(5)
    low, sides = rng.uniform(0, 90, (300, 2)), rng.uniform(2, 30, (300, 2))
    plain, scores = np.concatenate([low, low + sides], axis=1), rng.random(300)
    turned = fastbox.RotatedBoxes(np.concatenate([low + sides / 2, sides, np.zeros((300, 1))], axis=1), "cxcywhr")
    few = fastbox.RotatedBoxes(np.concatenate([low + sides / 2, sides, np.zeros((300, 1))], axis=1)[:40], "cxcywhr")
    np.testing.assert_allclose(fastbox.pairwise(turned, few), fastbox.pairwise(plain, plain[:40]), atol=1e-12)
    np.testing.assert_allclose(fastbox.aligned(turned, turned, metric="probiou"), 1, atol=1e-6)
    np.testing.assert_array_equal(fastbox.best(turned, few).indices, fastbox.best(plain, plain[:40]).indices)
    found, wanted = fastbox.pairs(turned, few, threshold=0.3), fastbox.pairs(plain, plain[:40], threshold=0.3)
    np.testing.assert_array_equal((found.rows, found.cols), (wanted.rows, wanted.cols))
    kept = fastbox.nms(turned, scores, iou_threshold=0.4)
    np.testing.assert_array_equal(kept, fastbox.nms(plain, scores, iou_threshold=0.4))
    labels = fastbox.match(turned, few).labels
    np.testing.assert_array_equal(labels, fastbox.match(plain, plain[:40]).labels)
