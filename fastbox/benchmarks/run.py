"""Measure fastbox and its peers in turns, and compare the medians."""

from __future__ import annotations

import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastbox._record import dataclass
from fastbox._version import __version__
from fastbox.benchmarks.cases import LIBRARIES, Work, works
from fastbox.parallel import get_num_threads, threads_here

__all__ = ["Benchmarked", "bench", "processor"]

ROUNDS = 25  # at most
LEAST = 3  # rounds, unless the time is up
OURS = "fastbox"


@dataclass
class Benchmarked:
    """The result of :func:`bench`.

    Attributes
    ----------
    machine : dict
        The processor, the number of threads, and the versions of fastbox and of the installed peers.
    missing : list of str
        Peers that are not installed.
    rows : list of dict
        For each kind of work: its ``work`` and ``size``, the number of ``rounds``, the median ``seconds`` by the number
        of threads, and ``peers``: the name, the threads and the median seconds of each, and in ``times`` this median as
        a multiple of that of fastbox on as many threads. ``differ`` names peers with other results, which are not
        measured.
    seconds : float
        The seconds of the whole run.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {"machine": self.machine, "missing": self.missing, "rows": self.rows, "seconds": round(self.seconds, 1)}


def bench(
    *, seconds: float = 75.0, scale: float = 1.0, progress: Callable[[str, int, int], object] | None = None
) -> Benchmarked:
    """Measure fastbox beside the peers that are installed.

    Kernels are compiled and results compared before the first measurement. The calls take turns; medians are compared.

    Parameters
    ----------
    seconds : float
        The time to measure, shared among the kinds of work; preparation takes some more.
    scale : float
        The share of the usual number of boxes.
    progress : callable, optional
        Called with the name of the work that begins, the number of kinds of work done, and the number of all.
    """
    start, left = time.perf_counter(), seconds
    found = Benchmarked(_machine(), [name for name in LIBRARIES if _version(name) is None])
    todo = list(works(scale))
    for done, prepare in enumerate(todo):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of peers
            work = prepare()
            if progress is not None:
                progress(work.what, done, len(todo))
            row, taken = _measured(work, left / (len(todo) - done))
        found.rows.append(row)
        left = max(0.0, left - taken)
    found.seconds = time.perf_counter() - start
    return found


def _measured(work: Work, seconds: float) -> tuple[dict[str, Any], float]:
    """Measure one kind of work in turns until the time is up, or there are enough rounds; return the time taken too."""
    threads = get_num_threads()
    ours = work.ours()  # compiles the kernels
    rivals = {(rival.name, threads if rival.all_threads else 1): rival for rival in work.rivals}
    differ = [key for key, rival in rivals.items() if not work.same(ours, rival.value(rival.call()))]
    del ours
    calls: dict[tuple[str, int], Callable[[], Any]] = {
        (OURS, count): _on(count, work.ours) for count in ((1, threads) if work.threaded and threads > 1 else (1,))
    }
    calls |= {key: rival.call for key, rival in rivals.items() if key not in differ}
    start = time.perf_counter()
    times = _turns(calls, start + seconds)
    taken = time.perf_counter() - start
    median = {key: statistics.median(found) for key, found in times.items()}
    peers = [
        {"name": name, "threads": count, "seconds": median[name, count], "times": median[name, count] / fastest}
        for name, count in median
        if name != OURS and (fastest := median.get((OURS, count)))
    ]
    row = {
        "work": work.what,
        "size": work.size,
        "rounds": min(map(len, times.values())),
        "seconds": {str(count): median[OURS, count] for name, count in median if name == OURS},
        "peers": sorted(peers, key=lambda peer: (peer["name"], peer["threads"])),
        "differ": sorted({name for name, _ in differ}),
    }
    return row, taken


def _on(threads: int, call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with threads_here(threads):
            return call()

    return run


def _turns(calls: Mapping[Any, Callable[[], Any]], end: float) -> dict[Any, list[float]]:
    """Time all calls round by round, another one first in each round; at least one round."""
    names = list(calls)
    times: dict[Any, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS):
        first = turn % len(names)
        begun = time.perf_counter()
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
        now = time.perf_counter()
        longer = now - begun if turn + 1 >= LEAST else 0.0
        if now + longer > end:
            break
    return times


def _machine() -> dict[str, Any]:
    names = {OURS: __version__} | {name: found for name in ("numpy", *LIBRARIES) if (found := _version(name))}
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "threads": get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": names,
    }


def processor() -> str:
    """Return the name of the processor, or of its kind where the system does not tell it."""
    return next(_names_of_processors(), "") or platform.processor() or platform.machine()


def _names_of_processors() -> Iterator[str]:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            yield from (line.partition(":")[2].strip() for line in file if line.startswith("model name"))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
