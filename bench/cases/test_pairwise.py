"""The matrix of all pairs, and one value a row: every metric at one size, IoU and GIoU at several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case, close_to, require
from bench.support import floors, peers
from bench.support.shapes import DTYPES, Sizes, boxes

SIZES = {metric: ("small", "large", "wide") if metric in ("iou", "giou") else ("small",) for metric in fastbox.METRICS}
GRID = [(metric, size) for metric, sizes in SIZES.items() for size in sizes]


def facts(n: int, m: int, dtype: str, metric: str, size: str) -> dict[str, Any]:
    """Return the facts of a case of a matrix."""
    width = np.dtype(dtype).itemsize
    common = {"kernel": "pairwise", "metric": metric, "dtype": dtype, "size": size, "shape": f"{n}x{m}"}
    return common | {"pairs": n * m, "moved": (n * m + 4 * (n + m)) * width}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("metric", "size"), GRID)
def test_ours(case: Case, sizes: Sizes, metric: str, size: str, dtype: str, threads: int) -> None:
    n, m = sizes.matrix(size)
    a, b = boxes(n, dtype, seed=1), boxes(m, dtype, seed=2)
    case(
        lambda: fastbox.pairwise(a, b, metric=metric),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts(n, m, dtype, metric, size),
    )


@pytest.mark.parametrize(("metric", "size", "peer", "dtype"), peers.able(GRID), ids=str)
def test_peer(case: Case, sizes: Sizes, metric: str, size: str, peer: peers.Peer, dtype: str) -> None:
    require(peer.module)
    n, m = sizes.matrix(size)
    a, b = boxes(n, dtype, seed=1), boxes(m, dtype, seed=2)
    theirs, p, q = peer.function(metric), peer.prepare(a), peer.prepare(b)
    case(
        lambda: theirs(p, q),
        name=peer.name,
        role="peer",
        threads=THREADS[-1] if peer.all_threads else 1,
        expected=close_to(fastbox.pairwise(a, b, metric=metric), dtype, peer.value),
        **facts(n, m, dtype, metric, size),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_ours_into_out(case: Case, sizes: Sizes, size: str, dtype: str, threads: int) -> None:
    n, m = sizes.matrix(size)
    a, b, out = boxes(n, dtype, seed=1), boxes(m, dtype, seed=2), floors.touched((n, m), dtype)
    case(
        lambda: fastbox.pairwise(a, b, out=out),
        name="fastbox, out=",
        role="ours",
        threads=threads,
        **facts(n, m, dtype, "iou", size),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("into", ["fresh", "out"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_twin(case: Case, sizes: Sizes, size: str, dtype: str, into: str, threads: int) -> None:
    n, m = sizes.matrix(size)
    a, b = (fastbox.Boxes(boxes(rows, dtype, seed=seed)) for rows, seed in ((n, 1), (m, 2)))
    out = floors.touched((n, m), dtype) if into == "out" else None
    case(
        lambda: floors.twin_matrix(a, b, threads, out),
        name="prange" + ", out=" * (out is not None),
        role="twin",
        threads=threads,
        expected=close_to(fastbox.pairwise(a, b), dtype),
        **facts(n, m, dtype, "iou", size),
    )


@pytest.mark.parametrize("into", ["fresh", "out"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", ["small", "large", "wide"])
def test_floor(case: Case, sizes: Sizes, size: str, dtype: str, into: str) -> None:
    n, m = sizes.matrix(size)
    out = floors.touched((n, m), dtype)
    case(
        (lambda: out.fill(0.5)) if into == "out" else (lambda: np.empty((n, m), dtype).fill(0.5)),
        name="fill" + ", out=" * (into == "out"),
        role="floor",
        **facts(n, m, dtype, "", size),
    )


def rows_facts(n: int, dtype: str, metric: str) -> dict[str, Any]:
    """Return the facts of a case of one value per row."""
    common = {"kernel": "aligned", "metric": metric, "dtype": dtype, "size": "rows", "shape": f"{n}"}
    return common | {"pairs": n, "moved": 9 * n * np.dtype(dtype).itemsize}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", fastbox.METRICS)
def test_aligned(case: Case, sizes: Sizes, metric: str, dtype: str, threads: int) -> None:
    n = sizes.of(1_000_000)
    a, b, out = boxes(n, dtype, seed=1), boxes(n, dtype, seed=2), floors.touched(n, dtype)
    case(
        lambda: fastbox.aligned(a, b, metric=metric, out=out),
        name="fastbox, out=",
        role="ours",
        threads=threads,
        **rows_facts(n, dtype, metric),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", peers.ALIGNED)
def test_aligned_peer(case: Case, sizes: Sizes, metric: str, dtype: str) -> None:
    n = sizes.of(1_000_000)
    a, b = boxes(n, dtype, seed=1), boxes(n, dtype, seed=2)
    case(
        lambda: peers.ALIGNED[metric](a, b),
        name="numpy",
        role="peer",
        expected=close_to(fastbox.aligned(a, b, metric=metric), dtype),
        **rows_facts(n, dtype, metric),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_aligned_floor(case: Case, sizes: Sizes, dtype: str, threads: int) -> None:
    n = sizes.of(1_000_000)
    a, b = (boxes(n, dtype, seed=seed).reshape(-1) for seed in (1, 2))
    case(
        lambda: floors.read_both_and_add(a, b, threads),
        name="read and add",
        role="floor",
        threads=threads,
        **rows_facts(n, dtype, ""),
    )
