"""Optimal matches against all permutations and DETR's matcher in torch."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from typing import Any

import numpy as np
import pytest
from support.matching import random_boxes

import fastbox
from fastbox import Boxes
from fastbox.assign.optimal import match_optimal

NAN = float("nan")

needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="SciPy is an extra")


def formula(
    a: np.ndarray,
    b: np.ndarray,
    probabilities: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    size: tuple[float, float] = (1, 1),
    weights: tuple[float, float, float] = (1, 5, 2),
) -> np.ndarray:
    """DETR's cost, pair by pair in float64."""
    costs = np.empty((len(a), len(b)))
    for i, j in np.ndindex(costs.shape):
        p, q = a[i], b[j]
        inter = (np.minimum(p[2:], q[2:]) - np.maximum(p[:2], q[:2])).clip(0).prod()
        hull = (np.maximum(p[2:], q[2:]) - np.minimum(p[:2], q[:2])).prod()
        union = (p[2:] - p[:2]).prod() + (q[2:] - q[:2]).prod() - inter
        giou = inter / union - (hull - union) / hull
        centre = np.abs((p[:2] + p[2:]) / 2 - (q[:2] + q[2:]) / 2) / size
        side = np.abs((p[2:] - p[:2]) - (q[2:] - q[:2])) / size
        likely = 0 if probabilities is None else probabilities[i, classes[j]]
        costs[i, j] = -weights[0] * likely + weights[1] * (centre.sum() + side.sum()) - weights[2] * giou
    return costs


def cheapest(costs: np.ndarray) -> float:
    """The total of the best of all assignments."""
    if costs.shape[0] < costs.shape[1]:
        costs = costs.T
    n, m = costs.shape
    return min(sum(costs[rows[j], j] for j in range(m)) for rows in itertools.permutations(range(n), m))


@needs_scipy
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6)])
def test_optimal_is_the_best_of_all_permutations(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    a, b = random_boxes(shape[0], rng), random_boxes(shape[1], rng)
    likely, classes = rng.random((shape[0], 7)), rng.integers(0, 7, shape[1])
    for size, weights in (((1, 1), (1, 5, 2)), ((48, 32), (2, 5, 2)), ((48, 48), (9, 0, 0))):
        costs = formula(a, b, likely, classes, size, weights)
        names = dict(zip(("cost_class", "cost_l1", "cost_giou"), weights, strict=True))
        got = match_optimal(a, b, probabilities=likely, truth_classes=classes, size=size, **names)
        np.testing.assert_allclose(got.costs, costs[got.rows, got.cols], rtol=1e-12)
        assert got.costs.sum() == pytest.approx(cheapest(costs), rel=1e-12)
        assert len(set(got.rows)) == len(set(got.cols)) == len(got.rows) == min(shape)
        assert list(got.rows) == sorted(got.rows)


@needs_scipy
def test_optimal_is_detrs_matcher_in_torch() -> None:
    torch = pytest.importorskip("torch")
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    counts = [(20, 4), (20, 0), (20, 25)]
    boxes_a = [rng.uniform(0.2, 0.4, (n, 4)).astype(np.float32) for n, _ in counts]
    boxes_b = [rng.uniform(0.2, 0.4, (m, 4)).astype(np.float32) for _, m in counts]
    likely = [rng.random((n, 5)).astype(np.float32) for n, _ in counts]
    classes = [rng.integers(0, 5, m) for _, m in counts]
    rows, cols, base_a, base_b = [], [], 0, 0
    for a, b, p, k in zip(boxes_a, boxes_b, likely, classes, strict=True):
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        corners = [np.concatenate([x[:, :2] - x[:, 2:] / 2, x[:, :2] + x[:, 2:] / 2], axis=1) for x in (a, b)]
        giou = torch.from_numpy(np.asarray(fastbox.pairwise(*corners, metric="giou")))
        cost = 5 * torch.cdist(ta, tb, p=1) - torch.from_numpy(p)[:, k] - 2 * giou
        met, matched = optimize.linear_sum_assignment(cost)
        rows, cols = [*rows, *(met + base_a)], [*cols, *(matched + base_b)]
        base_a, base_b = base_a + len(a), base_b + len(b)
    offsets = [np.cumsum([0, *side]) for side in zip(*counts, strict=True)]
    got = match_optimal(
        Boxes(np.concatenate(boxes_a), "cxcywh", offsets=offsets[0]),
        Boxes(np.concatenate(boxes_b), "cxcywh", offsets=offsets[1]),
        probabilities=np.concatenate(likely),
        truth_classes=np.concatenate(classes),
    )
    np.testing.assert_array_equal(got.rows, rows)
    np.testing.assert_array_equal(got.cols, cols)


@needs_scipy
def test_invalid_boxes_are_left_out() -> None:
    rng = np.random.default_rng(0)
    a, b = random_boxes(6, rng), random_boxes(5, rng)
    kept_a, kept_b = np.array([0, 2, 3, 5]), np.array([1, 2, 4])
    whole = match_optimal(a[kept_a], b[kept_b])
    a[1, 0], a[4], b[0, 3], b[3] = NAN, [9, 9, 1, 10], np.inf, [5, 5, 5, 4]
    got = match_optimal(a, b)
    np.testing.assert_array_equal(got.rows, kept_a[whole.rows])
    np.testing.assert_array_equal(got.cols, kept_b[whole.cols])
    np.testing.assert_array_equal(got.costs, whole.costs)
    assert len(match_optimal(a[[1, 4]], b).rows) == 0


@needs_scipy
def test_a_class_of_nan_is_matched_by_no_one() -> None:
    boxes = [[0, 0, 4, 4], [8, 8, 9, 9]]
    got = match_optimal(boxes, boxes, probabilities=[[NAN, 0.5], [0.5, 0.5]], truth_classes=[0, 1])
    assert list(zip(got.rows, got.cols, strict=True)) == [(0, 1), (1, 0)]
    got = match_optimal(boxes, boxes, probabilities=[[NAN, 0.5], [NAN, 0.5]], truth_classes=[0, 1])
    assert list(zip(got.rows, got.cols, strict=True)) == [(1, 1)]


@needs_scipy
def test_each_image_has_its_size() -> None:
    rng = np.random.default_rng(0)
    a, b = random_boxes(8, rng), random_boxes(8, rng)
    images = [1, 1, 1, 1, 5, 5, 5, 5]
    got = match_optimal(Boxes(a, images=images), Boxes(b, images=images), size=([64, 16], [32, 48]))
    for first, size in ((0, (64, 32)), (4, (16, 48))):
        here = slice(first, first + 4)
        alone = match_optimal(a[here], b[here], size=size)
        np.testing.assert_array_equal(got.cols[here], alone.cols + first)
        np.testing.assert_array_equal(got.costs[here], alone.costs)


@needs_scipy
def test_equal_costs_give_one_answer() -> None:
    boxes = [[0, 0, 2, 2]] * 3
    got = match_optimal(boxes, boxes)
    assert sorted(got.cols) == [0, 1, 2]
    np.testing.assert_array_equal(got.costs, [-2.0] * 3)
    np.testing.assert_array_equal(match_optimal(boxes, boxes).cols, got.cols)


@needs_scipy
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"probabilities": [[1.0]]}, "got probabilities and no truth_classes"),
        ({"truth_classes": [0]}, "got truth_classes and no probabilities"),
        ({"probabilities": [1.0], "truth_classes": [0]}, r"probabilities of shape \(1, classes\), got \(1,\)"),
        ({"probabilities": [[1.0]], "truth_classes": [3]}, "truth_classes from 0 to 0, got 3 at row 0"),
        ({"probabilities": [[1.0]], "truth_classes": [0, 0]}, r"truth_classes of shape \(1,\)"),
        ({"size": (0, 1)}, "above 0"),
        ({"size": ([1, 2], 1)}, r"arrays of shape \(1,\)"),
        ({"cost_l1": NAN}, "finite cost_l1, got nan"),
    ],
)
def test_optimal_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        match_optimal([[0, 0, 1, 1]], [[0, 0, 1, 1]], **options)


@needs_scipy
def test_classes_are_integers() -> None:
    with pytest.raises(TypeError, match="truth_classes of integers"):
        match_optimal([[0, 0, 1, 1]], [[0, 0, 1, 1]], probabilities=[[1.0]], truth_classes=["a"])


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"expected SciPy for match_optimal, got none: .*fastbox-engine\[optimize\]"):
        match_optimal([], [])


@needs_scipy
@pytest.mark.parametrize(("repeat", "groups"), [(1, 1), (3, 1), (1, 4), (2, 4), (9, 1)])
@pytest.mark.parametrize("shape", [(12, 3), (8, 0), (0, 2), (4, 5)])
def test_copies_of_truths_and_groups_of_detections_are_solved_as_such(
    shape: tuple[int, int], repeat: int, groups: int
) -> None:
    """H-DETR repeats the truths, and Group-DETR cuts the queries: each slice is solved with naive copies."""
    solve = pytest.importorskip("scipy.optimize").linear_sum_assignment
    rng = np.random.default_rng(repeat)
    a, b = random_boxes(shape[0], rng), random_boxes(shape[1], rng)
    likely, classes = rng.random((shape[0], 3)), rng.integers(0, 3, shape[1])
    found = match_optimal(a, b, probabilities=likely, truth_classes=classes, repeat=repeat, groups=groups)
    costs, step = formula(a, b, likely, classes), shape[0] // groups
    rows, total = [], 0.0
    for group in range(groups):
        mine = costs[group * step : (group + 1) * step]
        met, copies = solve(np.concatenate([mine] * repeat, axis=1))
        rows += (met + group * step).tolist()
        total += mine[met, copies % max(shape[1], 1)].sum()
        inside = found.rows // max(step, 1) == group
        assert np.bincount(found.cols[inside], minlength=1).max(initial=0) <= repeat
    assert len(found.rows) == groups * min(step, repeat * shape[1]) == len(set(found.rows.tolist()))
    assert found.rows.tolist() == sorted(found.rows.tolist()) and len(rows) == len(found.rows)
    np.testing.assert_allclose(found.costs, costs[found.rows, found.cols], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.costs.sum(), total, rtol=1e-9)


@needs_scipy
def test_images_repeat_their_truths_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    counts, repeats = [(9, 2), (9, 4), (9, 0)], [4, 2, 1]  # DDQ: min(4, detections // truths)
    images = [(random_boxes(n, rng), random_boxes(m, rng)) for n, m in counts]
    alone = [match_optimal(*pair, repeat=k) for pair, k in zip(images, repeats, strict=True)]
    offsets = [np.concatenate([[0], np.cumsum(side)]) for side in zip(*counts, strict=True)]
    sides = [
        Boxes(np.concatenate(boxes), offsets=at) for boxes, at in zip(zip(*images, strict=True), offsets, strict=True)
    ]
    found = match_optimal(*sides, repeat=repeats)
    for field, shift in (("rows", offsets[0]), ("cols", offsets[1])):
        parts = [getattr(one, field) + at for one, at in zip(alone, shift, strict=False)]
        assert getattr(found, field).tolist() == np.concatenate(parts).tolist()


@needs_scipy
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeat": 0}, "expected repeat as a whole number of at least 1, or one for each of 1 images, got 0"),
        ({"repeat": 1.5}, "expected repeat as a whole number"),
        ({"repeat": [1, 2]}, "expected repeat as a whole number"),
        ({"groups": 0}, "expected groups"),
        ({"groups": 3}, "expected detections in 3 groups of one length, got 4: give all queries"),
    ],
)
def test_wrong_copies_and_groups_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        match_optimal(np.ones((4, 4)), np.ones((1, 4)), **options)
