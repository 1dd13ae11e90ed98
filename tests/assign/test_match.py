"""Matching without the matrix against each rule written out on the whole matrix, and against the peers' own code."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import INVALID, VALID, corners
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes
from fastbox.assign.match import match
from fastbox.assign.registry import as_rule
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule

Array = Any

# A grid as the engine sees one: separable levels, anchors numbered row by row, shapes innermost.


class Level(NamedTuple):
    x0: Array
    y0: Array
    x1: Array
    y1: Array


class StandIn:
    """Anchors of some shapes on some strides, centred on the cells' corners, as RetinaNet lays them."""

    def __init__(self, strides: tuple[int, ...], shapes: list[list[tuple[float, float]]], dtype: Any) -> None:
        self.strides, self.shapes, self.dtype = strides, shapes, dtype

    def levels(self, size: tuple[int, int]) -> tuple[Level, ...]:
        found = []
        for stride, shapes in zip(self.strides, self.shapes, strict=True):
            half = np.array(shapes, self.dtype) / 2
            x, y = (np.arange(math.ceil(side / stride), dtype=self.dtype) * stride for side in size)
            w, h = half[:, :1], half[:, 1:]
            found.append(Level(x - w, y - h, x + w, y + h))
        return tuple(found)

    def boxes(self, size: tuple[int, int]) -> Array:
        parts = [np.empty((0, 4), self.dtype)]
        for level in self.levels(size):
            shapes, rows, columns = len(level.x0), level.y0.shape[1], level.x0.shape[1]
            whole = np.empty((rows, columns, shapes, 4), self.dtype)
            whole[..., 0], whole[..., 2] = level.x0.T, level.x1.T
            whole[..., 1], whole[..., 3] = level.y0.T[:, None], level.y1.T[:, None]
            parts.append(whole.reshape(-1, 4))
        return np.concatenate(parts)

    def counts(self, size: tuple[int, int]) -> list[int]:
        return [level.x0.size * level.y0.shape[1] for level in self.levels(size)]


def retina(dtype: Any = np.float32) -> StandIn:
    shapes = []
    for size in (32, 64, 128, 256, 512):
        scales = [size * 2 ** (k / 3) for k in range(3)]
        shapes.append([(s / r**0.5, s * r**0.5) for s in scales for r in (0.5, 1, 2)])
    return StandIn((8, 16, 32, 64, 128), shapes, dtype)


def small(dtype: Any = np.float32) -> StandIn:
    return StandIn((8, 20), [[(12, 12), (8, 20), (30.5, 11)], [(40, 40), (33, 70)]], dtype)


# The rules once more, on the whole matrix, in the words of each peer.


def overlaps(anchors: Array, truths: Array, over: str = "union") -> Array:
    """``(truths, anchors)``; -inf where one of the two is invalid."""
    a, t = np.asarray(anchors)[None], np.asarray(truths)[:, None]
    with np.errstate(all="ignore"):
        w = np.minimum(a[..., 2], t[..., 2]) - np.maximum(a[..., 0], t[..., 0])
        h = np.minimum(a[..., 3], t[..., 3]) - np.maximum(a[..., 1], t[..., 1])
        inter = np.maximum(w, 0) * np.maximum(h, 0)
        area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
        area_t = (t[..., 2] - t[..., 0]) * (t[..., 3] - t[..., 1])
        area = {"union": area_a + area_t - inter, "anchor": area_a + 0 * inter, "truth": area_t + 0 * inter}[over]
        found = np.where(area == 0, 0, inter / area).astype(inter.dtype)
    bad = (Boxes(anchors).invalid() != 0)[None] | (Boxes(truths).invalid() != 0)[:, None]
    return np.where(bad, -np.inf, found)


class Answer(NamedTuple):
    labels: Array
    truths: Array
    values: Array


def by_thresholds(matrix: Array, thresholds: Any, labels: Any) -> Answer:
    """Each anchor's best truth, and the label of its value."""
    if len(matrix) == 0:
        value, truth = np.zeros(matrix.shape[1], matrix.dtype), np.full(matrix.shape[1], -1)
    else:
        value, truth = matrix.max(axis=0), matrix.argmax(axis=0)
        truth[~(value > 0)] = -1
        value = np.maximum(value, 0)
    bounds = np.array(thresholds, matrix.dtype)
    return Answer(np.array(labels)[np.searchsorted(bounds, value, side="right")], truth, value)


def decide(rule: MatchRule, matrix: Array, out: Array) -> Answer:
    """Labels from the whole matrix, anchors that are `out` left out of it."""
    matrix = np.where(out[None], -np.inf, matrix)
    labels, truth, value = by_thresholds(matrix, rule.thresholds, rule.labels)
    labels = labels.astype(np.int8)
    if rule.negative_without_truths and len(matrix) == 0:
        labels[:] = 0
    own = np.where(matrix.max(axis=0, initial=-np.inf) >= 0, matrix.argmax(axis=0) if len(matrix) else -1, -1)
    claimed = np.zeros(len(out), bool)
    for g, row in enumerate(matrix):
        best = row.max(initial=-np.inf)
        if rule.claims == "none" or not best >= max(np.asarray(rule.min_claim, matrix.dtype), 0):
            continue
        if best == 0 and not rule.claims_at_zero:
            continue
        ties = np.flatnonzero(row == best)
        for a in ties if rule.claims == "ties" else ties[:1]:
            labels[a] = 1
            if rule.receiver == "own":
                truth[a] = own[a]
            elif rule.receiver == "last" or not claimed[a]:
                truth[a], value[a] = g, row[a]
            claimed[a] = True
    labels[out], truth[out], value[out] = -1, -1, 0
    return Answer(labels, truth, value)


def oracle(rule: MatchRule, anchors: Array, truths: Array, ignore: Array | None = None) -> Answer:
    out = Boxes(anchors).invalid() != 0
    bare = rule.negative_without_truths and len(truths) == 0
    if rule.ignore_iof is not None and ignore is not None and not bare:
        share = overlaps(anchors, ignore, {"anchor": "anchor", "region": "truth"}[rule.ignore_by])
        out |= (share > np.asarray(rule.ignore_iof, share.dtype)).any(axis=0)
    return decide(rule, overlaps(anchors, truths), out)


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


def check(found: Matches, expected: Answer) -> None:
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.truths, expected.truths)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.labels.dtype == np.int8
    assert found.truths.dtype == np.int64


def check_sparse(found: Matches, dense: Matches) -> None:
    """Sparse is dense without the negatives."""
    assert found.anchors is not None
    rows = np.flatnonzero(dense.labels != 0)
    images = np.searchsorted(dense.offsets, rows, side="right") - 1
    np.testing.assert_array_equal(found.anchors, rows - dense.offsets[images])
    np.testing.assert_array_equal(found.labels, dense.labels[rows])
    np.testing.assert_array_equal(found.truths, dense.truths[rows])
    np.testing.assert_array_equal(found.values, dense.values[rows])
    np.testing.assert_array_equal(found.offsets, np.searchsorted(rows, dense.offsets))


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


def both(anchors: Array, truths: Array, rule: MatchRule | str, **options: Any) -> Matches:
    dense = match(anchors, truths, rule=rule, **options)
    check_sparse(match(anchors, truths, rule=rule, sparse=True, **options), dense)
    return dense


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@given(anchors=corners(np.float64, max_size=20), truths=corners(np.float64, max_size=6), data=st.data())
def test_plain_boxes_match_as_the_matrix_does(name: str, anchors: Array, truths: Array, data: Any) -> None:
    rule = VARIANTS[name]
    ignore = data.draw(st.none() | corners(np.float64, max_size=3)) if rule.ignore_iof is not None else None
    check(both(anchors, truths, rule, ignore=ignore), oracle(rule, anchors, truths, ignore))


@st.composite
def grid_and_truths(draw: st.DrawFn) -> Any:
    """A small grid, and truths in, on and outside of it: some are anchors, some twice, some points or broken."""
    dtype: Any = np.float32
    side = st.integers(1, 12).map(lambda n: n * 2.5)
    shapes = st.lists(st.tuples(side, side), min_size=1, max_size=3)
    levels = draw(st.integers(1, 2))
    grid = StandIn((4, 9)[:levels], [draw(shapes) for _ in range(levels)], dtype)
    size = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    anchors = grid.boxes(size)
    free = draw(corners(dtype, (*VALID, *INVALID), max_size=4)) * np.asarray(draw(st.sampled_from([1, 4, 9])), dtype)
    taken = anchors[draw(st.lists(st.integers(0, len(anchors) - 1), max_size=3))]
    shift = np.asarray(draw(st.sampled_from([0, 0.5, 2, 1000])), dtype)
    truths = np.concatenate([free, taken, taken + shift])
    return grid, size, anchors, truths[draw(st.permutations(range(len(truths))))]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
@given(case=grid_and_truths(), regions=st.booleans())
def test_a_grid_matches_as_the_matrix_does(name: str, case: Any, regions: bool) -> None:
    rule = VARIANTS[name]
    grid, size, anchors, truths = case
    ignore = truths[::2] * 2 if regions and rule.ignore_iof is not None else None
    check(both(grid, truths, rule, size=size, ignore=ignore), oracle(rule, anchors, truths, ignore))


def crowd(n: int, size: tuple[int, int], dtype: Any, seed: int, around: float = 80) -> Array:
    """Truths of lognormal sides inside an image, to a tenth of a pixel."""
    rng = np.random.default_rng(seed)
    wh = np.exp(rng.normal(np.log(around), 0.8, (n, 2))).clip(2, np.array(size))
    xy = rng.uniform(0, 1, (n, 2)) * (np.array(size) - wh)
    return np.concatenate([xy, xy + wh], axis=1).round(1).astype(dtype)


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


# Datasets: images, sizes, threads.


def dataset(images: int, size: tuple[int, int], dtype: Any = np.float32) -> tuple[Boxes, list[Array]]:
    counts = np.random.default_rng(images).poisson(3, images)
    parts = [crowd(int(n), size, dtype, 100 + k, 25) for k, n in enumerate(counts)]
    return Boxes(np.concatenate(parts), offsets=[0, *np.cumsum(counts)]), parts


@pytest.mark.parametrize("rule", ["fastbox", "mmdet", "atss"])
@pytest.mark.parametrize("form", ["one", "arrays", "rows"])
def test_a_dataset_is_its_images(rule: str, form: str, threads: Any) -> None:
    grid, images = small(), 40 if not WITHOUT_JIT else 4
    truths, parts = dataset(images, (100, 80))
    rng = np.random.default_rng(0)
    wide, high = rng.integers(90, 93, images), rng.integers(70, 73, images)
    size: Any = {"one": (91, 72), "arrays": (wide, high), "rows": np.stack([wide, high], axis=1)}[form]
    for sparse in (False, True):
        answers = []
        for n in (1, 2, 3):
            threads(n)
            answers.append(match(grid, truths, rule=rule, size=size, sparse=sparse))
        for other in answers[1:]:
            for one, two in zip(answers[0][:3], other[:3], strict=True):
                assert one.tobytes() == two.tobytes()
        found = answers[0]
        for k, part in enumerate(parts):
            its_size = (91, 72) if form == "one" else (int(wide[k]), int(high[k]))
            alone = match(grid, part, rule=rule, size=its_size, sparse=sparse)
            rows = slice(found.offsets[k], found.offsets[k + 1])
            first = truths.offsets[k]
            np.testing.assert_array_equal(found.labels[rows], alone.labels)
            np.testing.assert_array_equal(found.truths[rows], np.where(alone.truths < 0, -1, alone.truths + first))
            np.testing.assert_array_equal(found.values[rows], alone.values)
            if found.anchors is not None:
                np.testing.assert_array_equal(found.anchors[rows], alone.anchors)


@pytest.mark.jit
@pytest.mark.parametrize("sparse", [True, False])
def test_many_threads_share_the_images_of_a_large_call(sparse: bool, threads: Any) -> None:
    grid, anchors = small(), small().boxes((100, 80))
    truths, _ = dataset(600, (100, 80))
    for source, size in ((grid, (100, 80)), (anchors, None)):
        answers = []
        for n in (1, 2, 8):
            threads(n)
            answers.append(match(source, truths, size=size, sparse=sparse))
        assert len({tuple(part.tobytes() for part in answer[:3]) for answer in answers}) == 1
    np.testing.assert_array_equal(answers[0].labels, match(grid, truths, size=(100, 80), sparse=sparse).labels)


def test_proposals_meet_their_own_image_by_id() -> None:
    truths = Boxes([[0, 0, 4, 4], [0, 0, 9, 9], [0, 0, 2, 2]], images=["a", "a", "c"])
    proposals = Boxes([[0, 0, 4, 4], [0, 0, 2, 2], [0, 0, 2, 2.5]], images=["a", "b", "c"])
    found = match(proposals, truths)
    assert found.images is not None
    assert found.images.tolist() == ["a", "b", "c"]
    assert found.offsets.tolist() == [0, 1, 2, 3]
    assert found.truths.tolist() == [0, -1, 2]
    assert found.labels.tolist() == [1, 0, 1]
    ignore = Boxes([[0, 0, 5, 5]], images=["d"])
    assert match(proposals, truths, ignore=ignore).offsets.tolist() == [0, 1, 2, 3, 3]
    assert match([[0, 0, 2, 2]], truths, ignore=ignore).labels.tolist() == [1, 1, -1]
    ignored = match([[0, 0, 2, 2]], truths, ignore=ignore, sparse=True)
    assert ignored.offsets.tolist() == [0, 1, 2, 3]
    assert ignored.anchors is not None
    assert ignored.anchors.tolist() == [0, 0, 0]


def test_images_without_truths_are_negative() -> None:
    truths = Boxes(np.empty((0, 4), np.float64), offsets=[0, 0, 0])
    for rule in (MatchRule.fastbox(), MatchRule.mmdet(0.5, (0.1, 0.4)), MatchRule.tf(0.5, 0.2, False)):
        found = both([[0, 0, 1, 1]], truths, rule)
        assert found.labels.tolist() == [0, 0]
        assert found.truths.tolist() == [-1, -1]
    assert len(match([[0, 0, 1, 1]], Boxes(np.empty((0, 4)), offsets=[0])).labels) == 0
    assert len(match(small(), Boxes(np.empty((0, 4), np.float32), offsets=[0]), size=(9, 9), sparse=True).labels) == 0


def test_a_truth_that_overlaps_nothing() -> None:
    anchors, far = [[0, 0, 4, 4], [2, 2, 6, 6]], [[0, 0, 4, 4], [50, 50, 60, 60]]
    assert match(anchors, far).labels.tolist() == [1, 0]
    assert match(anchors, far, rule="torchvision").labels.tolist() == [1, 1]
    assert match(anchors, far[1:], rule="torchvision").truths.tolist() == [0, 0]
    assert match(anchors, far, rule="mmdet").truths.tolist() == [1, 1]
    assert match(anchors, far, rule=MatchRule.mmdet(min_pos_iou=0.1)).labels.tolist() == [1, 0]


def test_any_format_stride_and_dtype() -> None:
    anchors, truths = small(np.float64).boxes((60, 50)), crowd(5, (60, 50), np.float64, 1, 25)
    expected = match(anchors, truths)
    w = truths[:, 2:] - truths[:, :2]
    exact = np.array_equal(truths[:, :2] + w, truths[:, 2:])
    wider = np.zeros((5, 9))
    wider[:, ::2][:, :4] = truths
    for other in (Boxes(truths[:, [1, 0, 3, 2]], "yxyx"), wider[:, ::2][:, :4], np.asfortranarray(truths)):
        found = match(anchors, other)
        np.testing.assert_array_equal(found.values, expected.values)
    if exact:
        boxes = Boxes(np.concatenate([truths[:, :2], w], axis=1), "xywh")
        np.testing.assert_array_equal(match(anchors, boxes).values, expected.values)
    assert match(anchors, truths.astype(np.float32)).values.dtype == np.float64
    assert match(small(np.float64), truths.astype(np.float32), size=(60, 50)).values.dtype == np.float64


@pytest.mark.jit
def test_a_crowd_takes_little_memory() -> None:
    import tracemalloc

    grid, size = retina(), (1333, 800)
    truths = crowd(5000, size, np.float32, 1)
    match(grid, truths[:2], size=size, sparse=True)
    tracemalloc.start()
    found = match(grid, truths, size=size, sparse=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    assert np.count_nonzero(found.labels == 1) >= 5000


# Arguments and results


BOX = [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: match(BOX, BOX, size=(3, 3)), "AnchorGrid"),
        (lambda: match(small(), BOX), "expected size"),
        (lambda: match(small(), BOX, size=(3, 3, 3)), "shape"),
        (lambda: match(small(), BOX, size=(3.5, 3)), "whole pixels"),
        (lambda: match(small(), BOX, size=(0, 3)), "at least 1"),
        (lambda: match(small(), BOX, size=(float("nan"), 3)), "whole pixels"),
        (lambda: match(small(), BOX, size="wide"), "width, height.*got 'wide'"),
        (lambda: match(small(), Boxes(BOX, offsets=[0, 1]), size=([3, 4], [3, 4])), "1 of them"),
        (lambda: match(BOX, BOX, rule="torchvision", ignore=BOX), "ignore_iof"),
        (lambda: match(BOX, BOX, rule="atss"), "levels="),
        (lambda: match(BOX, BOX, rule=MatchRule.atss(levels=[2])), "sum"),
        (lambda: match(Boxes(BOX, offsets=[0, 1]), BOX), "alike"),
        (lambda: match(BOX, BOX, ignore=Boxes(BOX, offsets=[0, 1])), "alike"),
        (lambda: match(BOX, BOX, rule="none such"), "none such"),
    ],
)
def test_what_cannot_be_is_said(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_results_describe_themselves() -> None:
    assert repr(match(BOX, BOX)) == "Matches(1 positive, 0 ignored, 0 negative; 1 images)"
    assert repr(match(BOX, BOX, sparse=True)) == "Matches(1 positive, 0 ignored; 1 images)"


@pytest.mark.slow
@given(corners(np.float32, max_size=8), corners(np.float32, max_size=8))
def test_the_best_of_each_truth(truths: Array, anchors: Array) -> None:
    expected = np.nan_to_num(fastbox.best(truths, anchors).values)
    expected[Boxes(truths).invalid() != 0] = np.nan
    for rule in ("fastbox", "ssd"):
        np.testing.assert_array_equal(match(anchors, truths, rule=rule).best, expected)


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
