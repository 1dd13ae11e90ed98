"""Pairs that reach a threshold, against those of the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from numpy.testing import assert_array_equal
from reference import DISTANCES, SIMILARITIES
from strategies import (
    corners,
    metrics,
    some_boxes,
)
from support.floats import FLOATS

import fastbox

EDGES = [1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025]


def thresholds(matrix: Any) -> list[float]:
    """A few thresholds, those that some values are equal to among them."""
    values = np.unique(matrix[~np.isnan(matrix)])
    some = values[:: max(1, len(values) // 3)]
    around = [np.nextafter(some, -9, dtype=some.dtype), some, np.nextafter(some, 9, dtype=some.dtype)]
    return [-2.0, -0.5, 0.0, 0.1, 0.5, 0.7, 1.0, 3.0, *(float(v) for v in np.concatenate(around))]


def test_a_threshold_is_rounded_to_the_dtype_of_the_boxes() -> None:
    a, b = np.array([[0, 0, 7, 1]], np.float32), np.array([[0, 0, 10, 1]], np.float32)
    assert float(fastbox.pairwise(a, b).item()) < 0.7
    assert len(fastbox.pairs(a, b, threshold=0.7).rows) == 1
    assert len(fastbox.pairs(a, b, threshold=np.nextafter(np.float32(0.7), np.float32(1))).rows) == 0
    assert len(fastbox.pairs(a.astype(np.float64), b.astype(np.float64), threshold=0.7).rows) == 1


@pytest.mark.parametrize("metric", SIMILARITIES)
def test_a_threshold_may_be_zero_or_less(metric: str) -> None:
    a, b = some_boxes(9, np.float32, 1, bad=0.2), some_boxes(11, np.float32, 2, bad=0.2)
    matrix = fastbox.pairwise(a, b, metric=metric)
    for threshold in (0, -0.25, -1, -1000):
        for got, right in zip(
            fastbox.pairs(a, b, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric),
            strict=True,
        ):
            assert_array_equal(got, right)


@pytest.mark.parametrize("metric", DISTANCES)
def test_a_distance_is_a_pair_up_to_the_threshold(metric: str) -> None:
    a = [[0, 0, 1, 1]]
    b = [[0, 0, 1, 3], [0, 0, 1, 1], [0, 0, 1, 8]]
    at_two = fastbox.pairwise(a, b, metric=metric)[0, 0]
    assert_array_equal(fastbox.pairs(a, b, threshold=at_two, metric=metric).cols, [0, 1])
    assert_array_equal(fastbox.pairs(a, b, threshold=0, metric=metric).cols, [1])
    assert len(fastbox.pairs(a, b, threshold=-1, metric=metric).cols) == 0


@given(corners(), metrics)
def test_pairs_of_a_collection_with_itself_are_listed_once(a: Any, metric: str) -> None:
    matrix = fastbox.pairwise(a, a, metric=metric)
    for threshold in thresholds(matrix):
        for got, right in zip(
            fastbox.pairs(a, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric, itself=True),
            strict=True,
        ):
            assert_array_equal(got, right)


@pytest.mark.jit
@pytest.mark.parametrize("n", EDGES)
def test_pairs_with_itself_around_the_edges_of_tiles(n: int) -> None:
    boxes = np.zeros((n, 4), np.float32)
    boxes[:, 0] = 10 * np.arange(n)
    boxes[:, 2:] = boxes[:, :2] + 15
    some = fastbox.pairs(boxes[: 130 if n > 130 else n], threshold=0.1)
    last = min(n, 130) - 1
    assert_array_equal(some.rows, np.arange(last))
    assert_array_equal(some.cols, np.arange(1, last + 1))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["scattered", "crowded", "giants", "one place", "points", "far away", "with invalid"])
def test_pairs_of_many_boxes_are_those_of_the_matrix(kind: str, dtype: Any) -> None:
    """Many enough for whatever index there is."""
    a, b = some_boxes(900, dtype, 8), some_boxes(1300, dtype, 9)
    for boxes in (a, b):
        if kind == "scattered":
            boxes *= 50
            boxes[:, 2:] = boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2]) / 40
        elif kind == "giants":
            boxes[::97] = [-1000, -1000, 5000, 5000]
        elif kind == "one place":
            boxes[:] = boxes[:1]
        elif kind == "points":
            boxes[::2, 2:] = boxes[::2, :2]
        elif kind == "far away":
            boxes += 1e6
        elif kind == "with invalid":
            boxes[::5, 1] = np.nan
            boxes[1::7] = boxes[1::7][:, [2, 3, 0, 1]]
            boxes[2::11, 2] = np.inf
    for metric, threshold in (("iou", 0.3), ("iou", 1.0), ("ios", 0.9), ("giou", 0.2), ("diou", 0.4), ("l1", 40.0)):
        matrix = fastbox.pairwise(a, b, metric=metric)
        for got, right in zip(
            fastbox.pairs(a, b, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric),
            strict=True,
        ):
            assert_array_equal(got, right)
        itself = reference.pairs(fastbox.pairwise(a, a, metric=metric), threshold, metric, itself=True)
        for got, right in zip(fastbox.pairs(a, threshold=threshold, metric=metric), itself, strict=True):
            assert_array_equal(got, right)
    itself = reference.pairs(fastbox.pairwise(b, b), 0.3, itself=True)
    for got, right in zip(fastbox.pairs(b, threshold=0.3), itself, strict=True):
        assert_array_equal(got, right)
    assert_array_equal(fastbox.best(a, b).indices, reference.best(fastbox.pairwise(a, b)).indices)
