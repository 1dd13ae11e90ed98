"""The only threads: cut work by its cost and run a kernel over the cuts.

Kernels release the GIL and run one after the other on the caller's thread and on helpers that all callers share, for an
executor of the standard library takes eight times as long to hand work out. Parallel loops inside the compiled code are
not used: on images sorted by size they halve the gain of a second thread, one threading layer aborts the process when
two Python threads call it, and another layer kills forked children.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbox.kernels.build import forks
from fastbox.stages import current, stage
from fastbox.values.labels import once

__all__ = [
    "Span", "Version", "alone", "blocks", "compile_together", "cut", "cuts", "get_num_threads", "kernel", "kernels",
    "run", "run_blocks", "run_calls", "set_num_threads", "threads_here",
]  # fmt: skip

R = TypeVar("R")

Span = tuple[int, int, int]  # an image, and the rows of a to do from there: first and last
Version = tuple[str, str, DTypeLike, str]  # a kernel: its module, its name, and the dtype and the metric it is made for

ENVIRONMENT = "FASTBOX_NUM_THREADS"

ROW_COST = 16  # the cost of a row beside its pairs, in pairs
SMALL = 100_000  # the cost of a span at least, in pairs: they take some times as long as waking a thread
SPANS_PER_THREAD = 8  # so that the other threads wait little for a thread that is held up
WHOLE_ROWS = 16  # rows of an image are cut at multiples of this number

_lock = threading.RLock()  # a signal may come while a helper starts, and its handler may call
_helpers = 0
_shares: SimpleQueue[_Share] = SimpleQueue()
_threads: int | None = None
_here: ContextVar[int | None] = ContextVar("fastbox_threads", default=None)


def get_num_threads() -> int:
    """Return the number of threads of kernels: the number set, FASTBOX_NUM_THREADS, or the processors of this process.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.get_num_threads() >= 1
    True
    """
    here = _here.get()
    if here is not None:
        return here
    if _threads is not None:
        return _threads
    given = os.environ.get(ENVIRONMENT)
    if given is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.strip().isdecimal() or int(given) < 1:
        raise ValueError(f"expected {ENVIRONMENT} to be a whole number of at least 1, got {given!r}")
    return int(given)


def set_num_threads(n: int) -> None:
    """Set the number of threads of kernels in this process; results are the same for any number.

    Raises
    ------
    ValueError
        If n is not a whole number of at least 1.

    Examples
    --------
    >>> import fastbox
    >>> before = fastbox.get_num_threads()
    >>> fastbox.set_num_threads(1)
    >>> fastbox.get_num_threads()
    1
    >>> fastbox.set_num_threads(before)
    """
    global _threads
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise ValueError(f"expected a whole number of threads of at least 1, got {n!r}")
    _threads = int(n)


@contextmanager
def threads_here(n: int) -> Iterator[None]:
    """Limit kernels that this thread calls to n threads, inside work that is parallel already."""
    token = _here.set(n)
    try:
        yield
    finally:
        _here.reset(token)


def alone() -> bool:
    """Tell whether this thread and its calls have one processor, and start no helper threads."""
    return _here.get() == 1


@cache
def kernels(name: str) -> Any:
    """Return a module of kernels, imported on first use, so that ``import fastbox`` does not import Numba."""
    return importlib.import_module(f"fastbox.kernels.{name}")


@cache
def kernel(module: str, name: str, dtype: np.dtype[Any], metric: str = "") -> Callable[..., Any]:
    """Return a kernel of a module for a dtype and a metric: quicker to find than by :func:`kernels` from then on."""
    found: Callable[..., Any] = getattr(kernels(module), name)[dtype, metric]
    return found


def compile_together(versions: Sequence[Version]) -> None:
    """Compile the kernels that a command needs side by side, at the first run of the command on a machine.

    Parameters
    ----------
    versions
        The kernels, in the order in which :mod:`fastbox.kernels.build.together` takes them.
    """
    if versions and forks.allowed and get_num_threads() > 1 and threading.current_thread() is threading.main_thread():
        from fastbox.kernels.build import together as compiling

        wanted = [(getattr(kernels(module), name), np.dtype(dtype), metric) for module, name, dtype, metric in versions]
        with stage("compile"):
            compiling.compile_together(wanted, get_num_threads())


def cuts(
    starts_a: NDArray[np.int64],
    starts_b: NDArray[np.int64],
    skip: NDArray[np.bool_] | None = None,
    least: int | None = None,
) -> list[Span]:
    """Cut the rows of a into spans of equal cost, at least `least` or else SMALL, given where images begin in a and b.

    The rows of images to skip are in the spans too, and cost no pairs.
    """
    least = SMALL if least is None else least
    last = int(starts_a[-1])
    if last * (int(starts_b[-1]) + ROW_COST) < 2 * least:  # all pairs of all images are too few to cut
        return [(0, 0, last)] if last else []
    if (threads := get_num_threads()) == 1:
        return [(0, 0, last)]
    if len(starts_a) == 2:
        columns = 0 if skip is not None and skip[0] else int(starts_b[-1])
        return [(0, *span) for span in blocks(last, WHOLE_ROWS, max(WHOLE_ROWS, least // (columns + ROW_COST)))]
    rows_b = starts_b[1:] - starts_b[:-1]
    per_row = (rows_b if skip is None else np.where(skip, 0, rows_b)) + ROW_COST
    ends = ((starts_a[1:] - starts_a[:-1]) * per_row).cumsum()
    wanted = min(threads * SPANS_PER_THREAD, int(ends[-1]) // least)
    if wanted < 2:
        return [(0, 0, last)]
    cost = np.concatenate(([0], ends))
    marks = np.linspace(0, cost[-1], wanted + 1)[1:-1]
    image = np.searchsorted(cost, marks, side="right") - 1
    inside = (marks - cost[image]) / per_row[image] // WHOLE_ROWS * WHOLE_ROWS
    rows = once(np.concatenate(([0], starts_a[image] + inside.astype(np.int64), [last])))
    first_image = np.searchsorted(starts_a, rows[:-1], side="right") - 1
    return list(zip(first_image.tolist(), rows[:-1].tolist(), rows[1:].tolist(), strict=True))


def cut(costs: NDArray[Any], least: int | None = None) -> list[tuple[int, int]]:
    """Cut items, each done whole, into spans of about equal cost, at least `least` or else SMALL; none without cost."""
    if len(costs) == 1:
        return [(0, 1)] if costs[0] else []
    ends = np.cumsum(costs)
    if not len(ends) or not ends[-1]:
        return []
    wanted = int(ends[-1] // (SMALL if least is None else least))
    if wanted < 2:
        return [(0, len(ends))]
    marks = np.linspace(0, ends[-1], min(get_num_threads() * SPANS_PER_THREAD, wanted) + 1)[1:-1]
    bounds = once(np.concatenate(([0], np.searchsorted(ends, marks) + 1, [len(ends)]))).tolist()
    return list(pairwise(bounds))


def blocks(n: int, whole: int, smallest: int) -> list[tuple[int, int]]:
    """Cut n equal items into spans of whole blocks, only the last one smaller than `smallest`."""
    if n < 2 * smallest:
        return [(0, n)] if n else []
    spans = min(get_num_threads() * SPANS_PER_THREAD, n // smallest)
    step = -(-n // (spans * whole)) * whole
    return [(first, min(first + step, n)) for first in range(0, n, step)] if n else []


def run(task: Callable[..., R], spans: Sequence[tuple[Any, ...]]) -> list[R]:
    """Call task(*span) for each span on the threads and on the caller's own; return their results in order.

    After an error or an interrupt no span begins, and it is raised when no thread works on a span any more.
    """
    workers = min(get_num_threads(), len(spans)) if len(spans) > 1 else 1
    if workers < 2:
        return [task(*span) for span in spans]
    results: list[Any] = [None] * len(spans)
    waiting: SimpleQueue[int] = SimpleQueue()
    for k in range(len(spans)):
        waiting.put(k)

    def give_up() -> None:
        with suppress(Empty):
            while True:
                waiting.get_nowait()

    def work() -> None:
        with stage(doing):
            while True:
                try:
                    k = waiting.get_nowait()
                except Empty:
                    return
                try:
                    results[k] = task(*spans[k])
                except BaseException:
                    give_up()
                    raise

    doing = current()
    shares = [_Share(work) for _ in range(workers - 1)]
    try:
        _hand_out(shares)
        work()
        errors = [share.end() for share in shares]
    except BaseException:  # nothing is written any more when the caller learns of it
        give_up()
        for share in shares:
            share.end()
        raise
    for error in errors:
        if error is not None:
            raise error
    return results


def run_calls(calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call functions, each with its arguments behind it, as :func:`run` does; return their results in order."""
    return run(_call, calls)


def _call(function: Callable[..., Any], *given: Any) -> Any:
    return function(*given)


def run_blocks(
    kernel: Callable[..., R], given: tuple[Any, ...], out: Any, n: int, whole: int, smallest: int
) -> list[R]:
    """Call kernel(*given, span, out), as :func:`run` does, for each span that :func:`blocks` cuts n items into."""
    if 0 < n < 2 * smallest:
        return [kernel(*given, (0, n), out)]
    return run(kernel, [(*given, span, out) for span in blocks(n, whole, smallest)])


class _Share:
    """Work for a helper thread, unless the caller ends it first: who is done does not wait for who has not begun.

    Once it is ended it holds nothing of the work: a caller may close the memory of its arrays.
    """

    __slots__ = ("_done", "_error", "_taken", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._taken: dict[str, bool] = {}
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def do(self) -> None:
        """Do the work, if it is still wanted."""
        if not self._taken.setdefault("by a helper", True):
            return
        try:
            assert self._work is not None
            self._work()
        except BaseException as error:  # whatever it is, it is the caller's
            self._error = error
        finally:
            self._work = None
            self._done.release()

    def end(self) -> BaseException | None:
        """Wait until the work is done, if it has begun; return its error. May be interrupted and called again."""
        if self._taken.setdefault("by a helper", False):
            with self._done:
                pass
        self._work = None
        return self._error


def _hand_out(shares: list[_Share]) -> None:
    """Give shares to the helper threads, which are at least as many, where the system allows it."""
    global _helpers
    with _lock, suppress(RuntimeError):  # none start where Python is about to end
        while _helpers < len(shares):
            threading.Thread(target=_help, args=(_shares,), name=f"fastbox_{_helpers}", daemon=True).start()
            _helpers += 1
    for share in shares[:_helpers]:
        _shares.put(share)


def _help(shares: SimpleQueue[_Share]) -> None:
    while True:
        shares.get().do()


def _forget_helpers() -> None:
    """Drop the helpers in a forked child, which has no thread of its parent."""
    global _helpers, _shares, _lock
    _helpers, _shares, _lock = 0, SimpleQueue(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)
