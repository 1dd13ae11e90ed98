"""A module that is found beside the modules of a package, as a new file in the package would be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@contextmanager
def plugged_in(package: ModuleType, cached: Any, folder: Path, name: str, text: str) -> Iterator[None]:
    """Write a module into a folder of its own, which is searched with the package; what the search found is cached."""
    (folder / "modules").mkdir()
    (folder / "modules" / f"{name}.py").write_text(text)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(package, "__path__", [*package.__path__, str(folder / "modules")])
            cached.cache_clear()
            yield
    finally:
        cached.cache_clear()
        sys.modules.pop(f"{package.__name__}.{name}", None)
