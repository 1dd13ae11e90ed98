"""The seconds of a command by stage, with --profile and in Python."""

from __future__ import annotations

import builtins
import importlib
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.paths import DATA

import fastbox
from fastbox import jobs, parallel, stages
from fastbox.cli import main
from fastbox.stages import STAGES, Profile, profiled, stage, staged

DETECTIONS, TRUTHS = str(DATA / "detections.parquet"), str(DATA / "truths.parquet")


class Clock:
    """A clock that goes on only where a test sleeps."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def perf_counter(self) -> float:
        return self.seconds

    def process_time(self) -> float:
        return self.seconds / 4

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(stages, "time", found)
    return found


def seconds(profile: Profile, side: str) -> dict[str, float]:
    """The seconds of the stages that took any, of the main thread or of others."""
    return {name: own[side] for name, own in profile.to_dict()["stages"].items() if own[side]}


def test_stages_exclude_one_another_and_add_up_to_the_elapsed_time(clock: Clock) -> None:
    with profiled() as profile:
        clock.sleep(1)
        with stage("decode"):
            clock.sleep(2)
            with stage("encode"):
                clock.sleep(4)
            clock.sleep(8)
    assert seconds(profile, "main") == {"compute": 1, "decode": 10, "encode": 4}
    assert seconds(profile, "others") == {}
    found = profile.to_dict()
    assert (found["elapsed"], found["cpu"]) == (15, 15 / 4)
    assert list(found["stages"]) == list(STAGES)


def test_a_profile_can_be_read_before_its_end(clock: Clock) -> None:
    with profiled() as profile, stage("encode"):
        clock.sleep(2)
        assert seconds(profile, "main") == {"encode": 2}
        clock.sleep(1)
        assert seconds(profile, "main") == {"encode": 3}
        assert profile.to_dict()["elapsed"] == 3
    assert seconds(profile, "main") == {"encode": 3}


def test_the_processor_time_before_the_command_counts_as_imports(clock: Clock) -> None:
    with profiled(whole_process=True) as profile:
        clock.sleep(4)
    assert seconds(profile, "main") == {"import": 25, "compute": 4}
    found = profile.to_dict()
    assert (found["elapsed"], found["cpu"]) == (29, 26)


def test_the_work_of_other_threads_is_apart(clock: Clock) -> None:
    def work() -> None:
        with stage("encode"):
            clock.sleep(2)

    with profiled() as profile:
        thread = threading.Thread(target=work)
        with stage("wait"):
            thread.start()
            thread.join()
    assert seconds(profile, "main") == {"wait": 2}
    assert seconds(profile, "others") == {"encode": 2}


def test_helpers_work_in_the_stage_of_their_caller(clock: Clock, threads: Any) -> None:
    threads(2)
    here, lock, met = threading.get_ident(), threading.Lock(), threading.Barrier(2)

    def task(span: int) -> None:
        met.wait(10)  # one span for each thread
        with lock:
            clock.sleep(span if threading.get_ident() != here else 0)

    with profiled() as profile, stage("decode"):
        parallel.run(task, [(1,), (1,)])
    assert seconds(profile, "others") == {"decode": 1}


def test_items_are_made_in_a_stage_and_used_outside_of_it(clock: Clock) -> None:
    def items() -> Iterator[int]:
        for item in range(2):
            clock.sleep(1)
            yield item

    with profiled() as profile:
        for _ in staged("decode", items()):
            clock.sleep(2)
    assert seconds(profile, "main") == {"decode": 2, "compute": 4}


def test_imports_and_compiled_kernels_are_stages(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes_long.py").write_text("from fastbox import stages; stages.time.sleep(1); import json")
    monkeypatch.syspath_prepend(tmp_path)
    log = logging.getLogger("fastbox")
    with profiled() as profile:
        import takes_long  # type: ignore[import-not-found]  # noqa: F401

        del sys.modules["takes_long"]
        importlib.import_module("takes_long")
        log.debug("Compiling %s", "pairs", extra={"kernel": "pairs"})
        clock.sleep(4)
        log.info("Compiled %s in %.1f s", "pairs", 4.0, extra={"kernel": "pairs", "seconds": 4.0})
        clock.sleep(8)
    assert seconds(profile, "main") == {"import": 2, "compile": 4, "compute": 8}


def test_an_error_leaves_everything_as_it_was() -> None:
    before = builtins.__import__, importlib.import_module, logging.getLogger("fastbox").level
    with pytest.raises(ZeroDivisionError), profiled(), stage("decode"):
        stages._profile.enter("compile")  # type: ignore[union-attr]
        raise ZeroDivisionError
    assert (builtins.__import__, importlib.import_module, logging.getLogger("fastbox").level) == before
    assert stages._profile is None
    assert stage("decode") is stage("encode")  # nothing is made where nothing is measured


def test_a_job_in_python_is_measured(tmp_path: Path) -> None:
    with fastbox.profiled() as profile:
        jobs.pairs(DETECTIONS, TRUTHS, tmp_path / "pairs.parquet")
    found = profile.to_dict()["stages"]
    assert found["compute"]["main"] > 0 and found["encode"]["main"] > 0
    assert found["decode"]["main"] + found["decode"]["others"] > 0


def run(*words: str) -> Any:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.jit
@pytest.mark.parametrize("command", ["pairs", "evaluate"])
def test_json_has_the_profile_and_nothing_else_changes(command: str) -> None:
    plain = json.loads(run(command, DETECTIONS, TRUTHS, "--json").stdout)
    done = run(command, DETECTIONS, TRUTHS, "--json", "--profile")
    found = json.loads(done.stdout)
    profile = found.pop("profile")
    assert found == plain
    assert list(profile) == ["elapsed", "cpu", "stages"] and list(profile["stages"]) == list(STAGES)
    assert done.stderr == ""


def test_a_table_follows_the_summary_on_stderr(tmp_path: Path) -> None:
    plain = run("pairs", DETECTIONS, TRUTHS)
    done = run("pairs", DETECTIONS, TRUTHS, "--profile")
    assert done.stdout == plain.stdout
    lines = done.stderr.splitlines()
    assert lines[0].split() == ["stage", "main", "thread", "other", "threads"]
    assert [line.split()[0] for line in lines[2:8]] == list(STAGES)
    assert lines[8].startswith("all") and lines[9].startswith("processor time ")
    assert "all" in run("sort", TRUTHS, "-o", str(tmp_path / "sorted.parquet"), "--profile").stderr
