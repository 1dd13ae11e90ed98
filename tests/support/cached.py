"""The package in a folder of its own, and code that compiles one kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.paths import ROOT

ASK = "import fastbox; print(fastbox.aligned([[0.0, 0, 2, 2]], [[1.0, 1, 3, 3]]).item())"


def copied(folder: Path) -> Path:
    shutil.copytree(ROOT / "fastbox", folder / "fastbox", ignore=shutil.ignore_patterns("__pycache__"))
    return folder
