"""Threads change nothing but the time: any number of them, many callers at once, and after a fork."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from strategies import some_boxes
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes
from fastbox.ops import geometry

N, M = (900, 1400) if not WITHOUT_JIT else (20, 30)


def collections(dtype: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    images = 400 if not WITHOUT_JIT else 4
    counts_a, counts_b = rng.integers(0, 12, images), rng.integers(0, 40, images)
    counts_a[0], counts_b[0] = (200, 300) if not WITHOUT_JIT else (5, 5)
    flat = {"a": some_boxes(N, dtype, 1, exact=False, bad=0.01), "b": some_boxes(M, dtype, 2, exact=False, bad=0.01)}
    many_a = some_boxes(counts_a.sum(), dtype, 3, exact=False, bad=0.01)
    many_b = some_boxes(counts_b.sum(), dtype, 4, exact=False, bad=0.01)
    grouped_a = Boxes(many_a, offsets=[0, *np.cumsum(counts_a)])
    grouped_b = Boxes(many_b, offsets=[0, *np.cumsum(counts_b)])
    long = 300_000 if not WITHOUT_JIT else 50
    rows = {"p": some_boxes(long, dtype, 5, exact=False), "q": some_boxes(long, dtype, 6, exact=False)}
    return {**flat, "grouped_a": grouped_a, "grouped_b": grouped_b, **rows}


OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pairwise": lambda c: fastbox.pairwise(c["a"], c["b"], metric="giou"),
    "aligned": lambda c: fastbox.aligned(c["p"], c["q"], metric="ciou"),
    "best": lambda c: fastbox.best(c["a"], c["b"]),
    "nearest": lambda c: fastbox.best(c["a"], c["b"], metric="l1"),
    "top": lambda c: fastbox.top(c["a"], c["b"], 5, metric="diou"),
    "pairs": lambda c: fastbox.pairs(c["a"], c["b"], threshold=0.2),
    "pairs with itself": lambda c: fastbox.pairs(c["b"], threshold=0.2),
    "histogram": lambda c: fastbox.histogram(c["a"], c["b"], bins=50, range=(0, 1)),
    "grouped pairwise": lambda c: fastbox.pairwise(c["grouped_a"], c["grouped_b"]).values,
    "grouped best": lambda c: fastbox.best(c["grouped_a"], c["grouped_b"], metric="giou"),
    "grouped top": lambda c: fastbox.top(c["grouped_a"], c["grouped_b"], 3),
    "grouped pairs": lambda c: fastbox.pairs(c["grouped_a"], c["grouped_b"], threshold=0.1),
    "grouped pairs with itself": lambda c: fastbox.pairs(c["grouped_b"], threshold=0.1),
    "grouped histogram": lambda c: fastbox.histogram(c["grouped_a"], c["grouped_b"], bins=9, range=(0, 1)),
    "smooth_l1_loss": lambda c: np.array(fastbox.smooth_l1_loss(c["p"], c["q"], beta=0.3)),
    "huber_loss": lambda c: np.array(fastbox.huber_loss(c["p"], c["q"], reduction="sum")),
    "l1_loss": lambda c: fastbox.l1_loss(Boxes(c["p"]), Boxes(c["q"]), reduction="box"),
}


def bits(answer: Any) -> tuple[bytes, ...]:
    return tuple(np.ascontiguousarray(part).tobytes() for part in (answer if isinstance(answer, tuple) else (answer,)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_number_of_threads_changes_no_bits(
    name: str, dtype: Any, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry, "MEASURED_PLAIN", 10_000)  # so that threads share the grouped boxes too
    boxes = collections(dtype)
    answers = set()
    for n in (1, 2, 3, 8):
        threads(n)
        answers.add(bits(OPERATIONS[name](boxes)))
    assert len(answers) == 1


@pytest.mark.jit
@pytest.mark.parametrize("workers", [2, 5])
def test_many_callers_at_once_get_their_own_answers(workers: int, threads: Any) -> None:
    threads(2)
    boxes = collections(np.float32)
    alone = {name: bits(call(boxes)) for name, call in OPERATIONS.items()}
    start = threading.Barrier(workers)

    def call_all(turn: int) -> list[str]:
        names = list(OPERATIONS)
        start.wait()
        return [name for name in names[turn:] + names[:turn] if bits(OPERATIONS[name](boxes)) != alone[name]]

    with ThreadPoolExecutor(workers) as pool:
        wrong = list(pool.map(call_all, range(workers)))
    assert wrong == [[]] * workers


def test_the_number_of_threads_can_change_while_others_work(threads: Any) -> None:
    boxes = collections(np.float32)
    right = bits(OPERATIONS["pairs"](boxes))
    done = threading.Event()

    def restless() -> None:
        n = 1
        while not done.is_set():
            fastbox.set_num_threads(1 + n % 3)
            n += 1

    other = threading.Thread(target=restless)
    other.start()
    try:
        assert all(bits(OPERATIONS["pairs"](boxes)) == right for _ in range(10))
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_thread_is_refused(n: int) -> None:
    before = fastbox.get_num_threads()
    with pytest.raises(ValueError, match=str(n)):
        fastbox.set_num_threads(n)
    assert fastbox.get_num_threads() == before


@pytest.mark.slow
def test_the_environment_sets_the_number_of_threads(python: Any) -> None:
    ask = "import fastbox; print(fastbox.get_num_threads())"
    assert python(ask, FASTBOX_NUM_THREADS="3").stdout.strip() == "3"
    if hasattr(os, "sched_setaffinity"):
        one = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); "
        assert python(one + ask, FASTBOX_NUM_THREADS=None).stdout.strip() == "1"
        assert int(python(ask, FASTBOX_NUM_THREADS=None).stdout) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("value", ["many", "0", "-2", "1.5"])
def test_a_wrong_number_of_threads_in_the_environment_is_named(python: Any, value: str) -> None:
    failed = python("import fastbox; fastbox.get_num_threads()", check=False, FASTBOX_NUM_THREADS=value)
    assert failed.returncode != 0
    last = failed.stderr.strip().splitlines()[-1]
    assert "FASTBOX_NUM_THREADS" in last
    assert value in last
    assert "ValueError" in last or "InputError" in last


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_honoured(python: Any) -> None:
    one_core = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    ask = f"{one_core}; import fastbox; print(fastbox.get_num_threads())"
    assert python(ask, FASTBOX_NUM_THREADS=None).stdout.strip() == "1"


FORK = """
import os, sys, warnings
sys.path += ["tests", "tests/kernels"]
warnings.simplefilter("ignore", DeprecationWarning)
import numpy as np
import test_threads as t
import fastbox
fastbox.set_num_threads(2)
boxes = t.collections(np.float32)
before = {name: t.bits(call(boxes)) for name, call in t.OPERATIONS.items()} if USE_BEFORE else None
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        after = {name: t.bits(call(boxes)) for name, call in t.OPERATIONS.items()}
        os._exit(0 if before is None or after == before else 3)
    children.append(child)
for child in children:
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, os.waitstatus_to_exitcode(status)
again = {name: t.bits(call(boxes)) for name, call in t.OPERATIONS.items()}
assert before is None or again == before
print("fine")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
@pytest.mark.parametrize("used_before", [True, False])
def test_children_of_a_fork_can_work_too(python: Any, used_before: bool) -> None:
    assert python(f"USE_BEFORE = {used_before}\n{FORK}").stdout.strip() == "fine"


WHILE_COMPILING = """
import logging, os, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numpy as np
import fastbox
import fastbox.kernels.build.forks
fastbox.kernels.build.forks.WAITS = WAITS
boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32)
compiling = threading.Event()
class Said(logging.Handler):
    def emit(self, record):
        compiling.set()
logging.getLogger("fastbox").addHandler(Said())
logging.getLogger("fastbox").setLevel("DEBUG")
other = threading.Thread(target=lambda: fastbox.pairs(boxes, boxes, threshold=0.5))
other.start()
compiling.wait()
time.sleep(AFTER)
child = os.fork()
if child == 0:
    print(np.array_equal(fastbox.pairwise(boxes, boxes), np.float32([[1, 1 / 7], [1 / 7, 1]])), flush=True)
    os._exit(0)
end = time.monotonic() + 240
while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
    time.sleep(0.05)
if done == (0, 0):
    os.kill(child, 9)
    print("the child hangs")
other.join()
print(done[1], fastbox.pairs(boxes, boxes, threshold=0.5).rows.tolist())
"""


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
@pytest.mark.parametrize(("after", "waits"), [(0, 20), (0.3, 20), (1.2, 20), (0.3, 0), (1.2, 0), (2.5, 0)])
def test_a_fork_while_another_thread_compiles(after: float, waits: float, python: Any, tmp_path: Any) -> None:
    """It waits for the other thread; where that takes too long, the child compiles anew what was half compiled."""
    code = f"AFTER, WAITS = {after}, {waits}\n{WHILE_COMPILING}"
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).stdout.splitlines() == ["True", "0 [0, 1]"]


HELD = """
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numba.core.compiler_lock
import numpy as np
import fastbox
import fastbox.kernels.build.compiler
import fastbox.kernels.build.forks as compiling
from fastbox import parallel
from numba.core.postproc import VariableLifetime
compiling.WAITS = 0.2
boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32)
locks = {
    "ours": compiling.LOCK,
    "Numba's": numba.core.compiler_lock.global_compiler_lock,
    "the pool's": parallel._lock,
    "a property's": getattr(VariableLifetime.usedefs, "lock", threading.RLock()),  # Python before 3.12 has one
}
held, end = threading.Event(), threading.Event()
def hold():
    for name in HELD_BY_OTHERS:
        locks[name].acquire()
    held.set()
    end.wait()
    for name in HELD_BY_OTHERS:
        locks[name].release()
other = threading.Thread(target=hold)
other.start()
held.wait()
child = os.fork()
if child == 0:
    fastbox.set_num_threads(2)
    parallel.run(lambda k: k, [(0,), (1,)])
    os._exit(0 if fastbox.pairwise(boxes, boxes).tolist()[0][0] == 1 else 3)
end.set()
other.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), fastbox.pairwise(boxes, boxes).tolist()[0][0])
"""


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
@pytest.mark.parametrize(
    "names", [("ours",), ("ours", "Numba's"), ("Numba's",), ("the pool's",), ("ours", "Numba's", "a property's")]
)
def test_a_fork_while_locks_are_held_for_long(names: tuple[str, ...], python: Any) -> None:
    assert python(f"HELD_BY_OTHERS = {names}\n{HELD}").stdout.split() == ["0", "1.0"]


@pytest.mark.slow
def test_a_process_that_worked_ends(python: Any) -> None:
    work = "fastbox.best(np.random.rand(900, 4), np.random.rand(900, 4))"
    code = f"import fastbox, numpy as np; fastbox.set_num_threads(2); {work}; print('done')"
    if not WITHOUT_JIT:
        assert python(code).stdout.strip() == "done"


def test_an_error_in_one_thread_reaches_the_caller_and_harms_no_one(threads: Any) -> None:
    threads(2)
    boxes = collections(np.float32)
    with pytest.raises(ValueError, match="none such"):
        fastbox.best(boxes["a"], boxes["b"], metric="none such")
    assert len(fastbox.best(boxes["a"], boxes["b"]).values) == N
