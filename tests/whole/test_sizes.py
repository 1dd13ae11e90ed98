"""Limits of size: rooms, files, functions, and the parameters of functions and kernels."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

PACKAGE = ROOT / "fastbox"
SOURCES = {top: sorted((ROOT / top).rglob("*.py")) for top in ("fastbox", "tests", "bench")}
KERNELS = PACKAGE / "kernels"

# Kernels that are one function for speed; the docstring of each has the reason.
LONG = {
    "kernels/assign/iou_rule.py: assign",
    "kernels/evaluate/tide.py: classify_errors",
}

# Functions with the arguments of the functions that they stand in for, and of those that they hand arguments on to.
MANY = {
    "anchors/peers.py: mmdet",
    "assign/match.py: match",
    "assign/optimal.py: match_optimal",
    "coder.py: decode",
    "evaluation/arrays.py: evaluate",
    "evaluation/added.py: add",
    "evaluation/suspects/arrays.py: suspects",
    "suppression/fusion.py: weighted_boxes_fusion",
}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield f"{path.relative_to(PACKAGE).as_posix()}: {node.name}", node


def parameters(function: ast.FunctionDef) -> int:
    given = function.args
    return sum(name.arg not in ("self", "cls") for name in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def lines_of_code(function: ast.FunctionDef) -> int:
    begin = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    assert function.end_lineno is not None
    return function.end_lineno - begin.lineno + 1


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("top", SOURCES)
def test_no_file_is_longer_than_350_lines(top: str) -> None:
    assert len(SOURCES[top]) > 30
    assert {path.name: lines(path) for path in SOURCES[top] if lines(path) > 350} == {}


def test_no_room_is_larger_than_15_percent() -> None:
    """Each folder of kernels, from geometry to JSON, is a room; together they may be a fifth of the lines."""
    whole = sum(map(lines, SOURCES["fastbox"]))
    folders = [folder for folder in (*PACKAGE.iterdir(), *KERNELS.iterdir()) if folder.is_dir()]
    rooms = {str(folder.relative_to(PACKAGE)): sum(map(lines, folder.rglob("*.py"))) / whole for folder in folders}
    assert 0.05 < rooms.pop("kernels") < 0.2
    assert {name: share for name, share in rooms.items() if share > 0.15} == {}


def test_at_most_12_modules_stand_outside_of_rooms() -> None:
    """Modules that people import by the name of another package are doors to a room, and stand beside them."""
    doors = {f"{package}.py" for package in ("duckdb", "pandas", "polars", "torch")}
    assert len({path.name for path in PACKAGE.glob("*.py")} - doors) <= 12


def test_functions_have_at_most_60_lines_of_code() -> None:
    longer = {name for path in SOURCES["fastbox"] for name, node in functions(path) if lines_of_code(node) > 60}
    assert longer == LONG


def test_the_docstrings_of_long_kernels_have_the_reason() -> None:
    for path in SOURCES["fastbox"]:
        for name, node in functions(path):
            assert name not in LONG or "One function" in (ast.get_docstring(node) or ""), name


def test_public_functions_have_at_most_8_parameters() -> None:
    """Kernels have at most 10, and jobs have one for each option of their command."""
    apart = {KERNELS, PACKAGE / "jobs"}
    many = {
        name
        for path in SOURCES["fastbox"]
        if not apart & set(path.parents)
        for name, node in functions(path)
        if parameters(node) > 8 and not node.name.startswith("_")
    }
    assert many == MANY


def test_kernels_have_at_most_10_parameters() -> None:
    found = {name: parameters(node) for path in KERNELS.rglob("*.py") for name, node in functions(path)}
    assert len(found) > 200
    assert {name: count for name, count in found.items() if count > 10} == {}
