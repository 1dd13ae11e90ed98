"""How commands end: what they print to may be closed or full, and what stands after an interrupt is told as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells and signals are others on Windows")

COMMANDS = {
    "a table": "pairs data/detections.parquet data/truths.parquet",
    "another": "plan data/truths.parquet",
    "JSON": "inspect data/truths.parquet --json",
    "the help": "--help",
    "the help of a command": "pairs --help",
    "the version": "--version",
    "nothing asked": "",
    "an unknown command": "unknown",
    "a missing file": "nms missing.parquet",
}
WRONG = ("nothing asked", "an unknown command", "a missing file")

LIMIT = 300  # seconds, for a process that hangs; one that does not needs a few


def shell(command: str, redirected: str, buffered: bool) -> subprocess.CompletedProcess[str]:
    """Run a command line with redirections; stderr comes back where these leave it alone."""
    line = f"set -o pipefail; {sys.executable} -m fastbox {command} {redirected}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "" if buffered else "1"}
    return subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_behind_stdout_is_one_sentence(name: str, buffered: bool) -> None:
    done = shell(COMMANDS[name], ">/dev/full", buffered)
    if name in WRONG:
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    else:
        said = "error: could not print the result: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_has_seen_enough_is_no_error(name: str, buffered: bool) -> None:
    done = shell(COMMANDS[name], "| sleep 0", buffered)
    assert done.returncode == (2 if name in WRONG else 1)
    if name not in WRONG:
        assert done.stderr == ""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("redirected", [">&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize("name", COMMANDS)
def test_streams_that_are_closed_or_full(name: str, redirected: str) -> None:
    done = shell(COMMANDS[name], redirected, True)
    full = ">/dev/full" in redirected.split()
    assert done.returncode == (2 if name in WRONG else 1 if full else 0)
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_a_closed_stderr_writes_nothing_into_the_output(tmp_path: Path) -> None:
    """The first file that is opened gets the number of a closed stream."""
    out = tmp_path / "o.parquet"
    done = shell(f"nms data/detections.parquet -o {out}", ">&- 2>&- <&-", True)
    again = shell(f"nms data/detections.parquet -o {tmp_path / 'again.parquet'}", "", True)
    assert (done.returncode, again.returncode) == (0, 0)
    assert out.read_bytes() == (tmp_path / "again.parquet").read_bytes()


@pytest.mark.slow
def test_what_is_complete_is_told_where_the_summary_can_not_be_printed(tmp_path: Path) -> None:
    done = shell(f"nms data/detections.parquet -o {tmp_path / 'o.parquet'}", ">/dev/full", True)
    complete = f"error: could not print the result: No space left on device; {tmp_path / 'o.parquet'} is complete\n"
    assert (done.returncode, done.stderr) == (1, complete)


WORK = """
import os, signal, sys, time, click
from pathlib import Path
from fastbox.cli.outcome import Commands
group = Commands("fastbox")

@group.command()
@click.option("-o", "--output")
@click.option("--report")
@click.option("--overwrite", is_flag=True)
def work(output, report, overwrite):
    for name in {writes}:
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.with_name(".new").write_text("new")
        os.replace(path.with_name(".new"), path)
    {ends}
    time.sleep(3600)

group.main({words})
"""
BY = {
    "interrupted": "os.kill(os.getpid(), signal.SIGINT)",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM)",
    "out of memory": "raise MemoryError",
    "No space left on device (o)": "raise OSError(28, 'No space left on device', 'o')",
}
PARTS = ["parts/part-00000.parquet", "parts/part-00002.parquet"]
CASES = {
    "nothing": ([], ["-o", "o.parquet"], "nothing was written"),
    "an output of before": ([], ["-o", "old.parquet"], "nothing was written"),
    "something else": (["x.parquet"], ["-o", "o.parquet"], "nothing was written"),
    "the output": (["o.parquet"], ["-o", "o.parquet"], "o.parquet is complete"),
    "the output in the place of another": (["old.parquet"], ["-o", "old.parquet"], "old.parquet is complete"),
    "the output, told in one word": (["o.parquet"], ["--output=o.parquet"], "o.parquet is complete"),
    "the output, told in one short word": (["o.parquet"], ["-oo.parquet"], "o.parquet is complete"),
    "one of two": (["o.parquet"], ["-o", "o.parquet", "--report", "r.html"], "o.parquet is complete"),
    "both": (
        ["o.parquet", "r.html"],
        ["-o", "o.parquet", "--report", "r.html"],
        "o.parquet is complete; r.html is complete",
    ),
    "parts": (PARTS, ["-o", "parts/"], "2 parts are done in parts/: run the same command again to do the others"),
    "a part": (PARTS[:1], ["-o", "parts/"], "1 part is done in parts/: run the same command again to do the others"),
    "parts anew": (
        PARTS,
        ["-o", "parts/", "--overwrite"],
        "parts of parts/ may be of both runs: the same command begins again",
    ),
    "a folder": (["made/data.yaml"], ["-o", "made"], "made is complete"),
    "what nobody named": (
        ["o-detections.parquet", "f.log.parquet"],
        ["-o", "o.parquet", "--report", "f.parquet"],
        "o-detections.parquet is complete; f.log.parquet is complete",
    ),
    "a URI of a local file": (
        ["o.parquet"],
        ["-o", "file://{folder}/o.parquet"],
        "file://{folder}/o.parquet is complete",
    ),
    "one that isn't there": ([], ["-o", "file://{folder}/o.parquet"], "nothing was written"),
    "parts at a URI": (
        PARTS,
        ["-o", "file://{folder}/parts/"],
        "2 parts are done in file://{folder}/parts/: run the same command again to do the others",
    ),
    "a store": ([], ["-o", "s3://bucket/o.parquet"], "s3://bucket/o.parquet is complete if it exists"),
}


ENDS = [(name, "interrupted") for name in CASES] + [(name, by) for by in list(BY)[1:] for name in ("nothing", "parts")]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("name", "by"), ENDS)
def test_what_stands_is_told(name: str, by: str, tmp_path: Path) -> None:
    writes, words, stands = CASES[name]
    words, stands = [word.format(folder=tmp_path) for word in words], stands.format(folder=tmp_path)
    (tmp_path / "old.parquet").write_text("old")
    program = WORK.format(writes=writes, ends=BY[by], words=["work", *words])
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LIMIT
    )
    code = {"interrupted": 130, "terminated": 143}.get(by, 1)
    assert (done.returncode, done.stderr) == (code, f"error: {by}; {stands}\n")


def test_the_end_of_a_job_in_the_background_is_told(tmp_path: Path) -> None:
    """Where a shell starts it with ``&``, SIGINT is ignored, and SIGTERM is what ends it."""
    program = WORK.format(writes=["o.parquet"], ends=BY["terminated"], words=["work", "-o", "o.parquet"])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stderr) == (143, "error: terminated; o.parquet is complete\n")


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup, or where a shell runs a job in the background."""
    program = WORK.format(writes=["o.parquet"], ends=BY["terminated"] + "; sys.exit(0)", words=["work"])
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=env,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        timeout=LIMIT,
    )
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shell_sees_the_signal_and_stops_its_loop(number: int, tmp_path: Path) -> None:
    """A process that only exits with 130 lets the loop of a shell go on; folders of this process are removed first."""
    program = f"""
import os, sys, time, weakref
from fastbox.__main__ import main
from fastbox.report.terminal import summary

class Held:
    pass

def interrupted(*args):
    global held
    held = Held()
    weakref.finalize(held, print, "removed")
    if {number:d} == 2:  # which a terminal sends to the shell too
        os.kill(os.getppid(), {number:d})
    os.kill(os.getpid(), {number:d})
    time.sleep(3600)

summary.show_paired = interrupted
sys.argv = ["fastbox", "pairs", "data/detections.parquet", "data/truths.parquet"]
main()
"""
    (tmp_path / "one.py").write_text(program)
    loop = f"for k in 1 2; do {sys.executable} {tmp_path / 'one.py'}; echo $?; done"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", loop], cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT)
    assert done.stdout.split() == (["removed"] if number == signal.SIGINT else ["removed", "143"] * 2)
    assert done.returncode == (-signal.SIGINT if number == signal.SIGINT else 0)
    ended = "interrupted" if number == signal.SIGINT else "terminated"
    assert f"error: {ended}; nothing was written" in done.stderr
