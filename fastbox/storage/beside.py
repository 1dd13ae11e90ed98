"""A thread beside the caller's own that reads or writes: it makes one call after the other.

``concurrent.futures`` would take milliseconds to import.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from fastbox.parallel import get_num_threads
from fastbox.stages import current, stage

__all__ = ["Beside", "Coming", "together"]

R = TypeVar("R")


class Coming(Generic[R]):
    """The result of a call that another thread makes."""

    def __init__(self, function: Callable[..., R], given: tuple[Any, ...]) -> None:
        self._call: tuple[Callable[..., R], tuple[Any, ...]] | None = (function, given)
        self._done = threading.Lock()
        self._done.acquire()
        self._found: Any = None
        self._error: BaseException | None = None

    def make(self) -> None:
        """Make the call, and hold nothing of it afterwards but its result."""
        assert self._call is not None
        (function, given), self._call = self._call, None
        try:
            self._found = function(*given)
        except BaseException as error:  # whatever it is, it is the caller's
            self._error = error
        finally:
            self._done.release()

    def result(self) -> R:
        """Wait for the result, and take it; raise the error of the call."""
        with self._done:
            found, error = self._found, self._error
            self._found = self._error = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # whose traceback holds this frame
        return found  # type: ignore[no-any-return]


class Beside:
    """A thread that makes calls in turn; it begins with the first one, and must be ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Coming[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., R], *given: Any) -> Coming[R]:
        """Have a function called with arguments, after all calls before."""
        if self._thread is None:
            self._thread = threading.Thread(target=_make, args=(self._calls,), name=self._name, daemon=True)
            try:
                self._thread.start()  # before there is a call to make: an interrupt leaves nothing under way
            except RuntimeError:  # no thread can start now
                self._thread = None
                raise
        coming = Coming(function, given)
        self._calls.put(coming)
        return coming

    def end(self, *, wait: bool = True) -> None:
        """Begin no further call, and wait for the one that is under way. May be interrupted and called again."""
        with suppress(Empty):
            while True:
                self._calls.get_nowait()
        self._calls.put(None)
        if wait and self._thread is not None and self._thread.ident is not None:
            self._thread.join()


def _make(calls: SimpleQueue[Coming[Any] | None]) -> None:
    while (coming := calls.get()) is not None:
        coming.make()


def together(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """Call the first of some tasks while another thread calls the others in turn; return all results in order.

    For tasks that read files: in part without the GIL, and with the helpers. The error of the first task
    that fails is raised.
    """
    if len(tasks) < 2 or get_num_threads() == 1:
        return [task() for task in tasks]

    def work(task: Callable[[], R]) -> R:
        with stage(doing):
            return task()

    doing, other = current(), Beside("fastbox-reader")
    try:
        coming = [other.call(copy_context().run, work, task) for task in tasks[1:]]
        return [tasks[0](), *(one.result() for one in coming)]
    finally:
        other.end()
