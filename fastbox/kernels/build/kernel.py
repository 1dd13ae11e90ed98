"""Compiling functions: signatures, options, specialisation and the cache key, written once."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, cast

import numpy as np
from llvmlite.binding import ffi
from numba import from_dtype, njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.typing.context import CallStack

from fastbox.kernels.build.cache import SOURCE, KernelCache

# Division by zero gives inf or nan as in NumPy: the branch of the default error model blocks vectorisation (11 times
# slower). No fastmath: it gains no speed, and breaks nan and the promise of equal bits. Nobody calls kernels from C.
_OUTER: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}

# Device functions are called by kernels alone: wrappers for Python would take a fifth of the time of compiling.
_INNER: dict[str, Any] = {**_OUTER, "no_cpython_wrapper": True}

device = njit(**_INNER)

# For functions so long that the compiler would call them for each box: a loop with a call in it does not vectorise,
# and takes 4 to 8 times as long.
inlined = njit(forceinline=True, **_INNER)

KERNELS = __name__.rpartition(".build.")[0]  # the package of all kernels

_LOCK = threading.RLock()

i8 = types.int64


def readonly(t: Any, ndim: int = 1) -> Any:
    """Return the type of an input array: any stride, read-only or not, in one compiled version."""
    return types.Array(t, ndim, "A", readonly=True)


def vector(t: Any, ndim: int = 1) -> Any:
    """Return the type of an output array, C-contiguous."""
    return types.Array(t, ndim, "C")


def side(t: Any) -> Any:
    """Return the type of a collection of boxes: format, four columns."""
    return types.Tuple((i8, *[readonly(t)] * 4))


def group(*kinds: Any) -> Any:
    """Return the type of arguments that belong together: a plain tuple, which makes calls faster than many arguments.

    Named tuples are refused in signatures for arrays of any stride; device functions unpack the plain ones by name.
    """
    return types.Tuple(kinds)


def rebound(original: Callable[..., Any], names: Mapping[str, Any], label: str) -> FunctionType:
    """Return a copy of a function with other globals and another name.

    Two cached kernels of one name could each bring their own function, and the first one loaded would compute the
    other's numbers.
    """
    function = cast(FunctionType, original)
    copy = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)
    copy.__module__, copy.__qualname__ = function.__module__, f"{function.__name__}_{label}"
    return copy


class Kernel:
    """A function compiled on first use, once per float dtype and metric: ``kernel[dtype, metric](...)``.

    A metric is bound by giving the function's text other globals.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Callable[[Any], Any],
        metrics: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.function = function
        self.signature = signature
        self.metrics = metrics
        self.compiled: dict[Any, Callable[..., Any]] = {}

    def __getitem__(self, key: tuple[np.dtype[Any], str]) -> Callable[..., Any]:
        found = self.compiled.get(key)
        if found is None:
            with _LOCK:
                found = self.compiled.get(key)
                if found is None:
                    found = self.compiled[key] = self._compile(*key)
        return found

    def _compile(self, dtype: np.dtype[Any], metric: str) -> Callable[..., Any]:
        function = rebound(self.function, self.metrics[metric], f"{metric}_{SOURCE}")
        dispatcher: Any = njit(nogil=True, **_OUTER)(function)
        if isinstance(dispatcher, FunctionType):  # NUMBA_DISABLE_JIT is set
            return dispatcher
        dispatcher._cache = self.cache(dtype, metric)
        dispatcher.compile(self.signature(from_dtype(dtype)))
        dispatcher.disable_compile()
        return cast(Callable[..., Any], dispatcher)

    def cache(self, dtype: np.dtype[Any], metric: str) -> KernelCache:
        """Return the cache of the version for a dtype and a metric."""
        room = self.function.__module__.removeprefix(f"{KERNELS}.")
        name = self.function.__name__
        label = ", ".join(filter(None, (metric, dtype.name)))
        return KernelCache(f"{room}.{name}_{metric}_{SOURCE}", f"{name} ({label})")


# A child of fork has none of the threads that hold its locks, so a fork waits until no thread compiles: then the
# compiler's memory is whole in the child too. Where that takes too long, the child gets locks of its own; but a call
# into LLVM, a part of one compilation, is always waited for: nothing can renew LLVM's own locks.

FORK_WAITS = 20.0  # seconds

_held: list[Any] = []


def _before_fork() -> None:
    end = time.monotonic() + FORK_WAITS
    _held.extend(
        lock for lock in (_LOCK, global_compiler_lock._lock) if lock.acquire(timeout=max(0.0, end - time.monotonic()))
    )
    ffi.lib._lock._lock.acquire()


def _after_fork() -> None:
    ffi.lib._lock._lock.release()
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    global _LOCK
    if len(_held) < 2:
        _held.clear()
        _LOCK = threading.RLock()
        global_compiler_lock._lock = threading.RLock()
        cpu_target.typing_context.callstack = CallStack()
        for found in gc.get_objects():  # no compilation that had begun goes on in the child
            if isinstance(found, Dispatcher) and found.is_compiling:
                found._compiling_counter = type(found.is_compiling)()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
