"""Results of comparisons: their fields, types and shapes, and those of no boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import (
    some_boxes,
)
from support.floats import FLOATS

import fastbox


@pytest.mark.parametrize("dtype", FLOATS)
def test_results_say_what_they_are(dtype: Any) -> None:
    a, b = some_boxes(5, dtype, 1), some_boxes(6, dtype, 2)
    assert fastbox.pairwise(a, b).dtype == dtype
    assert fastbox.aligned(a, a).dtype == dtype
    assert fastbox.pairwise(a, b).flags.c_contiguous
    found = fastbox.best(a, b)
    assert found._fields == ("values", "indices")
    assert (found.values.dtype, found.indices.dtype) == (dtype, np.int64)
    assert found.values.shape == found.indices.shape == (5,)
    some = fastbox.top(a, b, 2)
    assert some._fields == ("values", "indices")
    assert (some.values.dtype, some.indices.dtype) == (dtype, np.int64)
    assert some.values.shape == some.indices.shape == (5, 2)
    listed = fastbox.pairs(a, b, threshold=0)
    assert listed._fields == ("rows", "cols", "values")
    assert (listed.rows.dtype, listed.cols.dtype, listed.values.dtype) == (np.int64, np.int64, dtype)
    assert fastbox.histogram(a, b, bins=4, range=(0, 1)).dtype == np.int64


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 1025), (1025, 0)])
@pytest.mark.parametrize("metric", ["iou", "l1"])
def test_empty_inputs_give_empty_answers(metric: str, shape: tuple[int, int], dtype: Any) -> None:
    a, b = np.empty((shape[0], 4), dtype), some_boxes(shape[1], dtype)
    a[:] = some_boxes(shape[0], dtype)
    matrix = fastbox.pairwise(a, b, metric=metric)
    assert (matrix.shape, matrix.dtype) == (shape, dtype)
    found = fastbox.best(a, b, metric=metric)
    assert_array_equal(found.indices, np.full(shape[0], -1))
    assert_array_equal(found.values, np.full(shape[0], np.nan, dtype))
    some = fastbox.top(a, b, 3, metric=metric)
    assert_array_equal(some.indices, np.full((shape[0], 3), -1))
    assert_array_equal(some.values, np.full((shape[0], 3), np.nan, dtype))
    listed = fastbox.pairs(a, b, threshold=0, metric=metric)
    assert [(len(part), part.dtype) for part in listed] == [(0, np.int64), (0, np.int64), (0, dtype)]
    assert_array_equal(fastbox.histogram(a, b, bins=3, range=(0, 1), metric=metric), [0, 0, 0])
    assert fastbox.aligned(a[:0], b[:0], metric=metric).shape == (0,)
    assert all(len(part) == 0 for part in fastbox.pairs(a[:0], threshold=0, metric=metric))
    assert fastbox.pairwise([], b, metric=metric).shape == (0, shape[1])


def test_one_box_has_no_pair_with_itself() -> None:
    assert all(len(part) == 0 for part in fastbox.pairs([[0, 0, 1, 1]], threshold=0))
