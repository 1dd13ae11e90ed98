"""Loops over boxes work on several boxes at once with every version of the compiler: none calls a function."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastbox.kernels.build import native
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.compare.aligned import ALIGNED, CORNERS
from fastbox.kernels.compare.dense import BEST
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
    assert len(re.findall(r"fdiv <\d+ x float>", optimised(monkeypatch, KERNELS[kernel], metric))) >= 2


def optimised(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, metric: str) -> str:
    """The code of a kernel for float32 in LLVM's language, optimised."""
    from fastbox.kernels.build import compiler

    seen: list[str] = []
    emitted = compiler._emitted

    def kept(compiled: Any, *more: Any) -> bytes:
        seen.append(str(compiler._linked(compiled)))
        return emitted(compiled, *more)

    monkeypatch.setattr(compiler, "_emitted", kept)
    assert kernel.code(np.dtype(np.float32), metric)
    (text,) = seen
    return text


@pytest.mark.compiler
@pytest.mark.jit
@pytest.mark.skipif(not native.features().get("AVX512VL"), reason="the processor has no vectors of 512 bits")
@pytest.mark.parametrize("kernel", KERNELS)
def test_vectors_are_as_long_as_those_of_the_processor(monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    from numba.core.registry import cpu_target

    numbas = cpu_target.target_context.codegen()._tm
    text = optimised(monkeypatch, KERNELS[kernel], "giou")
    assert len(re.findall(r"fdiv <16 x float>", text)) >= 2
    assert not re.findall(r"fdiv <8 x float>", text)
    assert cpu_target.target_context.codegen()._tm is numbas


@pytest.mark.compiler
@pytest.mark.jit
def test_what_is_seldom_called_stays_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    called = re.findall(r"call .*fastbox_apart_(lead|gather)", optimised(monkeypatch, BEST, "iou"))
    assert set(called) == {"lead", "gather"}
