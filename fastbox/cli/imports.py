"""pandas, which pyarrow imports wherever it is installed, kept out of the command line, which has no use for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import FrameType, ModuleType

__all__ = ["WithoutPandas"]


class WithoutPandas(MetaPathFinder):
    """Finds no pandas for pyarrow; others, such as an engine's client, find it as ever."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Refuse pandas to pyarrow, which is compiled: it imports in the name of who called it last."""
        if name == "pandas" and _importer() in ("pyarrow", "fastbox"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _importer() -> str:
    """The package of the code that imports."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("importlib"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]
