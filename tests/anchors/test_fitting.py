"""Shapes fitted to boxes: coverage, clusters and their refinement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.sides import boxes_of, naive, random_sides, search_less, write

import fastbox
from fastbox.anchors import fitting as shapes
from fastbox.jobs.anchors import fit_anchors

pytest.importorskip("scipy")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    search_less(monkeypatch)


@pytest.mark.parametrize("n", [1, 31, 100])
def test_cover_is_pairwise_of_centred_boxes(n: int) -> None:
    w, h = random_sides(n)
    own = np.array([[10.0, 20.0], [20.0, 10.0], [20.0, 10.0], [5.0, 5.0]])
    found = shapes.cover(w, h, own)
    values = np.asarray(fastbox.pairwise(boxes_of(w, h), boxes_of(*own.T)))
    np.testing.assert_array_equal(found.overlaps, values.max(axis=1))
    np.testing.assert_array_equal(found.indices, values.argmax(axis=1))
    np.testing.assert_allclose(found.fits, naive(w, h, own)[2], rtol=1e-15)
    assert len(shapes.cover(w[:0], h[:0], own).overlaps) == 0


def test_threads_keep_the_bits_of_covers(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "ROWS", 100)
    w, h = random_sides(1500)
    candidates = np.stack([np.stack(random_sides(3, seed), axis=1) for seed in range(6)])
    seen = []
    for count in (1, 4):
        threads(count)
        seen.append([*shapes.cover(w, h, candidates[0]), shapes.mean_best(w, h, candidates)])
    for one, many in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, many)
    np.testing.assert_allclose(seen[0][3], [naive(w, h, own)[0].mean() for own in candidates], rtol=1e-13)


def test_clusters_are_found_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "RESTARTS", 10)
    planted = np.array([[4.0, 4.0], [100.0, 10.0], [10.0, 130.0], [300.0, 300.0]])
    rng = np.random.default_rng(0)
    w, h = (np.repeat(planted, 40, axis=0) * rng.uniform(0.95, 1.05, (160, 2))).T
    found = shapes.by_area(shapes.cluster(w, h, 4, np.random.default_rng(1)))
    np.testing.assert_allclose(found, planted, rtol=0.05)
    w, h = np.repeat([[1.0, 2.0, 3.0], [3.0, 3.0, 3.0]], [97, 1, 1], axis=1)
    for count in (1, 2, 3):
        own = shapes.cluster(w, h, count, np.random.default_rng(0))
        assert len(np.unique(own, axis=0)) == count
        assert np.isfinite(own).all()
    assert shapes.cover(w, h, own).overlaps.min() == 1
    w = 1e8 + np.arange(2) * np.spacing(1e8)
    assert shapes.cluster(w, w, 2, np.random.default_rng(0)).shape == (2, 2)


def test_a_centre_that_loses_its_boxes_moves_to_the_worst_off() -> None:
    w = h = np.array([10.0] * 20 + [1000.0])
    _, own = shapes._run(w, h, np.array([[10.0, 10.0], [10.0, 10.0]]))
    np.testing.assert_array_equal(own, [[10, 10], [1000, 1000]])


def test_refining_never_loses(tmp_path: Path) -> None:
    from scipy import optimize

    w, h = random_sides(100)
    start = np.array([[10.0, 10.0], [50.0, 50.0]])
    refined = shapes.refine(w, h, start, optimize, np.random.default_rng(0))
    before, after = shapes.mean_best(w, h, np.stack([start, refined]))
    assert after > before
    found = fit_anchors(write(tmp_path / "t.parquet", w, h), count=3)
    assert found.sets["fitted"].to_dict()["mean_iou"] >= found.sets["k-means"].to_dict()["mean_iou"]


@pytest.mark.slow
@pytest.mark.jit
def test_refining_finds_what_clustering_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import optimize

    monkeypatch.undo()
    w, h = random_sides(2000)
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        clustered = shapes.cluster(w, h, 5, rng)
        refined = shapes.refine(w, h, clustered, optimize, rng)
        before, after = shapes.mean_best(w, h, np.stack([clustered, refined]))
        assert before + 0.0005 < after < before + 0.02
