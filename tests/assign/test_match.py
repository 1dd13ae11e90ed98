"""Matching without the matrix against each rule written out on the whole matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import corners
from support.paths import WITHOUT_JIT
from support.rules import Answer, both, check, crowd, decide, grid_and_truths, overlaps, retina, small

import fastbox
from fastbox import Boxes
from fastbox.assign.match import match
from fastbox.assign.registry import as_rule
from fastbox.assign.rule import MatchRule
from fastbox.kernels.assign.blocks import PART
from fastbox.kernels.assign.lanes import MOST

Array = Any


def oracle(rule: MatchRule, anchors: Array, truths: Array, ignore: Array | None = None) -> Answer:
    out = Boxes(anchors).invalid() != 0
    bare = rule.negative_without_truths and len(truths) == 0
    if rule.ignore_iof is not None and ignore is not None and not bare:
        share = overlaps(anchors, ignore, {"anchor": "anchor", "region": "truth"}[rule.ignore_by])
        out |= (share > np.asarray(rule.ignore_iof, share.dtype)).any(axis=0)
    return decide(rule, overlaps(anchors, truths), out)


VARIANTS = {
    "fastbox": MatchRule.fastbox(),
    "fastbox, high": MatchRule.fastbox(0.9, 0.9, ignore_iof=0.25),
    "torchvision": MatchRule.torchvision(0.7, 0.3),
    "torchvision, plain": MatchRule.torchvision(0.5, 0.5, False),
    "detectron2": MatchRule.detectron2(),
    "detectron2, odd": MatchRule.detectron2([0.1, 0.3, 0.3, 0.6], [-1, 0, 1, -1, 1]),
    "mmdet": MatchRule.mmdet(0.5, 0.5),
    "mmdet, RPN": MatchRule.mmdet(0.7, 0.3, 0.3, ignore_iof_thr=0.5),
    "mmdet, first": MatchRule.mmdet(0.6, 0.4, 0.0, False, ignore_iof_thr=0.3, ignore_wrt_candidates=False),
    "mmdet, range": MatchRule.mmdet(0.5, (0.1, 0.5), match_low_quality=False, ignore_iof_thr=0.5),
    "tf": MatchRule.tf(0.5, 0.4),
    "tf, reversed": MatchRule.tf(0.5, 0.2, False),
    "keras-hub": MatchRule.keras_hub([0.4, 0.5], [-1, -2, 1], True),
    "ssd": MatchRule.ssd(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@given(anchors=corners(np.float64, max_size=20), truths=corners(np.float64, max_size=6), data=st.data())
def test_plain_boxes_match_as_the_matrix_does(name: str, anchors: Array, truths: Array, data: Any) -> None:
    rule = VARIANTS[name]
    ignore = data.draw(st.none() | corners(np.float64, max_size=3)) if rule.ignore_iof is not None else None
    check(both(anchors, truths, rule, ignore=ignore), oracle(rule, anchors, truths, ignore))


@pytest.mark.jit
@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_boxes_of_several_parts_match_as_the_matrix_does(name: str, far: bool) -> None:
    rng, rule = np.random.default_rng(3), VARIANTS[name]
    low = rng.integers(0, 2000, (3 * PART - 5, 2))
    anchors = np.hstack([low, low + rng.integers(5, 40, low.shape)]).astype(np.float32)
    anchors[2 * PART :] = anchors[: PART - 5]  # values that are equal in the first part and in the last one
    anchors[7::500, 0] = np.nan
    truths = np.concatenate([anchors[:1] + np.float32(1e6 * far), anchors[1::100], anchors[2::300] + np.float32(0.5)])
    truths[:30, 2:] += 12  # they hold their anchors, of which some reach no threshold
    ignore = anchors[5::900] if rule.ignore_iof is not None else None
    check(both(anchors, truths, rule, ignore=ignore), oracle(rule, anchors, truths, ignore))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 5, 64, 65, 700, MOST, MOST + 1])
@pytest.mark.parametrize("name", VARIANTS)
def test_boxes_that_meet_all_truths_at_once_match_as_the_matrix_does(name: str, n: int, dtype: Any) -> None:
    rng, rule = np.random.default_rng(n), VARIANTS[name]
    low = rng.integers(0, 300, (n, 2))
    anchors = np.hstack([low, low + rng.integers(5, 40, low.shape)]).astype(dtype)
    anchors[n // 2 :: 3] = anchors[: len(anchors[n // 2 :: 3])]  # values that are equal, in one block and in others
    anchors[7::50, 1] = np.nan
    truths = np.concatenate([anchors[::97] + dtype(3), anchors[1::150], anchors[:1] + dtype(20)])
    truths[::3, 2:] += 12
    check(both(anchors, truths, rule), oracle(rule, anchors, truths))
    apart, invalid = truths + dtype(1e4), np.insert(truths, 1, np.nan, axis=0)
    for others in (invalid, np.concatenate([truths, apart[:1], truths[:1]]), apart[:2], apart[:0]):
        check(both(anchors, others, rule), oracle(rule, anchors, others))


@pytest.mark.parametrize("held", [np.inf, np.nan, 0])
@pytest.mark.parametrize("name", VARIANTS)
def test_what_memory_held_before_makes_no_difference(name: str, held: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def used(shape: Any, dtype: Any) -> Array:
        return np.full(shape, held if np.issubdtype(dtype, np.floating) else 7, dtype)

    monkeypatch.setattr("fastbox.assign.assigners.iou_rule.empty", used)
    anchors, rule = crowd(50, (60, 50), np.float32, 1, 25), VARIANTS[name]
    for truths in (anchors[:1], anchors[::9] + np.float32(3), anchors[:1] + np.float32(1e4)):
        for _ in range(2):  # the second time in the work space of the first
            check(both(anchors, truths, rule), oracle(rule, anchors, truths))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_value_at_a_threshold_reaches_it(name: str) -> None:
    tall = np.arange(1, 11, dtype=np.float32)
    anchors = np.stack([0 * tall, 0 * tall, 0 * tall + 10, tall], axis=1)
    check(both(anchors, anchors[-1:], VARIANTS[name]), oracle(VARIANTS[name], anchors, anchors[-1:]))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_truth_claims_no_anchor_that_only_a_truth_before_it_meets(name: str) -> None:
    low = np.arange(64, dtype=np.float32)[:, None] % 8 * np.float32([[20, 0]])
    near = np.hstack([low, low + 16])
    anchors, truths = np.concatenate([near, near + 4096]), np.concatenate([near[:1] + 4099, near[:1] + 3])
    check(both(anchors, truths, VARIANTS[name]), oracle(VARIANTS[name], anchors, truths))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@given(case=grid_and_truths(), regions=st.booleans())
def test_a_grid_matches_as_the_matrix_does(name: str, case: Any, regions: bool) -> None:
    rule = VARIANTS[name]
    grid, size, anchors, truths = case
    ignore = truths[::2] * 2 if regions and rule.ignore_iof is not None else None
    check(both(grid, truths, rule, size=size, ignore=ignore), oracle(rule, anchors, truths, ignore))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_windows_are_the_whole_grid(name: str, dtype: Any) -> None:
    grid, rule = small(dtype), VARIANTS[name]
    for seed in range(75 if not WITHOUT_JIT else 2):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(8, 160)), int(rng.integers(8, 160))
        truths = crowd(int(rng.integers(0, 9)), size, dtype, seed, 25)
        ignore = crowd(2, size, dtype, seed + 1, 40) if rule.ignore_iof is not None and seed % 2 else None
        check(both(grid, truths, rule, size=size, ignore=ignore), oracle(rule, grid.boxes(size), truths, ignore))


ODD = {
    "tiny": [0, 0, 1e-13, 1e-13],
    "tinier": [0, 0, 1e-20, 1e-20],
    "vast": [0, 0, 1e19, 1e19],
    "nan": [np.nan, 5, 9, 9],
}


@pytest.mark.parametrize("claims", ["none", "ties"])
@pytest.mark.parametrize("odd", ODD)
def test_a_truth_of_any_size(odd: str, claims: Any) -> None:
    grid, size, rule = small(), (60, 50), MatchRule("any", thresholds=(1e-36, 0.3), labels=(0, -1, 1), claims=claims)
    truths = np.insert(crowd(4, size, np.float32, 1, 25), 2, np.array(ODD[odd], np.float32), axis=0)
    anchors = grid.boxes(size)
    values = fastbox.pairwise(truths, anchors)
    expected = decide(rule, np.where(np.isnan(values), -np.inf, values), np.zeros(len(anchors), bool))
    assert odd in ("tinier", "nan") or 0 < values[2].max() < 1e-20
    check(both(grid, truths, rule, size=size), expected)
    check(both(anchors, truths, rule), expected)


@pytest.mark.parametrize("by", ["anchor", "region"])
@pytest.mark.parametrize("odd", ODD)
def test_a_region_of_any_size(odd: str, by: Any) -> None:
    rule = MatchRule("any", thresholds=(0.3,), labels=(0, 1), ignore_iof=0.5, ignore_by=by)
    grid, size, region = small(), (60, 50), np.array([ODD[odd]], np.float32)
    truths, anchors = crowd(4, size, np.float32, 1, 25), grid.boxes(size)
    one, other = (anchors, region) if by == "anchor" else (region, anchors)
    out = fastbox.pairwise(one, other, metric="iof").ravel() > 0.5
    assert out.any() == ((odd, by) in {("vast", "anchor"), ("tiny", "region"), ("tinier", "region")})
    expected = decide(rule, fastbox.pairwise(truths, anchors), out)
    check(both(grid, truths, rule, size=size, ignore=region), expected)
    check(both(anchors, truths, rule, ignore=region), expected)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("around", [20, 80, 300])
@pytest.mark.parametrize("rule", ["fastbox", "mmdet", "ssd"])
def test_a_real_grid_is_its_boxes(rule: str, around: float) -> None:
    grid, size = retina(), (640, 427)
    truths, anchors = crowd(25, size, np.float32, 1, around), grid.boxes(size)
    expected = oracle(as_rule(rule), anchors, truths)
    check(both(grid, truths, rule, size=size), expected)
    check(both(anchors, truths, rule), expected)


@pytest.mark.jit
def test_the_real_grids_match_as_their_boxes_do() -> None:
    rng = np.random.default_rng(0)
    for name in ("retinanet", "rpn-c4", "yolov3", "ssd300"):
        grid = fastbox.AnchorGrid.preset(name)
        for _ in range(2 if WITHOUT_JIT else 25):
            width, height = (int(side) for side in rng.integers(20, 60 if WITHOUT_JIT else 400, 2))
            low = rng.uniform(-10, [width, height], (5, 2))
            truths = np.concatenate([low, low + rng.uniform(0, 150, (5, 2))], axis=1).astype(np.float32)
            boxes = grid.boxes((width, height))
            for rule in ("fastbox", "mmdet"):
                ours, plain = match(grid, truths, rule=rule, size=(width, height)), match(boxes, truths, rule=rule)
                for one, other in zip(ours, plain, strict=True):
                    np.testing.assert_array_equal(one, other)
