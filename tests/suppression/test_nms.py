"""Non-maximum suppression gives what the plain loop over all pairs gives, in one cell or in a grid, for any layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import EXTREME, some_boxes
from support.crowds import crowd, naive_nms, naive_soft, scored
from support.paths import WITHOUT_JIT

import fastbox
from fastbox.kernels.suppress.tree import NEAR, WIDTH, nearby
from fastbox.suppression.arranged import arranged
from fastbox.suppression.nms import nms, soft_nms

N = 600 if not WITHOUT_JIT else 120


same_way = settings(suppress_health_check=list(HealthCheck))  # one way for all examples of a test is what is meant


thresholds = st.sampled_from([0.0, 1e-4, 0.1, 0.3, 0.5, 2 / 3, 0.9, 1.0])


LAYOUTS = (
    "uniform", "all equal", "all at one point", "lognormal", "giants among the tiny", "one row", "beams",
    "one far away", "two places", "far from the origin", "many sizes", "wild", "a chain",
)  # fmt: skip


@same_way
@given(scored(), thresholds)
def test_boxes_kept_are_those_of_the_plain_loop(way: str, drawn: Any, threshold: float) -> None:
    boxes, scores = drawn
    found = nms(boxes, scores, iou_threshold=threshold)
    assert found.dtype == np.int64
    assert found.tolist() == naive_nms(boxes, scores, threshold)


@same_way
@given(scored((*EXTREME, "grid")), thresholds)
def test_sizes_near_the_ends_of_the_floats(way: str, drawn: Any, threshold: float) -> None:
    boxes, scores = drawn
    assert nms(boxes, scores, iou_threshold=threshold).tolist() == naive_nms(boxes, scores, threshold)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_what_the_plain_loop_gives(way: str, layout: str, dtype: Any) -> None:
    boxes = crowd(layout, N).astype(dtype)
    rng = np.random.default_rng(1)
    scores = {"a chain": np.arange(N) / N}.get(layout, np.round(rng.random(N), 2))
    for threshold in (0.0, 0.45, 0.8):
        assert nms(boxes, scores, iou_threshold=threshold).tolist() == naive_nms(boxes, scores, threshold)


@pytest.mark.parametrize("descending", [False, True])
def test_a_chain_in_either_direction_keeps_every_second(descending: bool) -> None:
    n = 100_001 if not WITHOUT_JIT else 101
    low = np.arange(n, dtype=np.float64)
    boxes = np.stack([low, 0 * low, low + 3, 0 * low + 1], axis=1)
    scores = -low if descending else low
    kept = nms(boxes, scores, iou_threshold=0.4)
    expected = np.arange(0, n, 2)
    np.testing.assert_array_equal(kept, expected if descending else expected[::-1])


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_of_large_layouts_stay_where_no_better_box_suppresses_them(layout: str) -> None:
    n = 12_000
    boxes, scores = crowd(layout, n), np.random.default_rng(2).random(n)
    kept = nms(boxes, scores, iou_threshold=0.5)
    place = np.argsort(np.argsort(-scores, kind="stable"))
    assert np.all(np.diff(place[kept]) > 0)
    box, other, values = fastbox.pairs(boxes, boxes[kept], threshold=0.5)
    above = (values > 0.5) & (place[kept[other]] < place[box])
    suppressed = np.zeros(n, bool)
    suppressed[box[above]] = True
    np.testing.assert_array_equal(np.sort(kept), np.flatnonzero(~suppressed))


def test_a_peer_agrees() -> None:
    powerboxes = pytest.importorskip("powerboxes")
    boxes, scores = some_boxes(N, np.float64, 7, exact=False), np.random.default_rng(7).random(N)
    for threshold in (0.2, 0.5, 0.7):
        expected = powerboxes.nms(boxes, scores, threshold, 0.0)
        np.testing.assert_array_equal(nms(boxes, scores, iou_threshold=threshold), expected)


def test_strictly_above_the_threshold_in_the_boxes_dtype() -> None:
    boxes = np.array([[0, 0, 3, 1], [0, 0, 1, 1]], np.float32)  # IoU 1/3, which float32 rounds up
    assert nms(boxes, [1, 0.5], iou_threshold=1 / 3).tolist() == [0]
    assert nms(boxes, [1, 0.5], iou_threshold=float(np.float32(1 / 3))).tolist() == [0, 1]
    assert nms(boxes.astype(np.float64), [1, 0.5], iou_threshold=1 / 3).tolist() == [0, 1]
    assert nms(boxes, [0.5, 0.5], iou_threshold=0.3).tolist() == [0]
    assert nms(boxes, [-0.0, 0.0], iou_threshold=0.3).tolist() == [0]
    assert nms(boxes[[0, 0]], [1, 1], iou_threshold=1.0).tolist() == [0, 1]


@given(scored(("odd", "tiny", "huge")), st.integers(0, 90))
def test_the_threshold_is_not_rounded(drawn: Any, which: int) -> None:
    boxes, scores = drawn
    boxes = boxes.astype(np.float32)
    met = reference.pairwise(boxes, boxes).ravel()
    met = met[(met > 0) & (met < 1)]
    if not len(met):
        return
    value = met[which % len(met)]  # an IoU that is met, which three thresholds stand about
    halfway = (float(value) + float(np.nextafter(value, np.float32(0)))) / 2
    for threshold in (float(value), halfway, (float(value) + float(np.nextafter(value, np.float32(1)))) / 2):
        kept = naive_nms(boxes, scores, threshold)
        assert nms(boxes, scores, iou_threshold=threshold).tolist() == kept
        soft = naive_soft(boxes, scores, False, threshold, 0.5, 0.01)
        found = soft_nms(boxes, scores, iou_threshold=threshold, score_threshold=0.01)
        assert found.indices.tolist() == soft[0]
        np.testing.assert_allclose(found.scores, soft[1], rtol=1e-6)


def test_three_tenths_in_float32_is_above_three_tenths() -> None:
    boxes = np.array([[0, 0, 10, 1], [0, 0, 3, 1]], np.float32)
    assert fastbox.pairwise(boxes, boxes)[0, 1] == np.float32(0.3)
    assert nms(boxes, [1, 0.5], iou_threshold=0.3).tolist() == [0]
    assert soft_nms(boxes, [1.0, 0.5], iou_threshold=0.3).scores[1] == pytest.approx(0.35)
    assert nms(boxes, [1, 0.5], iou_threshold=float(np.float32(0.3))).tolist() == [0, 1]
    assert nms(boxes.astype(np.float64), [1, 0.5], iou_threshold=0.3).tolist() == [0, 1]


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_an_infinite_score_that_is_lowered_to_nothing_ends_nothing(way: str, method: str) -> None:
    boxes, scores = [[0, 0, 4, 4], [0, 0, 4, 4], [8, 8, 9, 9]], [math.inf, math.inf, 0.5]
    found = soft_nms(boxes, scores, method=method, sigma=1e-4)
    assert found.indices.tolist() == [0, 2]
    assert found.scores.tolist() == [math.inf, 0.5]


def test_invalid_boxes_and_nan_scores_neither_stay_nor_suppress() -> None:
    nan, inf = math.nan, math.inf
    boxes = [[0, 0, nan, 4], [4, 4, 0, 0], [0, 0, inf, 4], [0, 0, 4, 4], [0, 0, 4, 4], [2, 2, 2, 2], [0, 0, 4, 4]]
    assert nms(boxes, [9, 8, 7, nan, 0.5, 0.2, 0.1], iou_threshold=0.5).tolist() == [4, 5]
    assert soft_nms(boxes, [9, 8, 7, nan, 0.5, 0.2, 0.1], iou_threshold=0.5).indices.tolist() == [4, 5]


@same_way
@given(scored(max_size=10), st.booleans(), st.sampled_from([0.0, 0.3, 0.6]), st.sampled_from([0.1, 0.5, 3.0]))
def test_soft_scores_are_those_of_the_plain_loop(
    way: str, drawn: Any, gaussian: bool, threshold: float, sigma: float
) -> None:
    boxes, scores = drawn
    method = "gaussian" if gaussian else "linear"
    found = soft_nms(boxes, scores, method=method, iou_threshold=threshold, sigma=sigma, score_threshold=0.01)
    rows, left = naive_soft(boxes, scores, gaussian, threshold, sigma, 0.01)
    assert found.scores.dtype == scores.dtype
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_scores_of_a_crowd(way: str, method: str) -> None:
    n = 200 if not WITHOUT_JIT else 50
    boxes, scores = some_boxes(n, np.float64, 3, exact=False), np.random.default_rng(3).random(n)
    found = soft_nms(boxes, scores, method=method, iou_threshold=0.3)
    rows, left = naive_soft(boxes, scores, method == "gaussian", 0.3, 0.5, 0.001)
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-10)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["one far away", "two places", "many sizes", "beams", "lognormal"])
def test_no_box_is_met_twice_in_a_folded_grid(way: str, layout: str) -> None:
    n = 200 if not WITHOUT_JIT else 50
    boxes, scores = crowd(layout, n, 6), np.random.default_rng(6).random(n)
    found = soft_nms(boxes, scores, iou_threshold=0.0)
    rows, left = naive_soft(boxes, scores, False, 0.0, 0.5, 0.001)
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-10)


@pytest.mark.jit
def test_leaves_of_the_tree_are_small_in_clusters_far_apart_and_apart_by_shape() -> None:
    n, rng = 2_000, np.random.default_rng(8)

    def leaves(corners: Any) -> Any:
        boxes, left = fastbox.Boxes(corners), np.zeros(n)
        _, tree = arranged(boxes).tree(np.ones(n), np.arange(n), 0.5, left)
        return tree[1][:, : n // 16]

    low = rng.uniform(0, 200, (n, 2)) + 1e7 * rng.integers(0, 2, (n, 1))
    x0, y0, x1, y1, *_ = leaves(np.concatenate([low, low + 2], axis=1))
    assert np.quantile((x1 - x0) * (y1 - y0), 0.9) < 0.1 * 200 * 200
    wide, thin, place = rng.random((n, 1)) < 0.5, np.array([5e3, 1.0]), rng.uniform(-5e3, 5e3, n)
    centre = np.where(wide, np.stack([0 * place, place], axis=1), np.stack([place, 0 * place], axis=1))
    half = np.where(wide, thin, thin[::-1])
    *_, least, most = leaves(np.concatenate([centre - half, centre + half], axis=1))
    assert (most > 2 * least).sum() <= 1  # only the leaf between both shapes has boxes of both


@pytest.mark.jit
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_near_a_leaf_are_the_leaves_with_boxes_that_its_boxes_may_reach(threshold: float) -> None:
    n, rng, counts = 1_600, np.random.default_rng(9), set()
    for side in (0.5, 4.0, 12.0, 20.0, 40.0):
        low = rng.uniform(0, 100, (n, 2))
        boxes = fastbox.Boxes(np.concatenate([low, low + side * rng.uniform(0.2, 2.0, (n, 2))], axis=1))
        _, tree = arranged(boxes).tree(np.ones(n), np.arange(n), threshold, np.zeros(n))
        bounds, share = tree[1][:, : n // WIDTH], tree[4]
        x0, y0, x1, y1, least, most = bounds
        for leaf in range(n // WIDTH):
            own = bounds[:, leaf]
            wanted = (x0 < own[2]) & (x1 > own[0]) & (y0 < own[3]) & (y1 > own[1])
            wanted &= (least * share <= own[5]) & (own[4] * share <= most)
            with np.errstate(invalid="ignore"):  # no share of the sides of nodes without boxes
                few = nearby(tree, leaf, np.empty((6, NEAR)), np.full(NEAR, n))
            count = int(wanted.sum())
            counts.add((count >= WIDTH) + (count >= NEAR))
            if count >= NEAR:
                assert few is tree
                continue
            nodes = [k for k in range(NEAR) if few[2][k] < 0 and few[1][0, k] < np.inf]
            assert {-1 - few[2][k] for k in nodes} == {int(start) for start in WIDTH * np.flatnonzero(wanted)}
            np.testing.assert_array_equal(few[1][:, nodes], bounds[:, [(-1 - few[2][k]) // WIDTH for k in nodes]])
            leads = few[1][0, WIDTH - 1] == -np.inf
            assert leads == (count >= WIDTH) and (not leads or few[2][WIDTH - 1] == WIDTH)
    assert counts == {0, 1, 2}
