"""Kernels of one command, compiled side by side: by children of a fork, which share the compiler that is imported once.

Only a process of the command line forks (``forks.allowed``). Any other process may have threads whose locks a child
would wait for.
"""

from __future__ import annotations

import os
import signal
import struct
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from fastbox.kernels.build import forks
from fastbox.kernels.build.kernel import Kernel

__all__ = ["compile_together"]

Wanted = tuple[Kernel, Any, str]  # a kernel, and the dtype and the metric of its version

PATIENCE = 10.0  # seconds to wait for the children, and at least as long as the share of this process took
_REPORT = struct.Struct("=Hd")  # the number of a version, and the seconds that compiling it took


def compile_together(wanted: Sequence[Wanted], processes: int) -> None:
    """Compile versions that are all needed in several processes, if the first one has to be compiled.

    What a child fails to compile is compiled at its first use.

    Parameters
    ----------
    wanted
        The versions, best in descending order of the time that compiling takes.
    processes : int
        The number of processes, this one included.
    """
    kernel, *version = wanted[0]
    if kernel.is_kept(*version):
        return
    with forks.IMPORT:
        from fastbox.kernels.build import compiler, loader, shortcuts  # noqa: F401 - imported for the children too
    queue, results = _pipe(bytes(range(len(wanted)))), os.pipe()
    children: list[int] = []
    start = time.perf_counter()
    try:
        for _ in range(min(processes, len(wanted)) - 1):
            children.append(_child(wanted, _taken(queue), results[1]))
        for place in _taken(queue):
            kernel, dtype, metric = wanted[place]
            kernel[dtype, metric]
        _wait(children, max(PATIENCE, time.perf_counter() - start))
        os.set_blocking(results[0], False)
        _tell(wanted, results[0])
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for descriptor in (queue, *results):
            os.close(descriptor)


def _pipe(content: bytes) -> int:
    """Return a descriptor from which some bytes can be read, each by one process."""
    reads, writes = os.pipe()
    os.write(writes, content)
    os.close(writes)
    return reads


def _taken(queue: int) -> Iterator[int]:
    """Yield the numbers of the versions that no other process takes."""
    while number := os.read(queue, 1):
        yield number[0]


def _child(wanted: Sequence[Wanted], places: Iterator[int], results: int) -> int:
    """Start a child that compiles versions and reports each; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the child might wait for: it needs none
        child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for place in places:
            start = time.perf_counter()
            kernel, dtype, metric = wanted[place]
            kernel.keep(dtype, metric)
            os.write(results, _REPORT.pack(place, time.perf_counter() - start))
    finally:
        os._exit(0)  # the parent compiles what is missing, and shows errors


def _wait(children: list[int], most: float) -> None:
    """Wait some seconds for children; those that ended are removed from the list."""
    end = time.perf_counter() + most
    while children and time.perf_counter() < end:
        if os.waitpid(children[0], os.WNOHANG)[0]:
            children.pop(0)
        else:
            time.sleep(0.002)


def _tell(wanted: Sequence[Wanted], results: int) -> None:
    """Write the compilations of the children to the log."""
    import logging

    log = logging.getLogger("fastbox")
    try:
        reports = os.read(results, _REPORT.size * len(wanted))
    except BlockingIOError:  # no child compiled anything
        return
    for place, seconds in _REPORT.iter_unpack(reports):
        kernel, dtype, metric = wanted[place]
        label = kernel.label(dtype, metric)
        log.debug("Compiling %s", label, extra={"kernel": label})
        log.info("Compiled %s in %.1f s", label, seconds, extra={"kernel": label, "seconds": seconds})
