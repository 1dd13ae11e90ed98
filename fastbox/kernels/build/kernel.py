"""Kernels, and where their machine code comes from: a library, the cache, or the compiler."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from fastbox.kernels.build import forks, native
from fastbox.kernels.build.call import caller
from fastbox.kernels.build.device import rebound
from fastbox.kernels.build.source import KERNELS, digest
from fastbox.kernels.build.types import Number, Signature, float32, float64


class Kernel:
    """A function of machine code, made once per float dtype and metric: ``kernel[dtype, metric](...)``.

    A metric is bound by giving the function's text other globals, and so is a geometry, by a kernel of its own: then
    the module of the kernel is another one than that of the function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Callable[[Any], Signature],
        metrics: Mapping[str, Mapping[str, Any]],
        module: str | None = None,
    ) -> None:
        self.function = function
        self.signature = signature
        self.metrics = metrics
        self.compiled: dict[Any, Callable[..., Any]] = {}
        self.module = (module or function.__module__).removeprefix(f"{KERNELS}.")
        self.geometry = "" if module is None else self.module.rpartition(".")[2]

    def __getitem__(self, key: tuple[np.dtype[Any], str]) -> Callable[..., Any]:
        found = self.compiled.get(key)
        if found is None:
            with forks.LOCK:
                found = self.compiled.get(key)
                if found is None:
                    found = self.compiled[key] = self._made(*key)
        return found

    @property
    def text(self) -> str:
        """The digest of the text that the kernel comes from; empty without text, and then no code is kept."""
        return digest(self.module)

    def label(self, dtype: np.dtype[Any], metric: str) -> str:
        """Return the name of a version in messages."""
        return f"{self.function.__name__} ({', '.join(filter(None, (self.geometry, metric, dtype.name)))})"

    def symbol(self, dtype: np.dtype[Any], metric: str) -> str:
        """Return the name of a version in object code, in libraries and in the cache."""
        kind = "" if self.signature(float32) == self.signature(float64) else dtype.name
        origin = self.geometry and self.function.__module__.rpartition(".")[2]
        parts = (self.module, origin, self.function.__name__, re.sub(r"\W", "_", metric), kind, self.text)
        return ".".join(filter(None, parts))

    def code(self, dtype: np.dtype[Any], metric: str, *, linked: bool = False) -> bytes:
        """Compile a version to object code, to be loaded into a process or linked into a library."""
        with forks.IMPORT:
            from fastbox.kernels.build.compiler import global_compiler_lock, object_code
            from fastbox.kernels.build.shortcuts import shortcuts

        with global_compiler_lock, shortcuts():
            return object_code(self.bound(metric), self.signature(Number(dtype)), self.symbol(dtype, metric), linked)

    def is_kept(self, dtype: np.dtype[Any], metric: str) -> bool:
        """Tell whether a version needs no compiling: it is made, or kept in a library or the cache."""
        symbol = self.symbol(dtype, metric)
        if (dtype, metric) in self.compiled or _is_plain() or (self.text and native.find(symbol)):
            return True
        from fastbox.kernels.build import cache

        return bool(self.text and cache.kept(symbol))

    def keep(self, dtype: np.dtype[Any], metric: str) -> None:
        """Compile a version for the cache."""
        from fastbox.kernels.build import cache

        code = self.code(dtype, metric)
        if self.text:
            cache.save(self.symbol(dtype, metric), code)

    def bound(self, metric: str) -> FunctionType:
        """Return the plain function, bound to a metric."""
        return rebound(self.function, self.metrics[metric], metric)

    def _made(self, dtype: np.dtype[Any], metric: str) -> Callable[..., Any]:
        if _is_plain():
            return self.bound(metric)
        symbol = self.symbol(dtype, metric)
        found = (native.find(symbol) or self._kept(symbol)) if self.text else None
        if found is None:
            found = self._compiled(dtype, metric, symbol)
        return caller(self.label(dtype, metric), *found, self.signature(Number(dtype)))

    def _kept(self, symbol: str) -> tuple[Any, Any] | None:
        """Return the entry of a version in the cache."""
        from fastbox.kernels.build import cache

        code = cache.load(symbol)
        if code is None:
            return None
        try:
            return _loaded(code, symbol)
        except RuntimeError:  # whole, and yet this process can't load the code
            cache.remove(symbol)
            return None

    def _compiled(self, dtype: np.dtype[Any], metric: str, symbol: str) -> tuple[Any, Any]:
        """Compile a version, keep its code, and return its entry; each compilation is written to the log."""
        import logging

        from fastbox.kernels.build import cache

        log = logging.getLogger("fastbox")
        label, start = self.label(dtype, metric), time.perf_counter()
        log.debug("Compiling %s", label, extra={"kernel": label})
        code = self.code(dtype, metric)
        seconds = time.perf_counter() - start
        log.info("Compiled %s in %.1f s", label, seconds, extra={"kernel": label, "seconds": seconds})
        if self.text:
            cache.save(symbol, code)
        return _loaded(code, symbol)


def _loaded(code: bytes, symbol: str) -> tuple[Any, Any]:
    """Return the entry of a kernel in object code, and what frees its results."""
    from fastbox.kernels.build import elf

    found = elf.loaded(code, symbol)
    if found is not None:
        return found
    with forks.IMPORT:
        from fastbox.kernels.build import loader

    return loader.loaded(code, symbol)


def _is_plain() -> bool:
    """Tell whether nothing is compiled, so that kernels run as Python."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
