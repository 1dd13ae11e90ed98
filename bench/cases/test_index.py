"""Images of very many boxes: through the index, and without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case
from bench.support import floors, scenes
from bench.support.shapes import Sizes

QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "best": fastbox.best,
    "pairs": lambda a, b: fastbox.pairs(a, b, threshold=0.5),
}
GRID = [("uniform", 10_000), *((layout, 100_000) for layout in scenes.LAYOUTS)]


def facts(question: str, layout: str, n: int) -> dict[str, Any]:
    return {"kernel": f"{question} {layout}", "metric": "iou", "dtype": "float32", "size": f"{n}", "shape": f"{n}x{n}"}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("layout", "n"), GRID)
def test_indexed(case: Case, sizes: Sizes, layout: scenes.Layout, n: int, question: str, threads: int) -> None:
    a, b = (scenes.scattered(sizes.of(n), layout, seed=seed) for seed in (1, 2))
    case(
        lambda: QUESTIONS[question](a, b),
        name="fastbox",
        role="ours",
        threads=threads,
        pairs=len(a) * len(b),
        **facts(question, layout, n),
    )


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("layout", "n"), GRID)
def test_dense(case: Case, sizes: Sizes, layout: scenes.Layout, n: int, question: str) -> None:
    a, b = (scenes.scattered(sizes.of(n), layout, seed=seed) for seed in (1, 2))
    indexed = QUESTIONS[question](a, b)

    def ask() -> Any:
        with floors.dense():
            return QUESTIONS[question](a, b)

    def same(found: Any) -> None:
        for one, other in zip(indexed, found, strict=True):
            np.testing.assert_array_equal(one, other)

    case(
        ask,
        name="dense",
        role="peer",
        threads=THREADS[-1],
        pairs=len(a) * len(b),
        expected=same,
        rounds=2 if n > 50_000 else None,
        **facts(question, layout, n),
    )
