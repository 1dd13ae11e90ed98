"""Rotated boxes matched as by the rules on the whole matrix, and grids of anchors as the boxes that they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.paths import WITHOUT_JIT
from support.rules import Answer, both, check, crowd, decide, small
from support.turned import drawn

import fastbox
from fastbox import Boxes, MatchRule, RotatedBoxes
from fastbox.assign.match import match

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

# Kernels that would compile for long, bound as those of rectangles are; as Python they give the same bits.
interpreted = pytest.mark.skipif(not WITHOUT_JIT, reason="needs NUMBA_DISABLE_JIT=1")

Array = Any
ANCHORS = 40 if WITHOUT_JIT else 300
GRIDDED = (40, 30) if WITHOUT_JIT else (150, 90)
RULES = {
    "fastbox": MatchRule.fastbox(),
    "fastbox, high": MatchRule.fastbox(0.9, 0.9, ignore_iof=0.25),
    "torchvision": MatchRule.torchvision(),
    "mmdet": MatchRule.mmdet(ignore_iof_thr=0.3, ignore_wrt_candidates=False),
    "mmdet, RPN": MatchRule.mmdet(0.7, 0.3, 0.3),
    "ssd": MatchRule.ssd(),
    "tf": MatchRule.tf(0.5, 0.3),
}


def scattered(n: int, seed: int, around: float = 40, dtype: Any = np.float64) -> RotatedBoxes:
    """Rectangles at any angle, of which some are invalid, some have no area, and some lie twice."""
    found = drawn(np.random.default_rng(seed), n, 6, 60, around)
    found[7::13, 2], found[5::17, 3], found[9::19, 3] = np.nan, 0, -1
    found[n // 2 : n // 2 + 2] = found[:2]
    return RotatedBoxes(found.astype(dtype), "cxcywhr")


def upright(dtype: Any) -> Boxes:
    """Plain boxes in the place of the rectangles."""
    return Boxes((crowd(ANCHORS, (80, 80), np.float64, 4, 30) - 40).astype(dtype))


def expected(rule: MatchRule, anchors: Any, truths: Any, ignore: Any = None) -> Answer:
    """The rule on the matrix of `pairwise`, which tests/ops compares with exact values."""
    matrix, out = fastbox.pairwise(truths, anchors), anchors.invalid() != 0
    if rule.ignore_iof is not None and ignore is not None:
        by_anchor = rule.ignore_by == "anchor"
        share = fastbox.pairwise(*((anchors, ignore) if by_anchor else (ignore, anchors)), metric="iof")
        share = np.nan_to_num(share if by_anchor else share.T, nan=-1)
        out |= (share > np.asarray(rule.ignore_iof, share.dtype)).any(axis=1)
    return decide(rule, np.where(np.isnan(matrix), -np.inf, matrix), out)


@pytest.mark.parametrize("name", RULES)
def test_rectangles_match_as_the_matrix_does(name: str) -> None:
    rule, truths = RULES[name], scattered(14, 2)
    for anchors in (scattered(ANCHORS, 1), upright(np.float64)):
        _compare(rule, anchors, truths)


def _compare(rule: MatchRule, anchors: Any, truths: RotatedBoxes) -> None:
    ignore = scattered(3, 3) if rule.ignore_iof is not None else None
    found = both(anchors, truths, rule, ignore=ignore)
    check(found, expected(rule, anchors, truths, ignore))
    assert (found.labels == 1).any()
    best = fastbox.best(truths, anchors).values
    if ignore is None:
        np.testing.assert_array_equal(found.best, best)


@interpreted
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["fastbox", "mmdet"])
def test_quadrilaterals_plain_boxes_and_rectangles_match_one_another(name: str, dtype: Any) -> None:
    rule, truths, turned = RULES[name], scattered(14, 2, dtype=dtype), scattered(ANCHORS, 1, dtype=dtype)
    quads, plain = RotatedBoxes(turned.corners(), "xyxyxyxy"), upright(dtype)
    for anchors, others, ignore in ((quads, truths, plain[:2]), (plain, quads[:9], turned[:2])):
        found = both(anchors, others, rule, ignore=ignore)
        check(found, expected(rule, anchors, others, ignore))
        assert found.values.dtype == dtype
        assert (found.labels == 1).any()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["fastbox", "mmdet"])
def test_a_grid_matches_turned_truths_as_its_boxes_do(rule: str) -> None:
    grid, size, truths = small(np.float64), GRIDDED, scattered(12, 5, 70)
    ours, boxes = both(grid, truths, rule, size=size), match(grid.boxes(size), truths, rule=rule)
    for one, other in zip(ours, boxes, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (ours.labels == 1).any()


@interpreted
@pytest.mark.parametrize("name", ["fastbox", "mmdet"])
def test_a_grid_matches_quadrilaterals_as_the_matrix_does(name: str) -> None:
    grid, size, dtype = small(), GRIDDED, np.dtype(np.float32)
    truths = RotatedBoxes(scattered(12, 5, 70, dtype).corners(), "xyxyxyxy")
    found = both(grid, truths, RULES[name], size=size)
    check(found, expected(RULES[name], Boxes(grid.boxes(size)), truths))
    assert found.values.dtype == dtype
    assert (found.labels == 1).any()


def test_images_are_matched_one_by_one_with_any_number_of_threads(threads: Any) -> None:
    n, images = (30, 4) if WITHOUT_JIT else (90, 12)
    rng = np.random.default_rng(6)
    truths, anchors = scattered(n, 6), scattered(5 * n, 7)
    truths = RotatedBoxes.of(truths.columns, truths.format, *_grouped(rng, n, images))
    anchors = RotatedBoxes.of(anchors.columns, anchors.format, *_grouped(rng, 5 * n, images))
    answers = []
    for count in (1, 3):
        threads(count)
        answers.append([both(given, truths, "fastbox") for given in (anchors, anchors[:50])])
    for one, other in zip(*answers, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    for k, (own, part) in enumerate(zip(anchors, truths, strict=True)):
        for found, given in zip(answers[0], (own, anchors[:50]), strict=True):
            rows, alone = slice(found.offsets[k], found.offsets[k + 1]), match(given, part)
            np.testing.assert_array_equal(found.labels[rows], alone.labels)
            np.testing.assert_array_equal(found.values[rows], alone.values)
            first = truths.offsets[k]
            np.testing.assert_array_equal(found.truths[rows], np.where(alone.truths < 0, -1, alone.truths + first))


def _grouped(rng: np.random.Generator, n: int, images: int) -> tuple[Array, Array]:
    cuts = np.sort(rng.integers(0, n + 1, images - 1))
    return np.concatenate(([0], cuts, [n])), np.arange(images)


def atss(anchors: RotatedBoxes, truths: RotatedBoxes, levels: tuple[int, ...], topk: int) -> Array:
    """The truth of each anchor by ATSS, as a loop."""
    matrix, held = fastbox.pairwise(truths, anchors), np.full(len(anchors), -np.inf)
    owned = np.full(len(anchors), -1)
    centres = np.stack(anchors.columns[:2], axis=1)
    usable = anchors.invalid() == 0
    for g in np.flatnonzero(truths.invalid() == 0):
        x, y, w, h, angle = (column[g] for column in truths.columns)
        far = ((centres - [x, y]) ** 2).sum(axis=1)
        near: list[int] = []
        for first, last in zip(np.cumsum((0, *levels))[:-1], np.cumsum(levels), strict=True):
            rows = np.flatnonzero(usable[first:last]) + first
            near += rows[np.argsort(far[rows], kind="stable")[:topk]].tolist()
        values = matrix[g, near]
        least = values.mean() + values.std(ddof=1)
        for a, v in zip(near, values, strict=True):
            dx, dy = centres[a] - [x, y]
            across, along = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
            if v >= least and w / 2 - abs(across) > 0.01 and h / 2 - abs(along) > 0.01 and v > held[a]:
                held[a], owned[a] = v, g
    return owned


@pytest.mark.slow
def test_atss_ranks_by_centres_and_takes_those_inside_the_turned_truth() -> None:
    anchors, truths = scattered(ANCHORS, 8), scattered(12, 9)
    levels = (ANCHORS - 12, 12)
    found = both(anchors, truths, MatchRule.atss(topk=5, levels=levels))
    owned = atss(anchors, truths, levels, 5)
    np.testing.assert_array_equal(found.truths, owned)
    np.testing.assert_array_equal(found.labels == 1, owned >= 0)
    assert (owned >= 0).sum() > 5


@interpreted
def test_atss_of_a_grid_is_that_of_its_boxes() -> None:
    grid, truths = small(np.float64), scattered(12, 5, 70)
    boxes = both(grid.boxes(GRIDDED), truths, MatchRule.atss(levels=grid.counts(GRIDDED)))
    for one, other in zip(both(grid, truths, "atss", size=GRIDDED), boxes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_is_said() -> None:
    quads = RotatedBoxes([[0, 0, 1, 0, 1, 1, 0, 1]], "xyxyxyxy")
    with pytest.raises(ValueError, match=r"expected rectangles for a rule of ATSS.*\.rectangles\(\)"):
        match(quads, quads, rule=MatchRule.atss(levels=[1]))
    with pytest.raises(TypeError, match="expected plain boxes"):
        match(fastbox.PointGrid(strides=[8]), quads, rule="fcos", size=(8, 8))
    one, empty = RotatedBoxes([[0, 0, 1, 1, 1]], "cxcywhr"), RotatedBoxes(np.empty((0, 5)), "cxcywhr")
    assert match(empty, empty).labels.tolist() == []
    assert match(one, empty, rule="mmdet").labels.tolist() == [0]
    assert match(empty, one).best.tolist() == [0]
