"""How functions are compiled: signatures, options, specialisation and the cache key, written once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numpy as np
from numba import from_dtype, njit, types

# Division by zero gives inf or nan as NumPy does: the default error model branches on it, which blocks vectorisation
# (11 times slower). No fastmath: it gains nothing, breaks nan and the promise of equal bits.
device = njit(error_model="numpy")

# For what is so long that the compiler would call it for each box instead: a loop with a call in it does not
# vectorise, and takes 4 to 8 times as long.
inlined = njit(error_model="numpy", forceinline=True)

# Numba does not see that a function in another file has changed, so every cache entry carries the text of all kernels.
_SOURCE = hashlib.sha256(b"".join(f.read_bytes() for f in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()[:16]

_LOCK = threading.RLock()

i8 = types.int64


def readonly(t: Any, ndim: int = 1) -> Any:
    """An input array: any stride, read-only or not, in one compiled version."""
    return types.Array(t, ndim, "A", readonly=True)


def vector(t: Any, ndim: int = 1) -> Any:
    """An output array, C-contiguous."""
    return types.Array(t, ndim, "C")


def side(t: Any) -> Any:
    """One collection of boxes: format, four columns."""
    return types.Tuple((i8, *[readonly(t)] * 4))


def rebound(original: Callable[..., Any], names: Mapping[str, Any], label: str) -> FunctionType:
    """The same function with other globals, under a name of its own.

    Without it two cached kernels could each bring their own function under one name, and the first one loaded would
    compute the other's numbers.
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
        function = rebound(self.function, self.metrics[metric], f"{metric}_{_SOURCE}")
        signature = self.signature(from_dtype(dtype))
        try:
            return cast(Callable[..., Any], njit(signature, cache=True, nogil=True, error_model="numpy")(function))
        except RuntimeError:  # no place to keep a cache
            return cast(Callable[..., Any], njit(signature, nogil=True, error_model="numpy")(function))
