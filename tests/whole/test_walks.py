"""The walks through the package are counted as they are defined, in packages made up for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

FIRST = """
from threading import Thread

from toy import second


def leaf():
    return 1


def ask():
    return second.leaf()


def lead():
    return second.lead(leaf)


def hand_down():
    return second.lead(lead)


def iterate():
    return sum(second.items(leaf))


def comprehend():
    return second.total(leaf() for _ in range(3))


def in_thread():
    thread = Thread(target=second.lead, args=(leaf,))
    thread.start()
    thread.join()


def given_up():
    items = second.items(leaf)
    next(items)
    items.close()
    return second.leaf()
"""
SECOND = """
from toy import first


def leaf():
    return 1


def total(numbers):
    return sum(numbers)


def lead(task):
    return task()


def items(task):
    for _ in range(3):
        yield task()


def return_to_first():
    return first.ask()
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two files, and one more in a room, that can be imported; and bench too."""
    folder = tmp_path / "toy"
    (folder / "room").mkdir(parents=True)
    files = {"__init__": "", "first": FIRST, "second": SECOND, "room/__init__": "", "room/job": JOB}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "toy"]:
        del sys.modules[name]


JOB = """
from toy import first


def run():
    return first.lead()
"""


def traced(folder: Path, *names: str, **options: Any) -> tuple[int, list[tuple[str, str, bool, int]]]:
    """The number of calls across files when functions are called, and the hops: from, to, back, calls."""
    tracer = importlib.import_module("bench.promises.tracer")
    functions: list[Callable[[], object]] = []
    for name in names:
        module, function = name.split(":")
        functions.append(getattr(importlib.import_module(f"toy.{module}"), function))
    trace = tracer.Tracer(folder, **options)
    with trace.tracing():
        for call in functions:
            call()
    hops = tracer.hops_of(trace.calls)
    return len(trace.calls), [(hop.caller.file, hop.call.file, hop.back, hop.calls) for hop in hops]


A, B = "first.py", "second.py"

WALKS: dict[str, tuple[tuple[str, ...], int, list[tuple[str, str, bool, int]]]] = {
    "what is answered where it arrives is no hop": (("first:ask",), 1, []),
    "what leads on is one": (("first:lead",), 2, [(A, B, False, 1)]),
    "a way is walked once": (("first:lead", "first:lead", "first:ask"), 5, [(A, B, False, 3)]),
    "into a file that waits is not back": (("first:hand_down",), 4, [(A, B, False, 2), (B, A, False, 2)]),
    "into one that was left is back": (
        ("first:lead", "second:return_to_first"),
        4,
        [(A, B, False, 2), (B, A, True, 2)],
    ),
    "a generator is called once": (("first:iterate",), 4, [(A, B, False, 1)]),
    "a comprehension is no call": (("first:comprehend",), 1, []),
    "a thread is traced": (("first:in_thread",), 1, []),
    "a generator that is given up leaves nothing open": (("first:given_up",), 3, [(A, B, False, 2)]),
}


@pytest.mark.parametrize("name", WALKS)
def test_hops_and_calls_of_a_walk(name: str, toy: Path) -> None:
    functions, calls, hops = WALKS[name]
    assert traced(toy, *functions) == (calls, hops)


def test_a_walk_in_a_room_begins_where_it_is_entered(toy: Path) -> None:
    job = "room/job.py"
    ways = [(job, A, False, 1), (A, B, False, 1)]
    assert traced(toy, "room.job:run") == (3, ways)
    assert traced(toy, "room.job:run", "first:lead", rooms=["room"]) == (3, ways)
    assert traced(toy, "first:lead", rooms=["room"]) == (0, [])
    assert traced(toy, "first:hand_down", rooms=[B]) == (3, [(B, A, False, 2), (A, B, False, 1)])


def test_what_is_looked_through_calls_nothing_itself(toy: Path) -> None:
    assert traced(toy, "room.job:run", seen_through=[A]) == (1, [])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what is opened")
def test_openings_are_counted_whoever_opens(toy: Path) -> None:
    opens = importlib.import_module("bench.promises.opens")
    with opens.counted_opens([toy / A, toy / B]) as counted:
        for name in (A, A, B, "__init__.py"):
            (toy / name).read_text()
    assert counted == {A: 2, B: 1}
