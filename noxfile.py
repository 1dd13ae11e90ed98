"""Every task of the project: ``nox`` runs what a change must pass, ``nox -s NAME`` one task, ``nox -l`` lists them.

Each task installs what it needs in an environment of its own. Words after ``--`` go to pytest:
``nox -s tests -- tests/ops -k giou``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "no"
nox.options.sessions = [
    "readme",
    "package",
    "oldest",
    "native",
    "lint",
    "types",
    "nojit",
    "clusters",
    "docs",
    "bench",
    "gate",
]

BUILT: list[Path] = []  # the package with libraries that this run has made and tested
CPU_TORCH = "torch==2.13.0+cpu"  # without the libraries for GPUs
EVERYTHING = ("-q", "-n", "auto", "-m", "")  # no marker is left out
TENSORS = ("tests/losses/test_torch.py", "tests/assign/test_torch_points.py")
OF_PACKAGES = [  # tests of what other packages do: Arrow, frames, terminals, plots, files
    *(f"tests/{room}" for room in ("arrow", "frames", "storage")),
    *(f"tests/cli/test_{name}.py" for name in ("help", "messages")),
    *(f"tests/report/test_{name}.py" for name in ("coco_style", "page", "reports", "terminal")),
    *(f"tests/tables/test_{name}.py" for name in ("sink", "sort")),
    "tests/datasets/test_input_columns.py",
    "tests/ops/test_pairs.py",
    "tests/results/test_results.py",
]
USER = {"PYTHONSAFEPATH": "1"}  # what is imported is what was installed
KERNELS = [f"tests/{room}" for room in ("assign", "datasets", "evaluation", "kernels", "losses", "ops", "suppression")]

# Tests of other packages that nox -s suites runs: the version to install, and the files in a checkout.
SUITES = {
    "torchmetrics": ("torchmetrics==1.9.0", ["tests/unittests/detection/test_map.py"]),
    "supervision": ("supervision==0.31.2", ["test*/detection/utils/test_iou_and_nms.py"]),
    "faster_coco_eval": (
        "faster-coco-eval==1.8.0",
        [
            f"tests/test_{name}.py"
            for name in ("basic", "ranges", "cocoapi_fake_data", "extensive_pycocotools_comparison")
        ],
    ),
}


@nox.session
def readme(session: nox.Session) -> None:
    """Run the README's two commands as they stand, then the slow tests that are not long."""
    for command in commands_of_readme():
        session.run("bash", "-euo", "pipefail", "-c", command, external=True)
    session.run("pytest", "-q", "-m", "slow and not long", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """Run the tests that `.ci/run` leaves out because they take long. This task is not a part of all tasks."""
    session.install(".[test]")
    session.run("pytest", "-q", "-m", "long", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that tell in two minutes whether a change is sound; ``-- -m ''`` runs all of them."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it; check both; use the wheel in a new environment of the newest Python."""
    session.install("build", "twine")
    home = emptied(session, "package")
    session.run("python", "-m", "build", "--outdir", str(home))
    (wheel,), (sdist,) = home.glob("*.whl"), home.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("python", "-m", "tarfile", "-e", str(sdist), str(home))
    session.chdir(home / sdist.name.removesuffix(".tar.gz"))  # the data and tests beside the wheel are the sdist's
    as_user(session, home, pythons()[-1], str(wheel))
    pip, python = str(home / "user" / "bin" / "pip"), str(home / "user" / "bin" / "python")
    session.run(python, "-m", "doctest", "README.md", external=True, env=USER)
    session.run(pip, "install", "hatchling", "hypothesis", "pytest", "pytest-xdist", "pyyaml", external=True)
    tests = ("-q", "-n", "0", "-m", "", "tests/whole/test_distribution.py")
    session.run(python, "-m", "pytest", *tests, external=True, env=USER)


@nox.session
def oldest(session: nox.Session) -> None:
    """Use fastbox on the oldest Python, with the lowest version of each package that pyproject.toml allows."""
    home = emptied(session, "oldest")
    home.mkdir(parents=True)
    (home / "lowest.txt").write_text("\n".join(lowest()))
    as_user(session, home, pythons()[0], ".[test]", "--constraint", str(home / "lowest.txt"))
    pytest = (str(home / "user" / "bin" / "python"), "-m", "pytest", "-q", "-n", "auto")
    warned = ("-W", "default")  # old packages warn of newer ones
    session.run(*pytest, *warned, *OF_PACKAGES, *session.posargs, external=True, env=USER | {"NUMBA_DISABLE_JIT": "1"})
    session.run(*pytest, *warned, "tests/kernels/test_vectors.py", external=True, env=USER)


@nox.session
def native(session: nox.Session) -> None:
    """Build a wheel with libraries of kernels, and test each without a compiler; the bits must be the compiler's.

    Compiling every kernel takes minutes, so the library is that of the level which differs most from the machine's own,
    whose kernels the other tests compile. ``FASTBOX_NATIVE=1 nox -s native`` builds those of all levels.
    """
    session.install("build")
    home = emptied(session, "fastbox")
    shutil.copytree(".", home, ignore=shutil.ignore_patterns(".*", "__pycache__", "native"))
    session.chdir(home)
    session.run(
        "python", "-m", "build", "--wheel", env={"FASTBOX_NATIVE": os.environ.get("FASTBOX_NATIVE", "x86-64-v2")}
    )
    (wheel,) = home.glob("dist/*.whl")
    assert wheel.stat().st_size < 10e6, f"{wheel.name} has {wheel.stat().st_size / 1e6:.1f} MB"
    session.run("python", "-m", "zipfile", "-e", str(wheel), "unpacked")
    shutil.move("unpacked/fastbox/kernels/native", "fastbox/kernels/native")
    session.install(".[test]")
    here = {"PYTHONPATH": str(home)}
    session.run("pytest", *EVERYTHING, "tests/kernels/test_processors.py", "tests/kernels/test_libraries.py", env=here)
    session.run("python", "-m", "pip", "uninstall", "-y", "numba", "llvmlite")
    ask = "from fastbox.kernels.build import native; print(*(level.name for level in native.available()))"
    has = str(session.run("python", "-c", ask, silent=True, env=here)).split()
    built = [library.stem for library in Path("fastbox/kernels/native").glob("x86-64-v?.*")]
    for level in sorted(set(has) & set(built)):
        session.run("pytest", "-q", "-n", "auto", *KERNELS, *session.posargs, env={"FASTBOX_LEVEL": level, **here})
    BUILT.append(home)


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
    """Run the fast tests without compiling, and count the lines they cover; lines of other processes do not count.

    The tests of the package as a whole read its text, run its examples or start processes: they say nothing here.
    """
    session.install(".[test]")
    here = ("-q", "-n", "auto", "-m", "not slow and not process", "--ignore-glob=tests/whole/test_[!e]*")
    cover = ("--cov", "--cov-report=term:skip-covered", "--cov-fail-under=95")
    session.run("pytest", *here, *cover, *session.posargs, env={"NUMBA_DISABLE_JIT": "1"})


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
def compat(session: nox.Session) -> None:
    """Compare ``fastbox.compat`` with the packages in whose place it stands, and run the losses for torch.

    This task is not a part of all tasks, since torch can take minutes and gigabytes to install.
    """
    with_torch(session, ".[peers]", "hypothesis", "pytest", "pytest-xdist")
    session.run("pytest", *EVERYTHING, "tests/compat", *TENSORS, *session.posargs)


@nox.session
def suites(session: nox.Session) -> None:
    """Run other packages' own tests with ``fastbox.compat`` in their place: ``nox -s suites -- FOLDER``.

    FOLDER has checkouts of their repositories, each by its name in ``SUITES``, since the archives that these packages
    publish lack the tests. ``tests/support/suites.py`` names the tests that are left out, and why.
    """
    if len(session.posargs) != 1 or not Path(session.posargs[0]).is_dir():
        session.error("expected a folder of checkouts: nox -s suites -- FOLDER")
    here, folder = Path.cwd(), Path(session.posargs[0]).resolve()
    pinned = [package for package, _ in SUITES.values()]
    with_torch(session, ".[peers]", *pinned, "lightning-utilities", "parameterized", "pytest", "scipy")
    for name, (_, patterns) in SUITES.items():
        found = [str(path) for pattern in patterns for path in sorted((folder / name).glob(pattern))]
        if not found:
            session.warn(f"{name} is left out: none of its tests is in {folder / name}")
            continue
        options = (
            "-q",
            "-p",
            "support.suites",
            "--in-place-of",
            name,
            "-c",
            os.devnull,
            "--rootdir",
            str(folder / name),
        )
        paths = os.pathsep.join(map(str, (here / "tests", folder / name, folder / name / "tests")))
        session.run("pytest", *options, "-W", "ignore", *found, env={"PYTHONPATH": paths})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in ``build/site``; a warning, such as a link without a target, is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Run every benchmark once, small and untimed: each runs, and agrees with its peers.

    After ``native`` in one run, the package with libraries is taken, which has nothing to compile.
    """
    session.install(".[bench]", "pytest-xdist")
    for home in BUILT:
        session.chdir(home)
        session.env["PYTHONPATH"] = str(home)
    session.run("pytest", "-q", "-n", "auto", "bench", "--benchmark-disable", *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Compare kernels with the limits of the machine: filling and reading memory, and plain loops."""
    session.install(".")
    session.run("python", "-m", "bench.promises.gate", *session.posargs)


def with_torch(session: nox.Session, *wanted: str) -> None:
    """Install packages beside a torch without the libraries for GPUs, where it is to be had."""
    try:
        session.install(CPU_TORCH, *wanted)
    except nox.command.CommandFailed:
        session.log(f"{CPU_TORCH} is not to be had here: torch is installed with all its libraries, some gigabytes")
        session.install(*wanted)


def commands_of_readme() -> list[str]:
    """Return the README's two commands: the installation with the main job, and the tests."""
    block = re.search(r"^```sh\n(.*?)^```", Path("README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def emptied(session: nox.Session, name: str) -> Path:
    """Return the path of a folder for the files of a session, after the removal of earlier ones."""
    folder = Path(session.create_tmp(), name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def as_user(session: nox.Session, home: Path, python: str, *wanted: str) -> None:
    """Install packages in a new environment ``user`` of a Python, and run the README's main job there."""
    session.run(python, "-m", "venv", str(home / "user"), external=True)
    session.run(str(home / "user" / "bin" / "pip"), "install", *wanted, external=True)
    main, _ = commands_of_readme()
    paths = {"PATH": f"{home / 'user' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    session.run("bash", "-euo", "pipefail", "-c", main.partition(" && ")[2], external=True, env=USER | paths)


def pythons() -> list[str]:
    """Return the Pythons that the classifiers name and this machine has, also where pyenv keeps them, oldest first."""
    versions = re.findall(r"Python :: 3\.(\d+)", Path("pyproject.toml").read_text())
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = []
    for minor in sorted(map(int, versions)):
        here = (shutil.which(f"python3.{minor}"), *map(str, kept.glob(f"3.{minor}.*/bin/python")))
        found += [one for one in here if one and works(one)][:1]
    return found or [sys.executable]


def works(python: str) -> bool:
    """Return whether a Python starts: the name of one that pyenv does not use here is an error."""
    return subprocess.run([python, "--version"], check=False, capture_output=True).returncode == 0


def lowest() -> list[str]:
    """Return a pin for each package that pyproject.toml needs, at its lower bound."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    found = [re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", one) for one in needed if not one.startswith(project["name"])]
    assert all(found), f"a package without a lower bound among {needed}"
    return sorted({f"{pin[1]}=={pin[2]}" for pin in found if pin})


def java() -> bool:
    """Return whether Java is there, after an attempt to install it on machines that allow this."""
    if shutil.which("java") is None and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        install = "apt-get install -qq -y openjdk-17-jre-headless"
        subprocess.run(f"({install} || (apt-get update -qq && {install})) >/dev/null 2>&1", shell=True, check=False)
    return shutil.which("java") is not None
