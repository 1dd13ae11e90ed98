"""Reductions without the matrix: best, top, pairs, histogram."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case, close_to, require
from bench.support import floors, peers
from bench.support.shapes import DTYPES, Kind, Sizes, boxes

K, BINS, THRESHOLD = 10, 20, 0.5

REDUCTIONS: dict[str, Callable[[Any, Any, str], Any]] = {
    "best": lambda a, b, metric: fastbox.best(a, b, metric=metric),
    "top": lambda a, b, metric: fastbox.top(a, b, K, metric=metric),
    "pairs": lambda a, b, metric: fastbox.pairs(a, b, threshold=THRESHOLD, metric=metric),
    "histogram": lambda a, b, metric: fastbox.histogram(a, b, bins=BINS, range=(0, 1), metric=metric),
}
EVERYWHERE = [
    *((metric, "small", "uniform") for metric in fastbox.METRICS),
    ("iou", "large", "uniform"),
    ("iou", "large", "crowded"),
    ("giou", "large", "uniform"),
]
GRID = [(kernel, *rest) for kernel in REDUCTIONS for rest in EVERYWHERE]
GRID += [("best", "iou", "wide", "uniform"), ("pairs", "iou", "huge", "uniform")]


def facts(kernel: str, metric: str, size: str, kind: str, n: int, m: int, dtype: str) -> dict[str, Any]:
    """Return the facts of a case of a reduction."""
    crowd = " crowded" * (kind == "crowded")
    common = {"kernel": kernel, "metric": metric, "dtype": dtype, "size": size + crowd, "shape": f"{n}x{m}{crowd}"}
    return common | {"pairs": n * m}


def drawn(sizes: Sizes, size: str, kind: Kind, dtype: str) -> tuple[Any, Any]:
    n, m = sizes.matrix(size)
    return boxes(n, dtype, seed=1, kind=kind), boxes(m, dtype, seed=2, kind=kind)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "metric", "size", "kind"), GRID)
def test_ours(
    case: Case, sizes: Sizes, kernel: str, metric: str, size: str, kind: Kind, dtype: str, threads: int
) -> None:
    a, b = drawn(sizes, size, kind, dtype)
    case(
        lambda: REDUCTIONS[kernel](a, b, metric),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts(kernel, metric, size, kind, len(a), len(b), dtype),
    )


@pytest.mark.parametrize(("metric", "size", "peer", "dtype"), peers.able([("iou", "small"), ("iou", "large")]), ids=str)
def test_best_of_their_matrix(case: Case, sizes: Sizes, metric: str, size: str, peer: peers.Peer, dtype: str) -> None:
    require(peer.module)
    a, b = drawn(sizes, size, "uniform", dtype)
    p, q, theirs = peer.prepare(a), peer.prepare(b), peers.best(peer, metric)
    case(
        lambda: theirs(p, q),
        name=peer.name,
        role="peer",
        threads=THREADS[-1] if peer.all_threads else 1,
        expected=close_to(fastbox.best(a, b).values, dtype, lambda found: peer.value(found[0])),
        **facts("best", metric, size, "uniform", len(a), len(b), dtype),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "kind"), [("small", "uniform"), ("large", "uniform"), ("large", "crowded")])
def test_best_of_naive_loop(case: Case, sizes: Sizes, size: str, kind: Kind, dtype: str) -> None:
    a, b = drawn(sizes, size, kind, dtype)
    case(
        lambda: floors.run_naive_best(a, b),
        name="naive numba loop",
        role="peer",
        expected=close_to(fastbox.best(a, b).values, dtype, lambda found: found[0]),
        **facts("best", "iou", size, kind, len(a), len(b), dtype),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_best_of_twin(case: Case, sizes: Sizes, size: str, dtype: str, threads: int) -> None:
    a, b = (fastbox.Boxes(side) for side in drawn(sizes, size, "uniform", dtype))
    case(
        lambda: floors.twin_best(a, b, threads),
        name="prange",
        role="twin",
        threads=threads,
        expected=close_to(fastbox.best(a, b).values, dtype, lambda found: found[0]),
        **facts("best", "iou", size, "uniform", len(a), len(b), dtype),
    )


NUMPY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "top": (lambda a, b: peers.top(a, b, K), lambda found: found[0]),
    "pairs": (lambda a, b: peers.pairs(a, b, THRESHOLD), lambda found: np.stack(found[:2])),
    "histogram": (lambda a, b: peers.histogram(a, b, BINS), lambda found: found),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel", "size"),
    [
        *((kernel, size) for kernel in ("top", "pairs", "histogram") for size in ("small", "large")),
        ("pairs", "huge"),
    ],
)
def test_numpy(case: Case, sizes: Sizes, kernel: str, size: str, dtype: str) -> None:
    a, b = drawn(sizes, size, "uniform", dtype)
    theirs, same = NUMPY[kernel]
    ours = REDUCTIONS[kernel](a, b, "iou")
    case(
        lambda: theirs(a, b),
        name="numpy",
        role="peer",
        expected=close_to(same(ours), dtype, same),
        **facts(kernel, "iou", size, "uniform", len(a), len(b), dtype),
    )
