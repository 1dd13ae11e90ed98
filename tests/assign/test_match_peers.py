"""Matches and rules beside the papers' text and the peers' own code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import corners
from support.paths import WITHOUT_JIT
from support.rules import Answer, both, check, crowd, decide, grid_and_truths, overlaps, small

from fastbox import Boxes
from fastbox.assign.match import match
from fastbox.assign.rule import MatchRule

Array = Any


def atss_oracle(anchors: Array, truths: Array, counts: list[int], topk: int = 9) -> Answer:
    matrix = overlaps(anchors, truths)
    bad = Boxes(anchors).invalid() != 0
    labels = np.where(bad, -1, 0).astype(np.int8)
    best = Answer(labels, np.full(len(anchors), -1), np.zeros(len(anchors), matrix.dtype))
    half = anchors.dtype.type(0.5)
    with np.errstate(invalid="ignore", over="ignore"):
        centre_a = half * (anchors[:, :2] + anchors[:, 2:])
        centre_t = half * (truths[:, :2] + truths[:, 2:])
    for g in np.flatnonzero(Boxes(truths).invalid() == 0):
        with np.errstate(invalid="ignore", over="ignore"):
            d = centre_a - centre_t[g]
            distance = d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1]
        chosen, first = [], 0
        for n in counts:
            rows = np.flatnonzero(~bad[first : first + n]) + first
            chosen.append(rows[np.argsort(distance[rows], kind="stable")[:topk]])
            first += n
        rows = np.concatenate(chosen)
        if len(rows) < 2:
            continue
        met = matrix[g, rows].astype(np.float64)
        least = anchors.dtype.type(met.mean() + met.std(ddof=1))
        sides = np.concatenate([centre_a[rows] - truths[g, :2], truths[g, 2:] - centre_a[rows]], axis=1)
        inside = sides.min(axis=1) > anchors.dtype.type(0.01)
        for a in rows[inside & (matrix[g, rows] >= least)]:
            if labels[a] == 0 or matrix[g, a] > best.values[a]:
                labels[a], best.truths[a], best.values[a] = 1, g, matrix[g, a]
    return best


@pytest.mark.slow
@given(case=grid_and_truths(), topk=st.integers(1, 5))
def test_atss_is_its_paper(case: Any, topk: int) -> None:
    grid, size, anchors, truths = case
    counts = grid.counts(size)
    expected = atss_oracle(anchors, truths, counts, topk)
    check(both(grid, truths, MatchRule.atss(topk), size=size), expected)


@pytest.mark.slow
@given(anchors=corners(np.float64, max_size=14), truths=corners(np.float64, max_size=5))
def test_atss_of_any_boxes(anchors: Array, truths: Array) -> None:
    counts = [len(anchors) // 3, len(anchors) - len(anchors) // 3]
    check(both(anchors, truths, MatchRule.atss(2, counts)), atss_oracle(anchors, truths, counts, 2))


def test_atss_prefers_the_lower_of_anchors_equally_near() -> None:
    for seed in range(200 if not WITHOUT_JIT else 40):
        rng = np.random.default_rng(seed)
        centres, halves = rng.integers(0, 5, (24, 2)) * 4.0, rng.integers(2, 9, (24, 2)) * 1.0
        anchors = np.concatenate([centres - halves, centres + halves], axis=1)
        check(
            both(anchors, anchors[:2] + 1, MatchRule.atss(4, [14, 10])),
            atss_oracle(anchors, anchors[:2] + 1, [14, 10], 4),
        )


# What the peers' own tests say.


def test_mmdetections_examples() -> None:
    anchors = [[0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42]]
    truths = [[0, 0, 10, 9], [0, 10, 10, 19]]
    for negative in (0.5, (0, 0.5)):
        found = both(anchors, truths, MatchRule.mmdet(0.5, negative))
        assert found.labels.tolist() == [1, 0, 1, 0]
        assert found.truths.tolist() == [0, -1, 1, -1]
    anchors[3] = [30, 32, 40, 42]
    rule = MatchRule.mmdet(0.5, 0.5, ignore_iof_thr=0.5, ignore_wrt_candidates=False)
    found = both(anchors, truths, rule, ignore=[[30, 30, 40, 40]])
    assert found.labels.tolist() == [1, 0, 1, -1]
    assert found.truths.tolist() == [0, -1, 1, -1]
    assert both(anchors, np.empty((0, 4)), rule, ignore=[[30, 30, 40, 40]]).labels.tolist() == [0, 0, 0, 0]
    assert len(both(np.empty((0, 4)), truths, rule).labels) == 0


def test_detectron2s_example_holds_for_the_oracle() -> None:
    matrix = np.array([[0.15, 0.45, 0.2, 0.6], [0.3, 0.65, 0.05, 0.1], [0.05, 0.4, 0.25, 0.4]], np.float32)
    answer = decide(MatchRule.detectron2([0.3, 0.7], [0, -1, 1]), matrix, np.zeros(4, bool))
    assert answer.truths.tolist() == [1, 1, 2, 0]
    assert answer.labels.tolist() == [-1, 1, 0, 1]


@pytest.mark.parametrize("low_quality", [True, False])
def test_torchvisions_steps_in_torch(low_quality: bool) -> None:
    torch = pytest.importorskip("torch")
    grid, size = small(), (120, 90)
    anchors = torch.from_numpy(grid.boxes(size))
    for seed in range(20 if not WITHOUT_JIT else 2):
        truths = torch.from_numpy(crowd(6, size, np.float32, seed, 25))
        if seed % 4 == 0:
            truths[2] += 500  # overlaps nothing: every anchor becomes positive
        low, high = (
            torch.maximum(truths[:, None, :2], anchors[:, :2]),
            torch.minimum(truths[:, None, 2:], anchors[:, 2:]),
        )
        inter = (high - low).clamp(min=0).prod(dim=2)
        areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (truths, anchors)]
        matrix = inter / (areas[0][:, None] + areas[1] - inter)
        values, every = matrix.max(dim=0)
        matches = every.clone()
        matches[values < 0.4] = -1
        matches[(values >= 0.4) & (values < 0.5)] = -2
        if low_quality:
            columns = torch.where(matrix == matrix.max(dim=1).values[:, None])[1]
            matches[columns] = every[columns]
        found = both(grid, truths, MatchRule.torchvision(0.5, 0.4, low_quality), size=size)
        np.testing.assert_array_equal(
            np.where(found.labels == 1, found.truths, np.minimum(found.labels, 0) - 1), matches
        )
        np.testing.assert_array_equal(found.values, values)


def test_ssd_and_tf_settle_collisions_from_either_end() -> None:
    anchors, truths = [[0, 0, 10, 10], [50, 50, 60, 60]], [[0, 0, 8, 8], [0, 0, 9, 9], [80, 80, 90, 90]]
    assert match(anchors, truths, rule="ssd").truths.tolist() == [2, -1]
    assert match(anchors, truths, rule="tf").truths.tolist() == [0, -1]
    assert match(anchors, truths[:2], rule="ssd").truths.tolist() == [1, -1]
