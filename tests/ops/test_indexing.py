"""The index changes no bit: best, top and pairs through it equal those without it, whatever the boxes look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.paths import WITHOUT_JIT

import fastbox
from fastbox.ops import indexing as index
from fastbox.ops.geometry import sides_of

Array = NDArray[Any]

SOME = 150 if WITHOUT_JIT else 1500


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An index for every image, however small or crowded."""
    monkeypatch.setattr(index, "GAIN", 0)
    monkeypatch.setattr(index, "crowded", lambda one: False)
    yield


def without(ask: Callable[[], Any]) -> Any:
    """The answer without an index."""
    plan = index.plan
    index.plan = lambda *sides, **options: []
    try:
        return ask()
    finally:
        index.plan = plan


def agree(ask: Callable[[], Any]) -> Any:
    through, plain = ask(), without(ask)
    for one, other in zip(through, plain, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    return through


def boxes(low: Array, sides: Array, dtype: Any = np.float32) -> Array:
    return np.concatenate([low, low + sides], axis=1).astype(dtype)


def layout(name: str, n: int, seed: int) -> Array:
    """The corners of n boxes that a grid could find hard."""
    rng = np.random.default_rng(seed)
    low, sides = rng.uniform(0, 40 * n**0.5, (n, 2)), rng.uniform(0, 60, (n, 2))
    if name == "giants":
        sides[:: n // 5] = 20 * n**0.5
    elif name == "lognormal":
        sides = np.exp(rng.normal(3, 1.5, (n, 2)))
    elif name == "tiny and giant":
        sides = 10.0 ** rng.uniform(-4, 4, (n, 2))
    elif name == "all equal":
        low[:], sides[:] = low[0], sides[0]
    elif name == "one point":
        low[:] = low[0]
    elif name == "far away":
        low += 1e7
    elif name == "one row":
        low[:, 1] = 0
        low[:, 0] *= 40
    elif name == "one column of slivers":
        low[:, 0] = 0
        sides[:, 1] = 0.01
    elif name == "ties":
        low, sides = np.round(low / 32) * 32, np.full((n, 2), 32.0) * rng.integers(1, 3, (n, 1))
    elif name == "apart":
        low = 100.0 * np.stack(np.divmod(np.arange(n), 64), axis=1)
    elif name == "two dense heaps":
        low = rng.normal(0, 10, (n, 2)) + 1e5 * rng.integers(0, 2, (n, 1))
    found = boxes(low, sides)
    found[:: n // 7, 2] = found[:: n // 7, 0]
    found[3 :: n // 4] = np.nan
    found[5 :: n // 3, [0, 2]] = found[5 :: n // 3, [2, 0]]
    return found


LAYOUTS = (
    "uniform", "giants", "lognormal", "tiny and giant", "all equal", "one point", "far away", "one row",
    "one column of slivers", "ties", "apart", "two dense heaps",
)  # fmt: skip


@pytest.mark.jit
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    n = SOME // 10 if name in ("all equal", "one point") else SOME
    a, b = layout(name, n, 1), layout(name, n, 2)
    agree(lambda: fastbox.best(a, b))
    agree(lambda: fastbox.top(a, b, 3))
    agree(lambda: fastbox.pairs(a, b, threshold=0.5))
    agree(lambda: fastbox.pairs(a, b, threshold=1e-9))
    agree(lambda: fastbox.pairs(a, threshold=0.1))


@pytest.mark.jit
@pytest.mark.parametrize("metric", ["iof", "giou", "ciou"])
def test_metrics(metric: str) -> None:
    a, b = layout("lognormal", SOME, 1), layout("lognormal", SOME, 2)
    agree(lambda: fastbox.best(a, b, metric=metric))
    agree(lambda: fastbox.pairs(a, b, threshold=0.001, metric=metric))
    agree(lambda: fastbox.pairs(a, b, threshold=1e-6, metric=metric))


@given(strategies.two(max_size=40), strategies.formats, st.sampled_from([1e-7, 0.25, 1.0]))
def test_whatever_boxes(sides: tuple[Array, Array], format: str, threshold: float) -> None:
    a, b = (fastbox.Boxes(side, format) for side in sides)
    agree(lambda: fastbox.best(a, b))
    agree(lambda: fastbox.top(a, b, 4))
    agree(lambda: fastbox.pairs(a, b, threshold=threshold))
    agree(lambda: fastbox.pairs(a, threshold=threshold))


@pytest.mark.jit
def test_images_with_and_without_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "GAIN", 20)
    sizes = [0, 5, 300, 3, 0, 200, 80, 1]
    offsets = np.cumsum([0, *sizes])
    a = fastbox.Boxes(layout("uniform", int(offsets[-1]), 1), offsets=offsets)
    b = fastbox.Boxes(layout("uniform", int(offsets[-1]), 2)[::-1], offsets=offsets)
    planned = index.plan(sides_of(a, b), offsets, offsets, angles=False)
    assert [one.image for one in planned] == [2, 5, 6]
    agree(lambda: fastbox.best(a, b))
    agree(lambda: fastbox.top(a, b, 2))
    agree(lambda: fastbox.pairs(a, b, threshold=0.2))


@pytest.mark.jit
def test_threads_make_no_difference(threads: Callable[[int], None]) -> None:
    a, b = layout("lognormal", SOME, 1), layout("lognormal", SOME, 2)
    answers = []
    for n in (1, 2, 5):
        threads(n)
        answers.append([*fastbox.best(a, b), *fastbox.top(a, b, 3), *fastbox.pairs(a, b, threshold=0.1)])
    for other in answers[1:]:
        for one, same in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_more_boxes_near_a_row_than_a_tile_holds(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 60, (2500, 2))
    b = boxes(low, rng.uniform(20, 60, (2500, 2)), dtype)
    b[2100:2200] = b[100:200]  # the best of some rows is there twice, in different tiles
    a = np.concatenate([b[50:250], b[2050:2250], boxes(low[:40] + 3, np.full((40, 2), 30.0), dtype)])
    for order in (slice(None), slice(None, None, -1)):
        found = agree(lambda order=order: fastbox.best(a, b[order]))
        assert (found.values[:400] == 1).all()
    agree(lambda: fastbox.top(a, b, 3))
    agree(lambda: fastbox.pairs(a, b, threshold=0.5))


@pytest.mark.jit
def test_it_is_chosen_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ends = np.array([0, 4000])

    def planned(corners: Array) -> list[index.Indexed]:
        side = fastbox.Boxes(corners)
        return index.plan(sides_of(side, side), ends, ends, angles=False)

    assert planned(layout("uniform", 4000, 1))
    assert not planned(layout("all equal", 4000, 1)), "most boxes meet"
    few = np.array([0, 400])
    side = fastbox.Boxes(layout("uniform", 400, 1))
    assert not index.plan(sides_of(side, side), few, few, angles=False), "too few boxes to sort"
    vast = fastbox.Boxes(layout("uniform", 4000, 1).astype(np.float64) * 1e30)
    assert not index.plan(sides_of(vast, vast), ends, ends, angles=False), "areas that screening can't take"


@pytest.mark.slow
@pytest.mark.jit
def test_memory_grows_with_boxes_not_with_pairs(python: Any) -> None:
    code = """
import resource, numpy as np, fastbox
def ask(n):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 30 * n**0.5, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 100, (n, 2))], axis=1).astype(np.float32)
    fastbox.best(boxes, boxes[::-1]); fastbox.pairs(boxes, threshold=0.5)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
few = ask(4000)
print(ask(200_000) - few)
"""
    grown = int(python(code).stdout)
    assert grown < 200 * 1024, "KiB; a matrix would take 160 GB"
