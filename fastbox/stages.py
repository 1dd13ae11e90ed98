"""The seconds of a call by stage: imports, compiling, decoding, computing, encoding and waiting; and the log.

Nothing is measured, at the cost of one comparison, unless :func:`profiled` is active in this process. ``logging`` takes
milliseconds to import, and is imported when something is logged.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["STAGES", "Profile", "current", "logger", "profiled", "stage", "staged", "told", "watched"]

Item = TypeVar("Item")

STAGES = ("import", "compile", "decode", "compute", "encode", "wait")

_NOTHING = nullcontext()
_waiting: list[Callable[[Logger], None]] = []  # for the logger
_profile: Profile | None = None


class Profile:
    """The seconds of each stage, in the thread that called, and in all other threads together.

    The stages of a thread exclude one another: those of the calling thread add up to the elapsed time. Other threads
    work at the same time, so their seconds do not.

    Attributes
    ----------
    main, others : dict of str to float
        Seconds by stage.
    elapsed, cpu : float
        Seconds from the start to the end, and seconds of all processors.
    told : bool
        The summary of the command has shown the profile.
    """

    def __init__(self, before: float = 0.0) -> None:
        self.main = dict.fromkeys(STAGES, 0.0)
        self.others = dict.fromkeys(STAGES, 0.0)
        self.main["import"] = before
        self.elapsed, self.cpu = before, before
        self.told = False  # shown in a summary already
        self._caller = threading.get_ident()
        self._stacks: dict[int, list[list[Any]]] = {}  # by thread: the stages that it is in, each with its start
        self._start, self._cpu = time.perf_counter() - before, time.process_time() - before
        self._lock = threading.Lock()

    def to_dict(self) -> dict[str, Any]:
        """Return everything up to now as JSON holds it."""
        self._stop()
        stages = {name: {"main": round(self.main[name], 4), "others": round(self.others[name], 4)} for name in STAGES}
        return {"elapsed": round(self.elapsed, 4), "cpu": round(self.cpu, 4), "stages": stages}

    def enter(self, name: str) -> int:
        """Begin a stage in this thread, interrupt the stage around it, and return the number of stages around it."""
        moment, stack = time.perf_counter(), self._stacks.setdefault(threading.get_ident(), [])
        if stack:
            self._add(stack[-1], moment)
        stack.append([name, moment])
        return len(stack) - 1

    def leave(self, around: int | None = None) -> None:
        """End the last stage that this thread began, or all stages but the first ones; the stage around goes on."""
        moment, stack = time.perf_counter(), self._stacks[threading.get_ident()]
        self._add(stack[-1], moment)
        del stack[-1 if around is None else around :]
        if stack:
            stack[-1][1] = moment

    def current(self) -> str:
        """Return the stage that this thread is in."""
        stack = self._stacks.get(threading.get_ident())
        return stack[-1][0] if stack else "compute"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        around = self.enter(name)
        try:
            yield
        finally:
            self.leave(around)

    def _add(self, entry: list[Any], moment: float) -> None:
        name, since = entry
        entry[1] = moment
        seconds = self.main if threading.get_ident() == self._caller else self.others
        with self._lock:
            seconds[name] += moment - since

    def _stop(self) -> None:
        """Count the stages that the calling thread is in up to now."""
        if threading.get_ident() == self._caller and (stack := self._stacks.get(self._caller)):
            self._add(stack[-1], time.perf_counter())
        if _profile is self:
            self.elapsed, self.cpu = time.perf_counter() - self._start, time.process_time() - self._cpu


def told() -> dict[str, Any]:
    """Return the entry of the profile in a summary, which shows the profile then; nothing if none is being made."""
    if _profile is None:
        return {}
    _profile.told = True
    return {"profile": _profile.to_dict()}


def stage(name: str) -> AbstractContextManager[None]:
    """Measure a stage of this thread, one of ``STAGES``, if a profile is being made."""
    return _NOTHING if _profile is None else _profile.stage(name)


def current() -> str:
    """Return the stage that this thread is in."""
    return "compute" if _profile is None else _profile.current()


def staged(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, and measure the stage in which they are made."""
    rest = iter(items)
    while True:
        with stage(name):
            found = list(islice(rest, 1))
        if not found:
            return
        yield found.pop()


@contextmanager
def profiled(*, whole_process: bool = False) -> Iterator[Profile]:
    """Measure the stages of what runs in a ``with`` statement, in this process.

    Parameters
    ----------
    whole_process : bool
        Count the seconds of the processor since the start of the process as imports.

    Examples
    --------
    >>> import fastbox
    >>> with fastbox.profiled() as profile:
    ...     best = fastbox.best([[0, 0, 2, 2]], [[1, 0, 3, 2]])
    >>> list(profile.to_dict()["stages"])
    ['import', 'compile', 'decode', 'compute', 'encode', 'wait']
    """
    global _profile
    if _profile is not None:  # the one around it measures this too
        yield _profile
        return
    import logging

    class Compiling(logging.Handler):
        """A log handler that measures the kernels that are compiled, from the record of the start to the end's."""

        def emit(self, record: logging.LogRecord) -> None:
            if _profile is None or not hasattr(record, "kernel"):
                return
            if hasattr(record, "seconds"):
                _profile.leave()
            else:
                _profile.enter("compile")

    log, compiling = logger(), Compiling()
    level = log.level
    plain, module = builtins.__import__, importlib.import_module
    _profile = profile = Profile(time.process_time() if whole_process else 0.0)
    builtins.__import__, importlib.import_module = _timed(plain, profile), _timed(module, profile)
    log.addHandler(compiling)
    log.setLevel(logging.DEBUG)
    try:
        with profile.stage("compute"):
            yield profile
        profile.to_dict()
    finally:
        _profile = None
        builtins.__import__, importlib.import_module = plain, module
        log.setLevel(level)
        log.removeHandler(compiling)


def _timed(load: Callable[..., Any], profile: Profile) -> Callable[..., Any]:
    """Return an import function that measures the outermost import of each thread."""
    inside = threading.local()

    def timed(*given: Any, **more: Any) -> Any:
        if getattr(inside, "imports", False):
            return load(*given, **more)
        inside.imports = True
        try:
            with profile.stage("import"):
                return load(*given, **more)
        finally:
            inside.imports = False

    return timed


def logger() -> Logger:
    """Return the logger, watched by all who asked for that."""
    import logging

    found = logging.getLogger("fastbox")
    while _waiting:
        _waiting.pop(0)(found)
    return found


@contextmanager
def watched(watch: Callable[[Logger], Callable[[], None]]) -> Iterator[None]:
    """Have the logger watched from its next record on: ``watch`` gets the logger and returns what ends the watch."""
    ends: list[Callable[[], None]] = []

    def begin(log: Logger) -> None:
        ends.append(watch(log))

    _waiting.append(begin)
    try:
        if "logging" in sys.modules:
            logger()
        yield
    finally:
        if begin in _waiting:
            _waiting.remove(begin)
        for end in ends:
            end()
