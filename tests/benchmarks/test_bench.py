"""The measurement of fastbox beside its peers: the same results, turns, medians, and the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fastbox.benchmarks import cases, run
from fastbox.benchmarks.cases import Rival, Work
from fastbox.cli import main

LITTLE = 0.02  # of the usual sizes


@pytest.mark.jit
@pytest.mark.filterwarnings("ignore:OpenCV")
@pytest.mark.parametrize("prepare", list(cases.works(LITTLE))[:-1], ids=lambda prepare: prepare.func.__name__)
def test_each_peer_that_is_installed_does_the_same_work(prepare: Any) -> None:
    work = prepare()
    ours = work.ours()
    for rival in work.rivals:
        theirs = rival.value(rival.call())
        assert work.same(ours, theirs), rival.name
        other = tuple(part + 1 for part in theirs) if isinstance(theirs, tuple) else np.asarray(theirs) + 1
        assert not work.same(ours, other), rival.name


@pytest.mark.slow
def test_the_first_result_is_that_of_a_process() -> None:
    work = list(cases.works())[-1]()
    assert work.ours() == 0 and not work.threaded
    assert all(rival.call() == 0 for rival in work.rivals)


class Machine:
    """A machine on which each call takes a known time, and the calls in their order."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, list[str]()

    def perf_counter(self) -> float:
        return self.seconds

    def call(self, name: str, seconds: float, found: int = 7) -> int:
        self.calls.append(name)
        self.seconds += seconds
        return found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(run, "time", found)
    monkeypatch.setattr(run, "get_num_threads", lambda: 2)
    return found


def work(machine: Machine, **more: Any) -> Work:
    rivals = [
        Rival("slow", lambda: machine.call("slow", 8.0), lambda found: found),
        Rival("slow", lambda: machine.call("slow 2", 6.0), all_threads=True),
        Rival("wrong", lambda: machine.call("wrong", 0.1, 8)),
    ]
    same = int.__eq__
    return Work("work", "3", lambda: machine.call("ours", 2.0), rivals, same, **more)


def test_calls_take_turns_and_their_medians_are_compared(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "works", lambda scale: iter([partial(work, machine)]))
    told: list[Any] = []
    found = run.bench(seconds=50, progress=lambda *given: told.append(given)).to_dict()
    assert told == [("work", 0, 1)]
    assert machine.calls[:4] == ["ours", "slow", "slow 2", "wrong"]  # the results are compared
    rounds = [machine.calls[4:][first : first + 4] for first in range(0, len(machine.calls) - 4, 4)]
    assert rounds == [
        ["ours", "ours", "slow", "slow 2"],
        ["ours", "slow", "slow 2", "ours"],
        ["slow", "slow 2", "ours", "ours"],
    ]
    (row,) = found["rows"]
    assert row == {
        "work": "work",
        "size": "3",
        "rounds": 3,
        "seconds": {"1": 2.0, "2": 2.0},
        "peers": [
            {"name": "slow", "threads": 1, "seconds": 8.0, "times": 4.0},
            {"name": "slow", "threads": 2, "seconds": 6.0, "times": 3.0},
        ],
        "differ": ["wrong"],
    }
    assert found["machine"]["threads"] == 2
    json.dumps(found)


def test_at_least_one_round_is_measured_and_time_is_shared(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "works", lambda scale: iter([partial(work, machine, threaded=False)] * 2))
    found = run.bench(seconds=0)
    assert [row["rounds"] for row in found.rows] == [1, 1]
    assert all(set(row["seconds"]) == {"1"} and len(row["peers"]) == 1 for row in found.rows)
    found = run.bench(seconds=1e6)
    assert [row["rounds"] for row in found.rows] == [run.ROUNDS] * 2


@pytest.fixture
def measured(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(run, "works", lambda scale: iter([partial(work, machine)]))
    monkeypatch.setattr(run, "LIBRARIES", ("none_such",))
    return


@pytest.mark.usefixtures("measured")
def test_the_table_is_printed_and_written(tmp_path: Path) -> None:
    out = tmp_path / "speed.md"
    done = CliRunner().invoke(main, ["bench", "--seconds", "1", "-o", str(out)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["work", "size", "1", "thread", "2", "threads"]
    assert lines[2].split() == ["work", "3", "2", "s", "2", "s"]
    assert "work  slow 4×, on 2 threads 3×" in lines
    assert "work: different results from wrong, not measured" in lines
    assert "not installed: none_such" in lines
    table = out.read_text().splitlines()[2:5]
    assert table == [
        "| work | size | 1 thread | 2 threads | times as fast as |",
        "| --- | --- | --- | --- | --- |",
        "| work | 3 | 2 s | 2 s | slow 4×, on 2 threads 3× |",
    ]


@pytest.mark.usefixtures("measured")
def test_json_has_the_rows(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["bench", "--seconds", "0", "--json"])
    found = json.loads(done.stdout)
    assert list(found) == ["schema", "machine", "missing", "rows", "seconds"]
    assert found["missing"] == ["none_such"]
    lost = CliRunner().invoke(main, ["bench", "-o", str(tmp_path / "none" / "speed.md")])
    assert lost.exit_code == 2
