"""Every kernel is listed, takes few arguments, and shares its numbers with callers that load no Numba."""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT, WITHOUT_NUMBA

from fastbox.kernels import codes, registry
from fastbox.kernels.build.kernel import Kernel

COMPILER = tuple(f"fastbox.kernels.build.{name}" for name in ("compiler", "entry", "intrinsics", "loader", "shortcuts"))
MODULES = sorted(
    name
    for _, name, _ in walk_packages([str(ROOT / "fastbox" / "kernels")], "fastbox.kernels.", onerror=lambda name: None)
    if not (WITHOUT_NUMBA and name.startswith(COMPILER))
)
MOST_ARGUMENTS = 10


def test_the_registry_lists_every_kernel() -> None:
    found = {
        module.removeprefix("fastbox.kernels."): tuple(names)
        for module in MODULES
        if (
            names := sorted(
                name
                for name, thing in vars(import_module(module)).items()
                if isinstance(thing, Kernel) and f"fastbox.kernels.{thing.module}" == module
            )
        )
    }
    assert found == registry.LISTED | registry.ROTATED


def test_no_two_kernels_share_a_name_in_object_code() -> None:
    listed = registry.LISTED | registry.ROTATED
    symbols = [
        registry.found(one).symbol(np.dtype(one.dtype), one.metric)
        for one in registry.versions(("float32", "float64"), listed)
    ]
    assert len(set(symbols)) == len(symbols)


@pytest.mark.parametrize("module", MODULES)
def test_functions_of_kernels_take_at_most_ten_arguments(module: str) -> None:
    for name, thing in vars(import_module(module)).items():
        function = getattr(thing, "py_func", thing)
        if inspect.isfunction(function) and function.__module__ == module:
            assert function.__code__.co_argcount <= MOST_ARGUMENTS, f"{module}.{name}"


def test_codes_of_formats_and_confidences_are_their_places() -> None:
    for names in (codes.FORMATS, codes.CONFIDENCES):
        for place, name in enumerate(names):
            assert getattr(codes, name.upper()) == place


def test_codes_cost_no_numba(python: Any) -> None:
    done = python("import sys, fastbox.kernels.codes; print({'numba', 'llvmlite'} & set(sys.modules))")
    assert done.stdout.strip() == "set()"


def test_libraries_have_what_rotated_rectangles_need_first() -> None:
    linked = {(one.module, one.kernel, one.dtype, one.metric) for one in registry.linked(("float32", "float64"))}
    assert linked >= {tuple(one) for one in registry.versions(("float32", "float64"))}
    rotated = {one[1:] for one in linked if one[0] == "compare.rotated"}
    assert {("MATRIX", "float32", "iou"), ("PAIRS", "float64", "iou"), ("ALIGNED", "float64", "probiou")} <= rotated
    assert {one[0] for one in linked if one[0] in registry.ROTATED} == registry.RECTANGLES.keys()
    assert not {one for one in rotated if one[0] in ("MATRIX", "PAIRS", "TOP") and one[2] != "iou"}
