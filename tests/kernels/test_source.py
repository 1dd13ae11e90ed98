"""The digest of a kernel's source: it changes with every text that the machine code is made from, and with no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fastbox
from fastbox.kernels.build import source

KERNELS = Path(fastbox.__file__).parent / "kernels"
INTRINSICS = sorted(str(path.relative_to(KERNELS)) for path in KERNELS.glob("build/intrinsics/*.py"))


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Tell the digest of a kernel of a copy of all kernels, which lies in the folder of the test."""
    shutil.copytree(KERNELS, tmp_path, ignore=shutil.ignore_patterns("native", "__pycache__"), dirs_exist_ok=True)
    monkeypatch.setattr(source, "_FOLDER", str(tmp_path))

    def forget() -> None:
        for function in (source.digest, source._file, source._imported, source._text):
            function.cache_clear()

    def ask() -> str:
        forget()
        return source.digest("compare.dense")

    yield ask
    forget()


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        *((name, True) for name in INTRINSICS),
        *((f"build/{name}", True) for name in ("compiler.py", "entry.py", "runtime.ll", "stack.py", "types.py")),
        *((name, True) for name in ("geometry/formulas.py", "compare/dense.py", "compare/lanes.py")),
        *((name, False) for name in ("build/kernel.py", "build/shortcuts.py", "evaluate/match.py", "loss/overlap.py")),
    ],
)
def test_what_a_digest_is_of(digest: Callable[[], str], tmp_path: Path, file: str, counts: bool) -> None:
    before = digest()
    with (tmp_path / file).open("a") as opened:
        opened.write("\n# another text\n")
    assert (digest() != before) == counts


def test_imports_of_kernels_stand_before_two_empty_lines() -> None:
    for path in KERNELS.rglob("*.py"):
        _, _, rest = path.read_text().partition(source._HEAD)
        assert not source._IMPORT.findall(rest), path
