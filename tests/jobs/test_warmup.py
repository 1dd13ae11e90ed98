"""Kernels are compiled ahead of use by a command, and said to be compiled where they are compiled in use."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import TextColumn
from support.paths import ROOT

from fastbox.cli.bar import Bar
from fastbox.cli.progress import Step
from fastbox.errors import InputError
from fastbox.jobs.warming import NEEDED, _survey, warmup
from fastbox.ops.metrics import DTYPES, USUAL

LOG = logging.getLogger("fastbox")

FEW = """
import json, sys
from fastbox.kernels import registry
every = registry.versions
registry.versions = lambda dtypes: (one for one in every(dtypes) if one.module.endswith((".sketch", ".anchor_shapes")))
if __name__ == "__main__":
    from fastbox.cli import main
    main(["warmup", *sys.argv[1:]])
"""


def few(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command on three kernels."""
    (folder / "few.py").write_text(FEW)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FASTBOX_JIT": "1", "NUMBA_CACHE_DIR": str(folder / "cache"), **more}
    return subprocess.run(
        [sys.executable, folder / "few.py", *words], env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
def test_a_second_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = few(tmp_path, "--processes", "2", "--dtypes", "float32")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0].startswith("Compiled 3 kernels in ")
    assert lines[1:] == ["covered (1), nearest (1), tally (1)", f"Kept in {tmp_path / 'cache' / 'fastbox'}"]
    second = few(tmp_path, "--dtypes", "float32")
    assert second.stdout.splitlines() == [
        "All 3 kernels are compiled already",
        f"Kept in {tmp_path / 'cache' / 'fastbox'}",
    ]
    both = json.loads(few(tmp_path, "--json").stdout)
    assert both["compiled_before"] == 3
    assert sorted(both["compiled"]) == ["covered (float64)", "nearest (float64)"]  # tally's types are the same


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
def test_a_cache_that_keeps_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = few(tmp_path, "--dtypes", "float32", NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: compiled kernels could not be kept in ")
    assert done.stderr.endswith("set NUMBA_CACHE_DIR to a folder that can be written\n")


@pytest.mark.jit
@pytest.mark.compiler
def test_the_folder_that_keeps_kernels_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first of them may be missing, or hold other things and take nothing more."""
    from fastbox.kernels import registry
    from fastbox.kernels.build import cache

    monkeypatch.setenv("FASTBOX_JIT", "1")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "module.pyc").touch()
    taken = tmp_path / "file"
    taken.touch()
    places = [taken / "missing", tmp_path / "other", tmp_path / "own"]
    monkeypatch.setattr(cache, "folders", lambda: list(map(str, places)))
    write = cache.write

    def written(path: str, key: bytes, payload: bytes) -> None:
        if Path(path).parent == places[1]:
            raise OSError(30, "Read-only file system")
        write(path, key, payload)

    monkeypatch.setattr(cache, "write", written)
    version = next(one for one in registry.versions(["float32"]) if one.module.endswith(".sketch"))
    monkeypatch.setattr(registry, "versions", lambda dtypes: [version])
    assert registry.kept(version) is None
    registry.found(version).compiled.clear()
    registry.compile_ahead(version)
    place = registry.kept(version)
    assert place is not None
    assert place.parent == places[2]


def test_what_can_not_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown dtype 'float16': use float32 or float64"):
        warmup(dtypes=["float16"])
    with pytest.raises(ValueError, match="none such"):
        warmup(metrics=["none such"])
    with pytest.raises(ValueError, match=r"got 'pears'; did you mean 'pairs'\?"):
        warmup(commands=["pears"])
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT is set"):
        warmup()


USED = """
import sys
from fastbox.kernels.build.kernel import Kernel
labels, made = set(), Kernel._made
def noted(self, *version):
    labels.add(self.label(*version))
    return made(self, *version)
Kernel._made = noted
from fastbox.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code
print(*sorted(labels), sep="\\n")
"""
COMMANDS = [
    "measure data/pairs.parquet",
    "pairs data/detections.parquet data/truths.parquet",
    "pairs data/detections.parquet data/truths.parquet --best",
    "evaluate data/detections.parquet data/truths.parquet",
    "evaluate data/detections.parquet data/truths.parquet --confusion-iou 0.5",
    "inspect data/truths.parquet",
    "assign data/truths.parquet --anchors retinanet --resize 320",
    "assign data/truths.parquet --points yolov8 --size 640",
    "anchors data/truths.parquet",
    "nms data/detections.parquet",
    "nms data/detections.parquet --method soft-linear",
    "fuse data/detections.parquet data/detections.parquet",
    "suspects data/detections.parquet data/truths.parquet",
    "experiment disagreement data/pairs.parquet",
    "experiment regression --points 1 --steps 2",
    "plan data/truths.parquet",
]


def todo(monkeypatch: pytest.MonkeyPatch, commands: Sequence[str]) -> list[tuple[str, ...]]:
    """The versions that are compiled for some commands where none is kept."""
    from fastbox.kernels import registry

    monkeypatch.setattr(registry, "kept", lambda version: None)
    return _survey(tuple(commands), DTYPES, USUAL)[1]


def test_each_command_names_kernels_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    every = todo(monkeypatch, [])
    for command, needed in NEEDED.items():
        own = todo(monkeypatch, [command])
        assert 0 < len(own) < len(every)
        for one in needed:
            assert any(f"{module}.{kernel}.{metric}.".startswith(f"{one}.") for module, kernel, _, metric in own), one
    assert set(todo(monkeypatch, ["pairs", "nms"])) == {*todo(monkeypatch, ["pairs"]), *todo(monkeypatch, ["nms"])}


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
def test_the_kernels_of_one_command_are_compiled_without_a_compiler_in_the_calling_process(tmp_path: Path) -> None:
    code = """
import json, sys
from fastbox import warmup
if __name__ == "__main__":
    found = warmup(commands=["anchors"], dtypes=["float64"], metrics=[], processes=2)
    print(json.dumps([sorted(found.compiled), found.before, sorted({"numba", "llvmlite"} & set(sys.modules))]))
"""
    (tmp_path / "warm.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FASTBOX_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for compiled, before in (["covered (float64)", "nearest (float64)", "tally (float64)"], 0), ([], 3):
        said = subprocess.run(
            [sys.executable, tmp_path / "warm.py"], env=env, capture_output=True, text=True, check=True
        )
        names, kept, compilers = json.loads(said.stdout)
        assert [name for name in names if "element" not in name and "skip" not in name] == compiled
        assert compilers == []
        assert kept >= before


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_use_nothing_that_is_not_warm(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastbox.kernels.registry import Version

    words = [*command.split(), *(["-o", str(tmp_path / "o.parquet")] if command.startswith("fuse") else [])]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", USED, *words, "--json"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    used = set(done.stdout.rpartition("}\n")[2].split("\n")) - {""}
    named = [words[0]] if words[0] in NEEDED else []
    warm = {str(Version(*one)) for one in todo(monkeypatch, named)}
    assert used or command.startswith("plan")
    assert used <= warm


def test_one_live_line_tells_of_compiling_and_a_total_stays() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=90, color_system=None)
    level = LOG.level
    with Bar(console, TextColumn("{task.description}")).shown() as bar:
        bar.add_task("pairing", total=10)
        for kernel in ("pairs (iou, float32)", "aligned (iou, float32)"):
            LOG.debug("Compiling %s", kernel, extra={"kernel": kernel})
            bar.refresh()
            LOG.info("Compiled %s in %.1f s", kernel, 2.5, extra={"kernel": kernel, "seconds": 2.5})
            bar.refresh()
    text = stream.getvalue()
    assert "Compiling for this machine, once: pairs (iou, float32) 0.0 s" in text
    assert text.rstrip().endswith("Compiled 2 kernels for this machine, once, in 5.0 s")
    assert LOG.level == level
    assert not LOG.handlers


def test_nothing_compiled_leaves_no_line() -> None:
    stream = io.StringIO()
    with Bar(Console(file=stream, force_terminal=True, width=90), TextColumn("{task.description}")).shown() as bar:
        bar.add_task("pairing", total=10)
    assert "ompil" not in stream.getvalue()


class Shown:
    """What a bar was told last."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def add_task(self, description: str, **fields: Any) -> int:
        self.fields |= {"description": description, **fields}
        return 1

    def update(self, task: int, **fields: Any) -> None:
        self.fields |= fields


def test_the_bar_goes_on_where_all_rows_are_read() -> None:
    """Resampling and pages come after the last row."""
    bar = Shown()
    step = Step(bar, "evaluating", 200)
    step(50)
    assert (bar.fields["share"], bar.fields["total"]) == ("25%", 200)
    step(150)
    assert (bar.fields["share"], bar.fields["total"]) == ("", None)
    assert bar.fields["rate"] == "all rows are read, the rest follows"
    step(-200)  # a table turned out not to be sorted: it begins again
    assert (bar.fields["share"], bar.fields["total"]) == ("0%", 200)


def test_the_bar_tells_rows_a_second_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock starts with the first rows, which have waited for kernels, and says nothing too soon."""
    clock = [100.0]
    monkeypatch.setattr("fastbox.cli.progress.time.monotonic", lambda: clock[0])
    bar = Shown()
    step = Step(bar, "measuring", 20_000_000)
    rates = []
    for seconds, rows in ((0.0, 1_000_000), (0.1, 1_000_000), (0.9, 2_000_000), (9.0, 6_000_000)):
        clock[0] += seconds
        step(rows)
        rates.append((bar.fields["share"], bar.fields["rate"]))
    assert rates == [
        ("5%", ""),
        ("10%", ""),
        ("20%", "3.0 M rows/s, 0:00:05 left"),
        ("50%", "900 k rows/s, 0:00:11 left"),
    ]
    step = Step(bar, "converting", None)
    step(500_000)
    clock[0] += 2
    step(500_000)
    assert bar.fields["rate"] == "250 k rows/s"


@pytest.mark.slow
def test_a_finished_folder_says_that_nothing_was_left_to_do(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "parts"
    out.mkdir()

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = ["nms", "data/detections.parquet", "-o", f"{out}/", "--fragment-rows", "1", "--json", *more]
        return subprocess.run(
            [sys.executable, "-m", "fastbox", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
        )

    first, second, logged = run(), run(), run("--log", "json")
    parts = len(list(out.glob("part-*.parquet")))
    said = "The part was" if parts == 1 else f"All {parts} parts were"
    assert (first.returncode, first.stderr) == (0, "")
    assert second.stderr == f"{said} done already\n"
    assert second.stdout == first.stdout
    assert all(json.loads(line)["skipped"] for line in logged.stderr.splitlines())
