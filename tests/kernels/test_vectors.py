"""Loops over boxes work on several boxes at once with every version of the compiler: none calls a function."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastbox.kernels.build import native
from fastbox.kernels.compare.aligned import ALIGNED, CORNERS
from fastbox.kernels.loss.overlap import OVERLAP_LOSSES

KERNELS = {"aligned": ALIGNED, "corners": CORNERS, "losses": OVERLAP_LOSSES}


@pytest.mark.compiler
@pytest.mark.jit
@pytest.mark.parametrize(
    ("kernel", "metric"),
    [
        ("aligned", "giou"),
        ("aligned", "smooth_l1"),
        ("corners", "giou"),
        ("corners", "ciou"),
        ("losses", "giou"),
        ("losses", "ciou"),
    ],
)
def test_several_boxes_are_divided_at_once(monkeypatch: pytest.MonkeyPatch, kernel: str, metric: str) -> None:
    from fastbox.kernels.build import compiler

    seen: list[str] = []
    emitted = compiler._emitted

    def kept(compiled: Any, *more: Any) -> bytes:
        seen.append(str(compiler._linked(compiled)))
        return emitted(compiled, *more)

    monkeypatch.setattr(compiler, "_emitted", kept)
    assert KERNELS[kernel].code(np.dtype(np.float32), metric)
    (text,) = seen
    assert len(re.findall(r"fdiv <\d+ x float>", text)) >= 2


SUM = """
define void @sum(ptr %p) {
  %x = load <16 x float>, ptr %p
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %p
  ret void
}
"""


@pytest.mark.compiler
@pytest.mark.jit
@pytest.mark.skipif(not native.features().get("AVX512VL"), reason="the processor has no vectors of 512 bits")
def test_vectors_are_as_long_as_those_of_the_processor() -> None:
    import llvmlite.binding as llvm
    from numba.core.registry import cpu_target

    from fastbox.kernels.build import compiler

    codegen = cpu_target.target_context.codegen()
    numbas, module = codegen._tm, llvm.parse_assembly(SUM)
    assert "zmm" in compiler._machine(codegen, False).emit_assembly(module)
    assert ALIGNED.code(np.dtype(np.float32), "iou")
    assert codegen._tm is numbas
