"""Keep modules that the command line does not use out of it: pyarrow and Numba import them where they are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

__all__ = ["WithoutUnused"]

STORES = ("pyarrow._azurefs", "pyarrow._gcsfs", "pyarrow._hdfs", "pyarrow._s3fs")  # optional parts of pyarrow


class WithoutUnused:
    """Hides pandas from pyarrow, the clients of object stores where no argument is the address of an object, and from
    Numba SciPy, whose linear algebra no kernel uses, and coverage.

    Other importers, such as the client of an engine, find them.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        stores = STORES if not any("://" in argument for argument in arguments) else ()
        self._hidden: dict[str, tuple[str, ...]] = dict.fromkeys(("pandas", *stores), ("pyarrow", "fastbox"))
        self._hidden |= dict.fromkeys(("coverage", "scipy"), ("numba",))

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Hide a module; compiled code, such as pyarrow's, imports in the name of its last Python caller."""
        if name in self._hidden and _importer() in self._hidden[name]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _importer() -> str:
    """Return the package of the code that imports."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("importlib"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]
