"""Measurements that a fresh process takes of itself."""

from __future__ import annotations

import compileall
import os
import re
import resource
import sys
import time
from functools import cache

import fastbox

__all__ = ["COMMAND", "compiled", "forget_peak", "peak", "run_command"]

COMMAND = "from bench.support.process import run_command; run_command()"


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    # VmHWM rather than ru_maxrss: that one remembers the memory of the process which started this one.
    try:
        with open("/proc/self/status") as file:
            return int(re.findall(r"VmHWM:\s+(\d+) kB", file.read())[0]) / 1024
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def forget_peak() -> float:
    """Begin to measure the peak memory of this process anew; return the memory that it has now in MiB. Linux only."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak()


@cache
def compiled() -> None:
    """Compile the bytecode of fastbox, which an installed package has."""
    compileall.compile_dir(os.path.dirname(fastbox.__file__), quiet=1)


def run_command() -> None:
    """Run the arguments of this process as a command line; print its seconds, those of the processors, and the peak."""
    start = time.perf_counter()
    from fastbox.__main__ import main

    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_utime, peak())
