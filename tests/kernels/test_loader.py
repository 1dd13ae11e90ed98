"""Kernels can be loaded wherever the process has room left, and hold no counts of references to their arguments."""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from fastbox.kernels import registry
from fastbox.kernels.build import elf
from fastbox.kernels.build.call import caller
from fastbox.kernels.build.types import float64

RELOCATIONS = 4  # the type of a section
FAR = {1, 24}  # R_X86_64_64 and R_X86_64_PC64: addresses of 64 bits


def relocations(code: bytes) -> Iterator[tuple[int, str]]:
    """The type of each relocation of an object in ELF, and the name that it stands for."""
    (table,), (size, count) = struct.unpack_from("<Q", code, 0x28), struct.unpack_from("<HH", code, 0x3A)
    sections = [struct.unpack_from("<4xI16xQQI", code, at) for at in range(table, table + size * count, size)]
    for kind, start, length, link in sections:
        if kind != RELOCATIONS:
            continue
        _, names, _, strings = sections[link]
        for place in range(start, start + length, 24):
            how, symbol = struct.unpack_from("<8xII", code, place)
            (name,) = struct.unpack_from("<I", code, names + 24 * symbol)
            text = sections[strings][1] + name
            yield how, code[text : code.index(0, text)].decode()


ELF = sys.platform == "linux" and platform.machine() == "x86_64"
LOGARITHM = registry.Version("geometry.elementary", "FUNCTIONS", "float64", "log")


def object_code(version: registry.Version, *, linked: bool = False) -> bytes:
    return registry.found(version).code(np.dtype(version.dtype), version.metric, linked=linked)


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.skipif(not ELF, reason="LLVM's loader loads all code elsewhere")
def test_code_does_the_same_whoever_loads_it() -> None:
    from fastbox.kernels.build import loader

    kernel, code = registry.found(LOGARITHM), object_code(LOGARITHM)
    symbol = kernel.symbol(np.dtype("float64"), "log")
    values, found = np.array([1e-300, 0.5, 1, np.e, 7e18, np.inf]), np.empty((2, 6))
    for row, by in zip(found, (elf.loaded, loader.loaded), strict=True):
        loaded = by(code, symbol)
        assert loaded is not None
        caller("log", *loaded, kernel.signature(float64))(values, row)
    np.testing.assert_array_equal(*found.view(np.int64))
    np.testing.assert_allclose(found[0], np.log(values), rtol=1e-15)


def with_writable_constants(code: bytes) -> bytes:
    changed = bytearray(code)
    (table,), (count,) = struct.unpack_from("<Q", code, 0x28), struct.unpack_from("<H", code, 0x3C)
    for at in range(table, table + 64 * count, 64):
        kind, flags = struct.unpack_from("<IQ", code, at + 4)
        if kind == 1 and flags & 6 == 2:  # content, in memory, not to be executed
            struct.pack_into("<Q", changed, at + 8, flags | 1)
    assert changed != code
    return bytes(changed)


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.skipif(not ELF, reason="LLVM's loader loads all code elsewhere")
def test_what_needs_a_linker_is_left_to_llvm() -> None:
    code, symbol = object_code(LOGARITHM), registry.found(LOGARITHM).symbol(np.dtype("float64"), "log")
    assert elf.loaded(code, symbol) is not None
    assert elf.loaded(object_code(LOGARITHM, linked=True), symbol) is None  # addresses of 32 bits
    assert elf.loaded(code.replace(b"\0free\0", b"\0flee\0"), symbol) is None  # which this process does not have
    assert elf.loaded(with_writable_constants(code), symbol) is None
    assert elf.loaded(code[:18] + b"\xb7" + code[19:], symbol) is None  # for another processor
    assert elf.loaded(b"\xcf\xfa\xed\xfe" + code[4:], symbol) is None  # of another system


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.skipif(not ELF, reason="elsewhere the loader's memory is one piece")
@pytest.mark.parametrize("linked", [False, True])
def test_code_for_the_loader_reaches_all_addresses(linked: bool) -> None:
    """LLVM aborts a process where code and constants lie farther apart than relocations reach."""
    version = next(one for one in registry.versions(["float32"]) if one.module.endswith(".sketch"))
    code = object_code(version, linked=linked)
    found = {how for how, _ in relocations(code)}
    assert len(found) > 0 and (found <= FAR) != linked


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.skipif(not ELF, reason="reads objects in ELF")
def test_no_references_to_the_arrays_of_the_caller_are_counted() -> None:
    """Where they are counted, a kernel frees an array whose last reference goes; here only its `release` does."""
    version = next(one for one in registry.versions(["float64"]) if one[:2] == ("json.elements", "SKIP"))
    code = object_code(version, linked=True)
    assert [name for _, name in relocations(code) if name in ("free", "malloc")] == ["free"]
