"""A command that is interrupted, or whose disk is full, leaves nothing behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.calls import copies, pairs_table

from fastbox import jobs

LIMIT = 300  # seconds, for a process that hangs; one that does not needs a few
WAITING = """
import sys
from fastbox.tables.sink import Sink
write = Sink.write

def write_and_wait(sink, batch):
    write(sink, batch)
    print("writing", flush=True)
    sys.stdin.read()

Sink.write = write_and_wait
from fastbox.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.jit
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    pq.write_table(pairs_table(300_000), tmp_path / "p.parquet")
    jobs.measure(tmp_path / "p.parquet")  # compiled and cached: no cache file need be written under the limit
    done = subprocess.run(
        [sys.executable, "-m", "fastbox", "measure", tmp_path / "p.parquet", "-o", tmp_path / "o.parquet"],
        capture_output=True,
        text=True,
        preexec_fn=little_room,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
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
    time.sleep(3600)  # an interrupt ends the wait

group.main(["work"])
"""
    (tmp_path / "work.py").write_text(program)
    call = [sys.executable, "-m", "work", where]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: interrupted; nothing was written\n"


def test_an_interrupt_that_python_drops_is_raised_once_the_hook_has_returned(python: Any) -> None:
    """As on a busy machine, where the thread that raises the interrupt again is faster than the hook that starts it."""
    code = """
import os, signal, threading, time
from fastbox.cli import interrupt
interrupt.RAISED_AGAIN_AFTER = 0.001
start = threading.Thread.start

def slow(thread):
    start(thread)
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass

class Dropping:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread.start = slow
try:
    with interrupt.interruptible():
        Dropping()
        time.sleep(3600)
except interrupt.Interrupted:
    print("interrupted")
"""
    assert python(code).stdout == "interrupted\n"


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
    many = copies(pairs_table(1_000), tmp_path, 3)
    before = sorted(os.listdir(tmp_path))
    command = [sys.executable, "-c", WAITING, "measure", *map(str, many), "-o", str(tmp_path / "o.parquet")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert any(name.endswith(".tmp") for name in os.listdir(tmp_path))
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (-signal.SIGINT, "")
    assert said == "error: interrupted; nothing was written\n"
    assert sorted(os.listdir(tmp_path)) == before
