"""A damaged, foreign or unwritable cache costs time alone: answers stay the same."""

from __future__ import annotations

import os
import platform
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cached import ASK, copied

from fastbox.kernels.build import cache

pytestmark = [pytest.mark.jit, pytest.mark.compiler]


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


ELF = sys.platform == "linux" and platform.machine() == "x86_64"
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


@pytest.mark.long
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
        cache.write(str(path), b"key", payload)
        cache.write(str(other), b"another key", payload)
        assert cache.read(str(path), b"key") == payload
        path.write_bytes(DAMAGES[damage](path.read_bytes(), other.read_bytes(), chance))
        assert cache.read(str(path), b"key") is None
        assert not path.exists()
        cache.write(str(path), b"key", payload)
        assert cache.read(str(path), b"key") == payload


@pytest.mark.slow
def test_an_entry_that_can_not_be_loaded_is_compiled_again(python: Any, small_cache: Path, tmp_path: Path) -> None:
    """Its checksum is right, yet no loader takes it."""
    folder = Path(shutil.copytree(small_cache, tmp_path / "cache"))
    refuse = """
import llvmlite.binding as llvm
import fastbox.kernels.build.elf as elf
sound, calls = llvm.ObjectFileRef.from_data, []
def refused(code):
    calls.append(code)
    if len(calls) == 1:
        raise RuntimeError("no object file")
    return sound(code)
llvm.ObjectFileRef.from_data, elf.loaded = refused, lambda code, symbol: None
"""
    asked(python, folder, compiled=1, before=refuse)
    asked(python, folder, compiled=0)


@pytest.mark.slow
@pytest.mark.skipif(not ELF, reason="LLVM's loader loads all code elsewhere")
def test_kept_kernels_need_neither_compiler_nor_loader_of_llvm(python: Any, small_cache: Path) -> None:
    asked(python, small_cache, compiled=0, before="import sys; sys.modules['llvmlite.binding'] = None\n")


@pytest.mark.slow
def test_kernels_without_their_text_are_compiled_and_not_kept(python: Any, tmp_path: Path) -> None:
    """As in a package of byte code alone; each kernel still has a name of its own."""
    without = "import fastbox.kernels.build.kernel as kernel; kernel.digest = lambda module: ''\n"
    for _ in range(2):
        asked(python, tmp_path, compiled=3, before=without)
    assert entries(tmp_path) == []


def test_a_user_without_a_home_has_a_folder_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert [os.path.basename(folder) for folder in cache.folders()] == ["__pycache__"]


FAULTS = {
    "the disk is full": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    "the disk is read-only": """
import os
import fastbox.kernels.build.cache as cache
def refuse(path, mode="w", **named):
    if mode == "rb":
        return open(path, mode)
    raise OSError(30, "Read-only file system", path)
cache.open = os.makedirs = refuse
""",
    "files may not be read": """
import fastbox.kernels.build.cache as cache
def refuse(path, mode):
    if mode == "rb":
        raise PermissionError(13, "Permission denied", path)
    return open(path, mode)
cache.open = refuse
""",
    "a folder is in the place of each file": """
import os, pathlib
for path in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.kernel"):
    path.unlink()
    path.mkdir()
""",
    "the folder goes while the process runs": """
import os, shutil
import fastbox.kernels.build.cache as cache
load, save = cache.load, cache.save
def gone(call):
    def called(*given):
        found = call(*given)
        shutil.rmtree(os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)
        return found
    return called
cache.load, cache.save = gone(load), gone(save)
""",
}


@pytest.mark.long
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
    generic = "import os; os.environ['NUMBA_CPU_NAME'] = 'generic'\n"
    elsewhere = "import fastbox.kernels.build.cache as cache; cache.features = lambda: {'another processor': True}\n"
    asked(python, folder, compiled=3, before=generic)
    asked(python, folder, compiled=0, before=generic + elsewhere)
    asked(python, folder, compiled=3, before=elsewhere)
    other = (
        "import fastbox.kernels.build.cache as cache; maker = cache._maker(); cache._maker = lambda: ('other', *maker)"
    )
    asked(python, folder, compiled=3, before=f"{other}\n")
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
