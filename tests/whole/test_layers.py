"""The house is as it was drawn: imports run one way, and importing fastbox costs neither Numba nor pyarrow."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.paths import ROOT
from support.torches import needs_torch

import fastbox

PACKAGE = Path(fastbox.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
BUILD = PACKAGE / "kernels" / "build"

FLOORS = [
    {"cli", "__main__"},
    {"fragments", "pandas", "polars"},
    {"benchmarks", "compat", "duckdb", "frames", "jobs", "torch"},
    {"results"},
    {"assign", "datasets", "evaluation", "experiments", "losses"},
    {"anchors", "coder", "ops", "suppression"},
    {"tables"},
    {"boxes", "result"},
    {"report"},
    {"arrow", "sketch"},
    {"memory", "storage"},
    {"parallel"},
    {"values"},
    {"kernels"},
    {"_lazy", "_record", "_version", "errors", "stages"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


class Import(NamedTuple):
    """One import: of which room, at the top of a file or inside a function."""

    path: Path
    line: int
    module: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE)}:{self.line} imports {self.module}"


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module of ours: its first name below fastbox, or nothing for fastbox itself."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body)) | {
        id(inner) for node in tree.body if isinstance(node, ast.If | ast.Try) for inner in ast.walk(node)
    }
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        lazy = id(node) not in top or id(node) in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, lazy)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                ours = node.module.split(".")[0] == "fastbox"
                yield Import(path, node.lineno, inner if ours and is_module(inner) else node.module, lazy)


def is_module(name: str) -> bool:
    below = PACKAGE.parent.joinpath(*name.split("."))
    return below.with_suffix(".py").exists() or (below / "__init__.py").exists()


ALL = [found for path in FILES for found in imports(path)]


def top_level(module: str) -> str:
    return module.split(".")[0]


def test_every_module_has_its_floor() -> None:
    rooms = {room_of(name_of(path)) for path in FILES} - {""}
    assert rooms <= set(FLOOR), f"say in which layer {sorted(rooms - set(FLOOR))} belong"


def test_the_page_on_architecture_draws_the_floors() -> None:
    drawn = re.search(r"```\n(cli .*?)\n```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)
    assert drawn is not None
    assert [set(floor.split()) for floor in drawn[1].split("↓")] == FLOORS


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    mine = room_of(name_of(path))
    if not mine:
        return
    for found in imports(path):
        if top_level(found.module) != "fastbox":
            continue
        theirs = room_of(found.module)
        if not theirs:
            assert mine in {"cli", "__main__"}, f"{found}: import what you need from its own module"
            continue
        assert FLOOR[mine] <= FLOOR[theirs], f"{found}, which lies above it"
        if mine == "kernels":
            assert theirs == "kernels", f"{found}: kernels know only each other"


COMPILER = {
    *(BUILD / name for name in ("compiler.py", "entry.py", "loader.py", "shortcuts.py")),
    *(BUILD / "intrinsics").glob("*.py"),
}  # imported to compile and to load what was compiled


def test_only_what_compiles_kernels_imports_numba() -> None:
    for found in ALL:
        if top_level(found.module) in {"numba", "llvmlite"}:
            assert found.path in COMPILER, str(found)
        if found.path not in COMPILER and found.module.rpartition(".")[2] in {"compiler", "loader", "shortcuts"}:
            assert found.lazy, f"{found}: nothing but a compilation may import it"


def test_few_rooms_import_pyarrow() -> None:
    for found in ALL:
        if top_level(found.module) == "pyarrow":
            assert room_of(name_of(found.path)) in {"arrow", "datasets", "storage", "tables"}, str(found)


def test_only_the_modules_for_torch_import_it() -> None:
    for found in ALL:
        if top_level(found.module) in {"torch", "torchmetrics", "torchvision"}:
            assert needs_torch(name_of(found.path)), str(found)


def test_kernels_know_only_numpy_and_what_compiles_them() -> None:
    allowed = {"numpy", "numba", "llvmlite", "fastbox", *sys.stdlib_module_names}
    for found in ALL:
        if room_of(name_of(found.path)) == "kernels":
            assert top_level(found.module) in allowed, str(found)
            if BUILD not in found.path.parents and found.path.name != "registry.py":
                plain = {"__future__", "math", "typing", "collections", "numpy", "fastbox"}
                assert top_level(found.module) in plain, str(found)


def test_kernels_check_nothing() -> None:
    for path in FILES:
        if room_of(name_of(path)) == "kernels":
            raised = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
            assert not raised, f"{path.name} raises at {raised}; arguments are checked in the public layer"


def test_threads_are_started_in_few_places() -> None:
    for found in ALL:
        if top_level(found.module) == "concurrent" or top_level(found.module) == "multiprocessing":
            assert room_of(name_of(found.path)) in {"fragments", "jobs", "parallel", "tables"}, str(found)


@pytest.mark.slow
def test_parallel_loops_are_not_numbas() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text())
        assert "prange" not in {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(tree)}, path.name
        for keyword in (node for node in ast.walk(tree) if isinstance(node, ast.keyword)):
            assert keyword.arg not in {"fastmath", "parallel"}, f"{path.name} compiles with {keyword.arg}="


# The front door

CORE = {
    "FORMATS", "METRICS", "Best", "Boxes", "InputError", "Pairs", "Ragged", "Top", "aligned", "best", "get_memory",
    "get_num_threads", "histogram", "huber_loss", "l1_loss", "pairs", "pairwise", "scan", "set_memory",
    "set_num_threads", "smooth_l1_loss", "top",
}  # fmt: skip


def test_the_public_names_are_sorted_and_complete() -> None:
    by_case = sorted(fastbox.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert list(fastbox.__all__) in (sorted(fastbox.__all__), by_case)
    assert len(set(fastbox.__all__)) == len(fastbox.__all__)
    assert CORE - {"InputError", "scan", "FORMATS", "Best", "Top", "Pairs", "Ragged"} <= set(fastbox.__all__)


def test_every_public_name_is_there() -> None:
    for name in fastbox.__all__:
        thing = getattr(fastbox, name)
        assert getattr(thing, "__name__", name).removeprefix("fastbox.") == name
    assert set(dir(fastbox)) - {"torch"} == {*fastbox.__all__, "fragments", "jobs"}
    assert set(dir(fastbox.jobs)) == set(fastbox.jobs.__all__)
    assert set(dir(fastbox.fragments)) == set(fastbox.fragments.__all__)


@pytest.mark.slow
def test_a_module_never_hides_the_function_of_its_name(python: Any) -> None:
    code = "import fastbox.jobs.nms, fastbox.jobs.pairs as module; from fastbox import jobs; import fastbox.jobs.fuse"
    said = python(f"{code}; print(*(type(one).__name__ for one in (jobs.nms, jobs.pairs, jobs.fuse)))").stdout
    assert said.split() == ["function"] * 3


@pytest.mark.slow
def test_a_job_loads_no_other(python: Any) -> None:
    code = "import sys; from fastbox import jobs; jobs.nms; names = {n.lower() for n in jobs.__all__} - {'nms'}"
    loaded = python(f"{code}; print(*(n for n in names if f'fastbox.jobs.{{n}}' in sys.modules))").stdout
    assert loaded.split() == []


def test_every_public_thing_is_explained() -> None:
    for name in fastbox.__all__:
        thing = getattr(fastbox, name)
        if callable(thing):
            assert (thing.__doc__ or "").strip(), f"fastbox.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        fastbox.no_such_name  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_declares_what_it_offers(path: Path) -> None:
    if needs_torch(name_of(path)):
        pytest.importorskip("torch", reason="torch is not installed")
    declared = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for node in declared:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node.value, ast.List | ast.Tuple):
            names = list(ast.literal_eval(node.value))
            by_case = sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
            assert names in (sorted(names), by_case), f"{path.name}: __all__ is not sorted"
            module: Any = importlib.import_module(name_of(path))
            assert [name for name in names if not hasattr(module, name)] == []


HEAVY = "{'numba', 'llvmlite', 'pyarrow', 'pandas', 'polars', 'torch', 'click', 'rich', 'matplotlib', 'scipy'}"


def loaded(python: Any, code: str) -> set[str]:
    listed = python(f"import sys; {code}; print(*({HEAVY} & set(sys.modules)))").stdout
    return set(listed.split())


@pytest.mark.slow
def test_importing_fastbox_costs_numpy_alone(python: Any) -> None:
    assert loaded(python, "import fastbox") == set()
    assert loaded(python, "import fastbox; dir(fastbox); fastbox.Boxes([[0, 0, 1, 1]]).corners()") == set()


@pytest.mark.slow
def test_numbers_cost_no_arrow(python: Any) -> None:
    assert "pyarrow" not in loaded(python, "import fastbox; fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]])")


def test_a_missing_torch_is_named_with_its_extra(python: Any) -> None:
    found = python("import sys; sys.modules['torch'] = None; import fastbox.torch", check=False)
    assert found.returncode == 1
    assert "ImportError: expected torch for fastbox.torch, got none: install it with pip install" in found.stderr
    assert "'fastbox-engine[torch]'" in found.stderr
