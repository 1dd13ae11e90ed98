"""Keep pandas out of the command line, which does not use it; pyarrow imports pandas wherever it is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

__all__ = ["WithoutPandas"]


class WithoutPandas:
    """Hides pandas from pyarrow; other importers, such as the client of an engine, find it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Hide pandas from pyarrow, whose compiled code imports in the name of its last Python caller."""
        if name == "pandas" and _importer() in ("pyarrow", "fastbox"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _importer() -> str:
    """Return the package of the code that imports."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("importlib"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]
