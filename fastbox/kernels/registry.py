"""Every kernel, listed, and compiled ahead of use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import NamedTuple, cast

import numpy as np
from numba import from_dtype
from numba.core.registry import cpu_target

import fastbox.kernels
from fastbox.kernels.build.kernel import Kernel


class Version(NamedTuple):
    """A kernel for one dtype and metric: where the kernel is, and what its own name is there."""

    module: str
    kernel: str
    dtype: str
    metric: str

    def __str__(self) -> str:
        return found(self).cache(np.dtype(self.dtype), self.metric).label


def found(version: Version) -> Kernel:
    return cast(Kernel, getattr(import_module(version.module), version.kernel))


def versions(dtypes: Sequence[str]) -> Iterator[Version]:
    """All that can be compiled for some dtypes; what has the same types in several once."""
    for module in sorted(info.name for info in walk_packages(fastbox.kernels.__path__, "fastbox.kernels.")):
        for name, kernel in vars(import_module(module)).items():
            if not isinstance(kernel, Kernel) or kernel.function.__module__ != module:
                continue
            types = {str(kernel.signature(from_dtype(np.dtype(dtype)))): dtype for dtype in dtypes}
            for dtype in types.values():
                yield from (Version(module, name, dtype, metric) for metric in kernel.metrics)


def kept(version: Version) -> Path | None:
    """The file that keeps a version; None where it has not been compiled, or is not whole on disk."""
    dtype = np.dtype(version.dtype)
    kernel = found(version)
    target = cpu_target.target_context
    return kernel.cache(dtype, version.metric).kept(kernel.signature(from_dtype(dtype)), target.codegen())


def compile_ahead(version: Version) -> tuple[Version, float]:
    """Compile a version, and return it with the seconds that took."""
    start = time.perf_counter()
    found(version)[np.dtype(version.dtype), version.metric]
    return version, time.perf_counter() - start
