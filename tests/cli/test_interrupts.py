"""A command that is interrupted, or whose disk is full, leaves nothing behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.calls import copies, pairs_table

from fastbox import jobs


def run_fastbox(*arguments: Any, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastbox", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


@pytest.mark.slow
@pytest.mark.jit
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    pq.write_table(pairs_table(300_000), tmp_path / "p.parquet")
    jobs.measure(tmp_path / "p.parquet")  # compiled and cached: no cache file need be written under the limit
    process = run_fastbox("measure", tmp_path / "p.parquet", "-o", tmp_path / "o.parquet", before=little_room)
    out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == ["p.parquet"]


@pytest.mark.parametrize("where", ["here", "in a destructor", "in a text of code"])
def test_an_interrupt_is_never_dropped(tmp_path: Path, where: str) -> None:
    program = """
import os, signal, sys, time, click
from fastbox.cli.outcome import Commands
group = Commands("fastbox")

class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

@group.command()
def work():
    if sys.argv[1] == "in a destructor":
        Slow()
    elif sys.argv[1] == "in a text of code":
        exec("os.kill(os.getpid(), signal.SIGINT)")
    else:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
    print("not interrupted")

group.main(["work"])
"""
    (tmp_path / "work.py").write_text(program)
    call = [sys.executable, "-m", "work", where]
    start = time.monotonic()
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, (done.returncode, done.stderr)
    assert time.monotonic() - start < 25  # at once, and not when a long wait is over
    assert (done.stdout, done.stderr) == ("", "error: interrupted; nothing was written\n")


@pytest.mark.parametrize("module", ["fastbox.cli", "click", "fastbox.cli.commands.pairs"])
def test_an_interrupt_while_the_program_is_loaded(module: str, python: Any) -> None:
    code = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from fastbox.__main__ import main
main()
"""
    done = python(code, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        -signal.SIGINT,
        "",
        "error: interrupted; nothing was written\n",
    )


@pytest.mark.slow
@pytest.mark.jit
def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    many = copies(pairs_table(1_000_000), tmp_path, 10)
    process = run_fastbox("measure", *many, "-o", tmp_path / "o.parquet")
    for _ in range(6000):
        if any(name.endswith(".tmp") for name in os.listdir(tmp_path)):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert said == "error: interrupted; nothing was written\n"
    assert sorted(os.listdir(tmp_path)) == [path.name for path in many]
