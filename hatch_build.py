"""The build of wheels: with ``FASTBOX_NATIVE`` set they hold libraries of compiled kernels, else Python alone.

``FASTBOX_NATIVE=1`` asks for the libraries of all levels of processors, ``FASTBOX_NATIVE="x86-64-v3 x86-64-v4"`` for
those of some. Without it, as in ``pip install .``, a wheel is for every platform and needs no C compiler.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASKED = os.environ.get("FASTBOX_NATIVE", "0")
LEVELS = ["x86-64-v4", "x86-64-v3", "x86-64-v2"] if ASKED == "1" else [name for name in ASKED.split() if name != "0"]


class Libraries(BuildHookInterface):
    """Compiles kernels for some levels of processors."""

    def dependencies(self) -> list[str]:
        """Return what compiling needs."""
        return ["numba>=0.62", "numpy>=2"] if LEVELS else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the libraries into a wheel, whose name then tells the platform."""
        if not LEVELS or version == "editable":
            return
        folder = Path(tempfile.mkdtemp())
        for level in LEVELS:
            library = folder / f"{level}{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}"
            command = [sys.executable, "-m", "fastbox.jobs.linking", level, str(library)]
            subprocess.run(command, check=True, cwd=self.root)
            build_data["force_include"][str(library)] = f"fastbox/kernels/native/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
