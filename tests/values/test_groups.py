"""Rows in the order of their groups or ids, as a stable sort of all numbers gives it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.values.groups import MANY, order_of, stable


@pytest.mark.parametrize("count", [1, 2, 1 << 16, (1 << 16) + 1, 1 << 32, (1 << 32) + 5, 1 << 62])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_rows_of_a_group_keep_their_order(count: int, dtype: type[np.generic]) -> None:
    rng = np.random.default_rng(count)
    groups = rng.integers(0, count, 500).astype(dtype)
    groups[::7] = count - 1
    assert np.array_equal(stable(groups, count), np.argsort(groups, kind="stable"))


def test_small_integers_are_groups_too() -> None:
    groups = np.array([3, 0, 100, 3], np.int8)
    assert stable(groups, 101).tolist() == [1, 0, 3, 2]
    assert stable(groups[:0], 0).tolist() == []


@pytest.mark.jit
@pytest.mark.parametrize(("count", "dtype"), [(3, np.int16), (200, np.uint8), (9000, np.int64), (200_000, np.uint64)])
def test_many_rows_are_ordered_by_a_kernel(count: int, dtype: type[np.generic]) -> None:
    groups = np.random.default_rng(count).integers(0, count, MANY + 1).astype(dtype)
    groups[5:9] = count - 1
    assert np.array_equal(stable(groups, count), np.argsort(groups, kind="stable"))


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1))
def test_ids_of_any_size_are_ordered(given: list[int]) -> None:
    ids = np.array(given, np.int64)
    found = order_of(ids)
    if found is None:
        assert sorted(given) == given
    else:
        assert np.array_equal(found, np.argsort(ids, kind="stable"))


def test_no_ids_are_in_order() -> None:
    assert order_of(np.zeros(0, np.int64)) is None
