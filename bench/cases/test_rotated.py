"""Rotated boxes: dense and sparse matrices, the best, pairs through the index, suppression; powerboxes and shapely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastbox
from bench.conftest import THREADS, Case, close_to, require
from bench.promises import evaluation
from bench.support import scenes
from bench.support.shapes import Sizes

ROUNDS = 5
FEW, MANY = 100, 600  # boxes of a side; shapely takes a minute for many


def dense(n: int, seed: int) -> NDArray[np.float64]:
    """Boxes of which most overlap one another, as centre, sides and degrees."""
    rng = np.random.default_rng(seed)
    sides = [rng.uniform(0, 40, (n, 2)), rng.uniform(10, 60, (n, 2)), rng.uniform(-180, 180, (n, 1))]
    return np.concatenate(sides, axis=1)


def scene(n: int, seed: int) -> NDArray[np.float64]:
    """Boxes as in an aerial image: long, small, and spread so that a box meets a few others."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.normal([3.3, 2.3], 0.5, (n, 2)))
    return np.concatenate([rng.uniform(0, 30 * n**0.5, (n, 2)), sides, rng.uniform(-90, 90, (n, 1))], axis=1)


def turned(boxes: NDArray[np.float64]) -> fastbox.RotatedBoxes:
    return fastbox.RotatedBoxes(boxes, "cxcywhd")


def facts(kernel: str, n: int, m: int, metric: str = "iou", size: str = "rotated") -> dict[str, Any]:
    common = {"kernel": kernel, "metric": metric, "dtype": "float64", "size": size, "shape": f"{n}x{m}"}
    return common | {"pairs": n * m, "moved": (n * m + 5 * (n + m)) * 8}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("metric", "n"), [("iou", FEW), ("iou", MANY), ("giou", MANY), ("probiou", MANY)])
def test_dense(case: Case, sizes: Sizes, metric: str, n: int, threads: int) -> None:
    n = 20 if sizes.quick else n
    a, b = turned(dense(n, 1)), turned(dense(n, 2))
    case(
        lambda: fastbox.pairwise(a, b, metric=metric),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts("rotated pairwise", n, n, metric),
    )


def by_powerboxes(a: NDArray[np.float64], b: NDArray[np.float64]) -> Callable[[], Any]:
    import powerboxes

    return lambda: 1 - powerboxes.rotated_iou_distance(a, b)


def by_shapely(a: NDArray[np.float64], b: NDArray[np.float64]) -> Callable[[], Any]:
    import shapely

    p, q = (shapely.polygons(turned(boxes).corners()) for boxes in (a, b))
    p, q = p[:, None], q[None]
    return lambda: shapely.area(shapely.intersection(p, q)) / shapely.area(shapely.union(p, q))


@pytest.mark.parametrize(("peer", "n"), [(by_powerboxes, MANY), (by_shapely, FEW)])
def test_dense_of_a_peer(case: Case, sizes: Sizes, peer: Callable[..., Any], n: int) -> None:
    name = peer.__name__.removeprefix("by_")
    require(name)
    n = 20 if sizes.quick else n
    a, b = dense(n, 1), dense(n, 2)
    expected = close_to(fastbox.pairwise(turned(a), turned(b)), "float64")
    shown = facts("rotated pairwise", n, n) | {"rounds": ROUNDS}
    case(peer(a, b), name=name, role="peer", threads=1, expected=expected, **shown)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("which", ["pairwise", "best", "pairs"])
def test_scene(case: Case, sizes: Sizes, which: str, threads: int) -> None:
    n = sizes.of(2000)
    a, b = turned(scene(n, 1)), turned(scene(n, 2))
    calls: dict[str, Callable[[], Any]] = {
        "pairwise": lambda: fastbox.pairwise(a, b),
        "best": lambda: fastbox.best(a, b),
        "pairs": lambda: fastbox.pairs(a, b, threshold=0.5),
    }
    shown = facts(f"rotated {which}", n, n, size="scene")
    case(calls[which], name="fastbox", role="ours", threads=threads, **shown)


@pytest.mark.parametrize("threads", THREADS)
def test_pairs_through_the_index(case: Case, sizes: Sizes, threads: int) -> None:
    n = sizes.of(100_000)
    a, b = turned(scene(n, 1)), turned(scene(n, 2))
    shown = facts("rotated pairs", n, n, size="indexed") | {"rounds": ROUNDS}
    case(lambda: fastbox.pairs(a, b, threshold=0.5), name="fastbox", role="ours", threads=threads, **shown)


@pytest.mark.parametrize("threads", THREADS)
def test_suppression(case: Case, sizes: Sizes, threads: int) -> None:
    n = sizes.of(33_000)
    boxes, scores = turned(scene(n, 1)), np.random.default_rng(3).random(n)
    shown = facts("rotated nms", n, 1) | {"rounds": ROUNDS}
    case(lambda: fastbox.nms(boxes, scores, iou_threshold=0.3), name="fastbox", role="ours", threads=threads, **shown)


def cells(n: int) -> NDArray[np.float64]:
    """About n anchors of four angles, cell by cell in a square image."""
    side = max(int((n / 4) ** 0.5), 1)
    y, x, angle = np.meshgrid(8.0 * np.arange(side), 8.0 * np.arange(side), [0.0, 45, 90, 135], indexing="ij")
    return np.stack([x, y, 0 * x + 64, 0 * x + 24, angle], axis=-1).reshape(-1, 5)


def by_matrix(truths: fastbox.RotatedBoxes, anchors: fastbox.RotatedBoxes) -> tuple[Any, ...]:
    """The best of both sides, from the whole matrix."""
    values = fastbox.pairwise(truths, anchors)
    return values.argmax(axis=0), values.max(axis=0), values.max(axis=1)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("which", ["match", "matrix"])
def test_matching(case: Case, sizes: Sizes, which: str, threads: int) -> None:
    anchors, truths = cells(sizes.of(100_000)), scene(50, 2)
    truths[:, :2] *= anchors[:, :2].max() / truths[:, :2].max()
    a, b = turned(anchors), turned(truths)
    calls: dict[str, Callable[[], Any]] = {
        "match": lambda: fastbox.match(a, b),
        "matrix": lambda: by_matrix(b, a),
    }
    role = "ours" if which == "match" else "peer"
    shown = facts("rotated match", len(a), len(b), size="cells") | {"rounds": ROUNDS}
    case(calls[which], name="fastbox" if which == "match" else "by matrix", role=role, threads=threads, **shown)


@pytest.mark.parametrize(("rule", "metric"), [("coco", "iou"), ("coco", "probiou"), ("voc12", "iou")])
def test_evaluate(case: Case, sizes: Sizes, rule: str, metric: str) -> None:
    amounts = {name: min(count, sizes.of(count) + 4) for name, count in evaluation.AERIAL.items()}
    drawn = scenes.annotated(**amounts)
    shape = f"{len(drawn.scores):,} detections, {len(drawn.crowd):,} truths"
    said = {"kernel": "rotated evaluate", "metric": metric, "dtype": "float64", "size": "aerial", "shape": shape}
    work = evaluation.rotated(drawn, rule=rule, metric=metric)
    case(work, name=f"rule {rule}", role="ours", threads=2, rounds=3, boxes=len(drawn.scores), **said)
