"""Loops over boxes work on several boxes at once with every version of the compiler: none calls a function."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

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
