"""Kernels can be loaded wherever the process has room left."""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from fastbox.kernels import registry

RELOCATIONS = 4  # the type of a section
FAR = {1, 24}  # R_X86_64_64 and R_X86_64_PC64: addresses of 64 bits


def relocations(code: bytes) -> Iterator[int]:
    """The types of all relocations of an object in ELF."""
    (table,), (size, count) = struct.unpack_from("<Q", code, 0x28), struct.unpack_from("<HH", code, 0x3A)
    for at in range(table, table + size * count, size):
        kind, start, length = struct.unpack_from("<4xI16xQQ", code, at)
        if kind == RELOCATIONS:
            yield from (struct.unpack_from("<8xI", code, place)[0] for place in range(start, start + length, 24))


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="elsewhere the loader's memory is one piece"
)
@pytest.mark.parametrize("linked", [False, True])
def test_code_for_the_loader_reaches_all_addresses(linked: bool) -> None:
    """LLVM aborts a process where code and constants lie farther apart than relocations reach."""
    version = next(one for one in registry.versions(["float32"]) if one.module.endswith(".sketch"))
    code = registry.found(version).code(np.dtype("float32"), version.metric, linked=linked)
    found = set(relocations(code))
    assert len(found) > 0 and (found <= FAR) != linked
