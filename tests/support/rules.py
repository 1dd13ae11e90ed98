"""Each rule of assignment written out on the whole matrix, and small grids of anchors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from strategies import INVALID, VALID, corners

from fastbox import Boxes
from fastbox.assign.match import match
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


def both(anchors: Array, truths: Array, rule: MatchRule | str, **options: Any) -> Matches:
    dense = match(anchors, truths, rule=rule, **options)
    check_sparse(match(anchors, truths, rule=rule, sparse=True, **options), dense)
    return dense


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


def crowd(n: int, size: tuple[int, int], dtype: Any, seed: int, around: float = 80) -> Array:
    """Truths of lognormal sides inside an image, to a tenth of a pixel."""
    rng = np.random.default_rng(seed)
    wh = np.exp(rng.normal(np.log(around), 0.8, (n, 2))).clip(2, np.array(size))
    xy = rng.uniform(0, 1, (n, 2)) * (np.array(size) - wh)
    return np.concatenate([xy, xy + wh], axis=1).round(1).astype(dtype)
