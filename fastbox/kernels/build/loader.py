"""Object code made executable in this process, by LLVM's loader."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm

from fastbox.kernels.build.call import ENTRY, RELEASE

_engines: list[Any] = []  # which hold the code as long as the process runs


def loaded(code: bytes, symbol: str) -> tuple[Any, Any]:
    """Return the entry of a kernel in object code, and what frees its results."""
    if not _engines:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine()
        _engines.append(llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine))
    engine = _engines[0]
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    addresses = [engine.get_function_address(name) for name in (symbol, f"{symbol}.release")]
    return ENTRY(addresses[0]), RELEASE(addresses[1])
