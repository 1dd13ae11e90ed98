"""Libraries of every kernel, compiled ahead of use for a level of processors, when the package is built.

``python -m fastbox.jobs.linking x86-64-v3 [FILE]`` writes the library of one level, and
``FASTBOX_NATIVE=1 python -m build`` puts the libraries of all levels into a wheel.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fastbox.kernels import registry
from fastbox.kernels.build.native import LEVELS, Level, file

DTYPES = ("float32", "float64")
LINUX = ("-nostdlib", "-Wl,--no-undefined,--gc-sections,-s,-z,noexecstack", "-lm", "-lc")


def main() -> None:
    """Write the library of the level that the first word names, to the file that the second names, or its place."""
    level = next(level for level in LEVELS if level.name == sys.argv[1])
    versions, out = list(registry.linked(DTYPES)), Path((*sys.argv[2:], file(level))[0])
    write(level, versions, out)
    print(f"{level.name}: {len(versions)} kernels, {out.stat().st_size / 1e6:.1f} MB")


def write(level: Level, versions: Sequence[registry.Version], out: Path, processes: int | None = None) -> None:
    """Compile kernels for a level of processors, in processes side by side, and link them."""
    os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = level.name, level.features  # of the workers
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        objects = [Path(folder, f"{place}.o") for place in range(len(versions))]
        for path, code in zip(objects, pool.map(compiled, versions), strict=True):
            path.write_bytes(code)
        part, listed = out.with_name(f"{out.name}.part"), Path(folder, "objects")
        listed.write_text("\n".join(map(str, objects)))
        flags = LINUX if sys.platform == "linux" else ()
        subprocess.run([*linker(), "-shared", "-o", part, f"@{listed}", *flags], check=True)
        part.replace(out)  # which a process may be using


def compiled(version: registry.Version) -> bytes:
    """Return the object code of a version."""
    return registry.found(version).code(np.dtype(version.dtype), version.metric, linked=True)


def linker() -> list[str]:
    """Return the command that links: ``CC`` if set, else ``cc``, else that of the package ziglang."""
    if os.environ.get("CC") or shutil.which("cc"):
        return shlex.split(os.environ.get("CC") or "cc")
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise SystemExit("no linker: install a C compiler, or the package ziglang")


if __name__ == "__main__":
    main()
