"""The kernels that sort the rows of images and of groups, beside NumPy's stable sort."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from fastbox.kernels.common.sorting import FEW, GROUPED, SORT

F8 = np.dtype(np.float64)
SCORES = st.sampled_from([-0.0, 0.0, 0.5, 0.25, 1.0, -1.0, -3.5, 1e300, -1e300, 5e-324, np.inf, -np.inf])


def wanted(codes: NDArray[Any], scores: NDArray[Any], bounds: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Sort the rows of each image by NumPy."""
    images = [rows[first:last] for first, last in pairwise(bounds)]
    keys = codes if len(codes) else np.zeros(len(scores), np.int64)
    return np.concatenate([some[np.lexsort((-scores[some], keys[some]))] for some in images])


@pytest.mark.parametrize("coded", [True, False])
@given(st.lists(st.integers(0, 3 * FEW), min_size=1, max_size=3), st.data())
def test_rows_are_sorted_by_code_and_descending_score(coded: bool, sizes: list[int], data: st.DataObject) -> None:
    n = sum(sizes)
    scores = np.array(data.draw(st.lists(SCORES, min_size=n, max_size=n)), np.float64)
    choices = st.sampled_from([0, 1, 7, 256, 2**32, 2**32 + 1, 2**40])
    codes = np.array(data.draw(st.lists(choices, min_size=n, max_size=n)) if coded else [], np.int64)
    rows, bounds = np.arange(n)[::-1].copy(), np.cumsum([0, *sizes])
    expected = wanted(codes, scores, bounds, rows)
    SORT[F8, ""](codes, scores, bounds, rows, 0, len(sizes))
    assert_array_equal(rows, expected)


def test_only_the_images_that_are_asked_for_are_sorted() -> None:
    scores, rows = np.arange(9.0), np.arange(9)
    SORT[F8, ""](np.empty(0, np.int64), scores, np.array([0, 3, 6, 9]), rows, 1, 2)
    assert rows.tolist() == [0, 1, 2, 5, 4, 3, 6, 7, 8]


@given(st.lists(st.integers(0, 6)), st.integers(7, 9))
def test_rows_are_ordered_by_group_and_each_group_has_an_end(groups: list[int], count: int) -> None:
    numbers, ends, rows = np.array(groups, np.int32), np.full(count, 77), np.full(len(groups), -1)
    GROUPED[F8, ""](numbers, ends, rows)
    assert_array_equal(rows, np.argsort(numbers, kind="stable"))
    assert_array_equal(ends, np.cumsum(np.bincount(numbers, minlength=count)))
