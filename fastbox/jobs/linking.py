"""Libraries of every kernel, compiled ahead of use for a level of processors, when the package is built.

``python -m fastbox.jobs.linking x86-64-v3`` writes the library of one level; ``FASTBOX_NATIVE=1 python -m build``
puts the libraries of all levels into a wheel.
"""

from __future__ import annotations

import argparse
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
from fastbox.kernels.build.library import LEVELS, Level, file

DTYPES = ("float32", "float64")
LINUX = ("-nostdlib", "-Wl,--no-undefined,--gc-sections,-s,-z,noexecstack", "-lm", "-lc")


def main(words: Sequence[str] | None = None) -> None:
    """Write the library of a level."""
    parser = argparse.ArgumentParser(prog="python -m fastbox.jobs.linking", description=main.__doc__)
    parser.add_argument("level", choices=[level.name for level in LEVELS])
    parser.add_argument("--out", type=Path, help="the file to write (default: beside the kernels)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that compile (default: all)")
    given = parser.parse_args(words)
    level = next(level for level in LEVELS if level.name == given.level)
    versions, out = list(registry.versions(DTYPES)), given.out or Path(file(level))
    write(level, versions, out, given.processes)
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
    return registry.found(version).code(np.dtype(version.dtype), version.metric)


def linker() -> list[str]:
    """Return the command that links: ``CC`` if set, else ``cc``, else that of the package ziglang."""
    if os.environ.get("CC") or shutil.which("cc"):
        return shlex.split(os.environ.get("CC") or "cc")
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise SystemExit("no linker: install a C compiler, or the package ziglang")


if __name__ == "__main__":
    main()
