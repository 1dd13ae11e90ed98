"""Spans and the threads that run them: each span once, no error lost, and nothing left behind by a call."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox import parallel


@pytest.mark.parametrize("skipped", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("rows", [[1000], [1], [0], [], [0, 500, 0, 0, 3, 400, 0], [5] * 300])
def test_spans_hold_each_row_once(rows: list[int], n: int, skipped: bool, threads: Any) -> None:
    threads(n)
    starts_a, starts_b = np.cumsum([0, *rows]), np.cumsum([0, *rows[::-1]])
    skip = np.arange(len(rows)) % 2 == 0 if skipped else None
    spans = parallel.cuts(starts_a, starts_b, skip, 1000)
    assert [row for _, first, last in spans for row in range(first, last)] == list(range(sum(rows)))
    for image, first, last in spans:
        assert starts_a[image] <= first < last  # no row of the span is of an image before
    pairs = [rows[g] * (0 if skip is not None and skip[g] else rows[-1 - g]) for g in range(len(rows))]
    assert (len(spans) > 1) == (n > 1 and sum(pairs) + parallel.ROW_COST * sum(rows) >= 2000)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_work_runs_on_as_many_threads_as_are_set(threads: Any, n: int) -> None:
    threads(n)
    assert fastbox.get_num_threads() == n
    met = threading.Barrier(n, timeout=60)  # broken, with an error, where fewer threads than n come

    def task(k: int) -> int:
        met.wait()
        return threading.get_ident()

    assert len(set(parallel.run(task, [(k,) for k in range(n)]))) == n
    used = set(parallel.run(lambda k: threading.get_ident(), [(k,) for k in range(50 * n)]))
    assert threading.get_ident() in used or n > 1
    assert len(used) <= n


@pytest.mark.parametrize("n", [2, 5])
def test_nothing_holds_the_arguments_of_a_call_that_is_done(n: int, threads: Any) -> None:
    threads(n)

    class Held:
        pass

    for turn in range(300):
        held = Held()
        gone = weakref.ref(held)
        parallel.run(lambda one, k: k, [(held, k) for k in range(1 + turn % 7)])
        del held
        assert gone() is None


def test_the_error_of_any_thread_reaches_the_caller(threads: Any) -> None:
    threads(3)
    met = threading.Barrier(3, timeout=60)

    def task(k: int) -> None:
        met.wait()
        if k == 2:
            raise LookupError("the third")

    for _ in range(20):
        with pytest.raises(LookupError, match="the third"):
            parallel.run(task, [(k,) for k in range(3)])
    assert parallel.run(lambda k: k, [(k,) for k in range(9)]) == list(range(9))


def test_no_span_begins_after_an_error(threads: Any) -> None:
    threads(2)
    begun = []

    def task(k: int) -> None:
        begun.append(k)
        time.sleep(0.02)
        raise LookupError(k)

    with pytest.raises(LookupError):
        parallel.run(task, [(k,) for k in range(50)])
    assert len(begun) <= 2


def test_nothing_runs_on_after_an_interrupt(threads: Any) -> None:
    threads(2)
    running: set[int] = set()

    def task(k: int) -> None:
        running.add(k)
        try:
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            time.sleep(0.05)
        finally:
            running.remove(k)

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            parallel.run(task, [(k,) for k in range(20)])
        assert not running


def test_work_is_done_where_no_thread_starts(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    threads(4)
    monkeypatch.setattr(parallel, "_helpers", 0)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert parallel.run(lambda k: k, [(k,) for k in range(9)]) == list(range(9))
