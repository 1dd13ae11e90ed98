"""A thread beside the caller's makes calls in turn, hands on their results and errors, and ends when it is told to."""

from __future__ import annotations

import gc
import threading
import weakref
from contextvars import ContextVar
from functools import partial

import pytest

from fastbox import parallel
from fastbox.storage.beside import Beside, together


def test_calls_are_made_in_turn_by_one_thread() -> None:
    beside = Beside("beside")
    coming = [beside.call(lambda k: (k, threading.get_ident()), k) for k in range(5)]
    found = [one.result() for one in coming]
    beside.end()
    assert [k for k, _ in found] == [0, 1, 2, 3, 4]
    assert len({ident for _, ident in found} | {threading.get_ident()}) == 2
    assert "beside" not in [thread.name for thread in threading.enumerate()]


def test_the_end_begins_no_further_call() -> None:
    running, go_on, made = threading.Event(), threading.Event(), []

    def first() -> None:
        running.set()
        assert go_on.wait(60)
        made.append("first")

    beside = Beside("beside")
    beside.call(first)
    beside.call(made.append, "second")
    assert running.wait(60)
    beside.end(wait=False)
    go_on.set()
    beside.end()
    assert made == ["first"]


def test_a_call_that_finds_no_thread_is_refused_and_the_next_one_may_find_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    beside = Beside("beside")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="new thread"):
        patch.setattr(threading.Thread, "start", refuse)
        beside.call(int)
    assert beside.call(int, "7").result() == 7
    beside.end()


def test_an_error_is_raised_to_who_takes_the_result_and_holds_nothing() -> None:
    class Large:
        pass

    def fail(large: Large) -> None:
        assert large
        raise KeyError("gone")

    beside, large = Beside("beside"), Large()
    watched, coming = weakref.ref(large), beside.call(fail, large)
    del large
    with pytest.raises(KeyError, match="gone"):
        coming.result()
    beside.end()
    gc.collect()
    assert watched() is None


def test_tasks_together_keep_their_order_and_use_the_pool_inside() -> None:
    told: ContextVar[str] = ContextVar("told")
    told.set("by the caller")

    def task(k: int) -> tuple[int, str, list[int]]:
        return k, told.get(), parallel.run(lambda one: one * k, [(1,), (2,), (3,)])

    found = together([partial(task, k) for k in range(4)])
    assert found == [(k, "by the caller", [k, 2 * k, 3 * k]) for k in range(4)]


def test_the_first_task_that_fails_is_told() -> None:
    def fail(k: int) -> None:
        raise ValueError(k)

    with pytest.raises(ValueError, match="0"):
        together([partial(fail, k) for k in range(3)])
    with pytest.raises(ValueError, match="1"):
        together([lambda: None, *(partial(fail, k) for k in (1, 2))])
