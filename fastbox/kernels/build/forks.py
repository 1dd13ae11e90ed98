"""Children of a fork while kernels are compiled.

A child of fork has none of the threads that hold its locks, so a fork waits until no thread compiles: then the
compiler's memory is whole in the child too. Where that takes too long, the child gets locks of its own; but the import
of the compiler, and a call into LLVM, a part of one compilation, are always waited for: nothing can renew their locks.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

LOCK = threading.RLock()  # of all kernels: one is made at a time
IMPORT = threading.RLock()  # held while Numba is imported
WAITS = 20.0  # seconds

allowed = False  # this process may fork by itself to compile: it is one of the command line

_wanted: list[Any] = []
_held: list[Any] = []
_always: list[Any] = []


def _before() -> None:
    end = time.monotonic() + WAITS
    _wanted.append(LOCK)
    _hold(LOCK, end)
    _always.append(IMPORT)
    IMPORT.acquire()
    compiler, llvm = sys.modules.get("fastbox.kernels.build.compiler"), sys.modules.get("llvmlite.binding.ffi")
    if compiler is not None:
        _wanted.append(compiler.global_compiler_lock._lock)
        _hold(_wanted[-1], end)
    if llvm is not None:
        _always.append(llvm.lib._lock._lock)
        _always[-1].acquire()


def _hold(lock: Any, end: float) -> None:
    if lock.acquire(timeout=max(0.0, end - time.monotonic())):
        _held.append(lock)


def _after() -> None:
    for locks in (_always, _held):
        while locks:
            locks.pop().release()
    _wanted.clear()


def _after_in_child() -> None:
    global LOCK
    if len(_held) < len(_wanted):
        _held.clear()
        LOCK = threading.RLock()
        compiler = sys.modules.get("fastbox.kernels.build.compiler")
        if compiler is not None:
            compiler.begin_again()
        shortcuts = sys.modules.get("fastbox.kernels.build.shortcuts")
        if shortcuts is not None:
            shortcuts.end()
    _after()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
