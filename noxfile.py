"""Every task of the project: ``nox`` runs what a change must pass, ``nox -s NAME`` one task, ``nox -l`` lists them.

Each task installs what it needs in an environment of its own. Words after ``--`` go to pytest:
``nox -s tests -- tests/ops -k giou``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "no"
nox.options.sessions = ["readme", "native", "lint", "types", "nojit", "clusters", "docs", "bench", "gate"]

EVERYTHING = ("-q", "-n", "auto", "-m", "")  # no marker is left out
KERNELS = [f"tests/{room}" for room in ("assign", "datasets", "evaluation", "kernels", "losses", "ops", "suppression")]


@nox.session
def readme(session: nox.Session) -> None:
    """Run the README's two commands as they stand, the second with every test."""
    block = re.search(r"^```sh\n(.*?)^```", Path("README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    main, tests = block[1].splitlines()
    session.run("bash", "-euo", "pipefail", "-c", main, external=True)
    session.run("fastbox", "warmup", "--metrics", "all")  # tests side by side would compile a kernel more than once
    options = {"PYTEST_ADDOPTS": " ".join(EVERYTHING[:-1]) + " ''"}
    session.run("bash", "-euo", "pipefail", "-c", tests, external=True, env=options)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that tell in two minutes whether a change is sound; ``-- -m ''`` runs all of them."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def native(session: nox.Session) -> None:
    """Build a wheel with libraries of kernels, and test each without a compiler; the bits must be the compiler's."""
    session.install("build")
    home = Path(session.create_tmp(), "fastbox").resolve()
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(".", home, ignore=shutil.ignore_patterns(".*", "__pycache__", "native"))
    session.chdir(home)
    session.run("python", "-m", "build", "--wheel", env={"FASTBOX_NATIVE": "1"})
    (wheel,) = home.glob("dist/*.whl")
    assert wheel.stat().st_size < 10e6, f"{wheel.name} has {wheel.stat().st_size / 1e6:.1f} MB"
    session.run("python", "-m", "zipfile", "-e", str(wheel), "unpacked")
    shutil.move("unpacked/fastbox/kernels/native", "fastbox/kernels/native")
    session.install(".[test]")
    here = {"PYTHONPATH": str(home)}
    session.run("pytest", *EVERYTHING, "tests/kernels/test_processors.py", "tests/kernels/test_libraries.py", env=here)
    session.run("python", "-m", "pip", "uninstall", "-y", "numba", "llvmlite")
    ask = "from fastbox.kernels.build import native; print(*(level.name for level in native.available()))"
    for level in str(session.run("python", "-c", ask, silent=True, env=here)).split():
        session.run("pytest", "-q", "-n", "auto", *KERNELS, *session.posargs, env={"FASTBOX_LEVEL": level, **here})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout of the code."""
    session.install("ruff>=0.8,<1")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install(".[test,lint]")
    session.run("mypy")


@nox.session
def nojit(session: nox.Session) -> None:
    """Run the tests without compiling, and count the lines that they cover."""
    session.install(".[test]")
    cover = ("--cov", "--cov-report=term:skip-covered", "--cov-fail-under=95")
    session.run("pytest", *EVERYTHING, *cover, *session.posargs, env={"NUMBA_DISABLE_JIT": "1"})


@nox.session
def clusters(session: nox.Session) -> None:
    """Run fragments on Ray, on Spark where there is Java, and against an object store."""
    session.install(".[ray]", "moto[server]>=5", "hypothesis", "pytest", "pytest-xdist")
    if java():
        session.install(".[spark]")  # wants pandas below 3: an environment of its own
    else:
        session.log("Spark is left out: there is no Java here")
    session.run("pytest", "-q", "-n", "0", "-m", "", "tests/fragments/test_engines.py", "tests/storage/test_stores.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in ``build/site``; a warning, such as a link without a target, is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Run every benchmark once, small and untimed: each runs, and agrees with its peers."""
    session.install(".[bench]", "pytest-xdist")
    session.run("pytest", "-q", "-n", "auto", "bench", "--benchmark-disable", *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Compare kernels with the limits of the machine: filling and reading memory, and plain loops."""
    session.install(".")
    session.run("python", "-m", "bench.promises.gate", *session.posargs)


def java() -> bool:
    """Return whether Java is there, after an attempt to install it on machines that allow this."""
    if shutil.which("java") is None and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        install = "apt-get install -qq -y openjdk-17-jre-headless"
        subprocess.run(f"({install} || (apt-get update -qq && {install})) >/dev/null 2>&1", shell=True, check=False)
    return shutil.which("java") is not None
