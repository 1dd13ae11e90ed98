"""Libraries of kernels that were compiled when the package was built, one for each level of processors."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Any, NamedTuple

from fastbox.kernels.build.call import ENTRY, RELEASE

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "native")


class Level(NamedTuple):
    """A level of processors: LLVM's name, LLVM's further features, and what a processor must have, by NumPy's names."""

    name: str
    features: str
    needs: tuple[str, ...]


# The best first. Left to itself LLVM takes vectors of 256 bits at the level of AVX-512, and matrices take 1.3 to
# 1.6 times as long.
LEVELS = (
    Level("x86-64-v4", "-prefer-256-bit", ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")),
    Level("x86-64-v3", "", ("AVX2", "FMA3", "F16C")),
    Level("x86-64-v2", "", ("SSE42", "POPCNT")),
)


def features() -> dict[str, bool]:
    """Return what this processor has, by NumPy's names."""
    module = sys.modules.get("numpy._core._multiarray_umath")  # private, but it is how NumPy itself chooses
    return dict(getattr(module, "__cpu_features__", {}))


def available() -> list[Level]:
    """Return the levels that this processor has, the best first."""
    here = features()
    return [level for level in LEVELS if all(here.get(need) for need in level.needs)]


def file(level: Level) -> str:
    """Return the file of the library of a level, which may be missing."""
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    return os.path.join(FOLDER, f"{level.name}{suffix}")


def allowed() -> bool:
    """Return whether libraries may be used.

    They are left aside where ``FASTBOX_JIT`` is set, and where Numba shall compile for another processor.
    """
    told = (os.environ.get(name, "0") for name in ("FASTBOX_JIT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))
    return all(value in ("", "0") for value in told)


def find(symbol: str) -> tuple[Any, Any] | None:
    """Return the entry of a kernel and what frees its results; None where no library has the kernel."""
    opened = _opened() if allowed() else None
    if opened is None:
        return None
    try:
        return ENTRY((symbol, opened)), RELEASE((f"{symbol}.release", opened))
    except AttributeError:
        return None


def holder(symbol: str) -> str | None:
    """Return the file of the library that has a kernel."""
    opened = _opened() if allowed() else None
    return opened._name if opened is not None and hasattr(opened, symbol) else None


@functools.cache
def _opened() -> ctypes.CDLL | None:
    """Open the library of the best level that this processor has, or of the level that ``FASTBOX_LEVEL`` names."""
    asked = os.environ.get("FASTBOX_LEVEL")
    for level in available():
        if asked in (None, level.name) and os.path.exists(file(level)):
            try:
                return ctypes.CDLL(file(level))
            except OSError:  # of another system, or damaged
                continue
    return None
