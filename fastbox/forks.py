"""A fork waits until no other thread is importing fastbox, or what it is made of.

A child of fork has none of its parent's other threads: the modules that they were importing would stay locked there.
"""

from __future__ import annotations

import _imp
import importlib
import os
import sys
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__: list[str] = []

WAITS = 20.0  # seconds at most: an import may itself wait for something

_PACKAGES = ("fastbox", "llvmlite", "numba", "numpy", "pandas", "polars", "pyarrow", "scipy")

_held: dict[int, bool] = {}  # threads that fork, and whether they have the lock of all imports
_one = allocate_lock()  # at a time waits


def _before() -> None:
    if _hold():
        return
    undone = _undone()
    with _one, _registered() as hooks:
        hooks += undone
        end = time.monotonic() + WAITS
        while not _hold(hooks) and time.monotonic() < end:
            time.sleep(0.001)
            while hooks and not _imported_elsewhere():
                hooks.pop()()
    for hook in reversed(hooks):
        hook()


def _hold(more: Sequence[object] = ()) -> bool:
    """Take the lock that all imports begin with, and a fork too, where no thread imports and no more is to be done."""
    _imp.acquire_lock()
    held = _held[get_ident()] = not more and not _imported_elsewhere()
    if not held:
        _imp.release_lock()
    return held


def _imported_elsewhere() -> list[str]:
    """The modules that other threads are importing: those whose locks they have."""
    locks = getattr(importlib, "_bootstrap")._module_locks  # noqa: B009 - it has no public name
    owners = {name: getattr(lock(), "owner", None) for name, lock in list(locks.items())}
    mine = (None, get_ident())
    return [name for name, owner in owners.items() if owner not in mine and name.partition(".")[0] in _PACKAGES]


@contextmanager
def _registered() -> Iterator[list[Callable[[], object]]]:
    """Collect what is registered meanwhile to be called before forks: what goes with it is called after this one."""
    register, hooks = os.register_at_fork, list[Callable[[], object]]()

    def registered(**given: Any) -> None:
        register(**given)
        if "before" in given:
            hooks.append(given["before"])

    os.register_at_fork = registered  # type: ignore[assignment]
    try:
        yield hooks
    finally:
        os.register_at_fork = register


def _undone() -> list[Callable[[], object]]:
    """Undo what logging has done before this fork, for an import may ask for a logger; return what does it again."""
    lock = getattr(sys.modules.get("logging"), "_lock", None)
    if lock is None or not lock._is_owned():
        return []
    lock.release()
    return [lock.acquire]


def _after() -> None:
    if _held.pop(get_ident(), False):
        _imp.release_lock()


def _after_in_child() -> None:
    global _one
    if not _held[get_ident()]:  # nobody goes on importing here: to ask for it again is an error, and no wait
        sys.modules.update(dict.fromkeys(_imported_elsewhere()))  # type: ignore[arg-type]
    _after()
    _held.clear()
    _one = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
