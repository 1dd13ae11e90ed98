"""The range of boxes that plain formulas measure: the quick test lets no box pass that the full one refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.floats import FLOATS

from fastbox.kernels.geometry.formulas import Box
from fastbox.kernels.geometry.safe_range import LEAST_SIDE, MOST_TOTAL, safe_area, widen_ordinary

SIZES = [0.0, 1e-30, 2.0**-15, 0.5, 100.0, 2.0**22, 2.0**58, 1e30, np.inf]
NUMBERS = [*SIZES, *(-size for size in SIZES), np.nan]


def as_box(x0: Any, y0: Any, x1: Any, y1: Any) -> Box:
    return Box(x0, y0, x1, y1, None, None)


def is_ordinary(box: Any) -> bool:
    """A box passes the quick test beside no other box."""
    with np.errstate(all="ignore"):
        low, total = widen_ordinary(box.dtype.type(1), box.dtype.type(0), as_box(*box))
    return bool(low >= LEAST_SIDE and total <= MOST_TOTAL)


def is_safe(box: Any) -> bool:
    with np.errstate(all="ignore"):
        return bool(safe_area(*box) >= 0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_corners_of_all_sizes(dtype: Any) -> None:
    boxes = np.array(list(product(NUMBERS, NUMBERS, NUMBERS, NUMBERS)), dtype)[::13]
    passing = [box for box in boxes if is_ordinary(box)]
    assert len(passing) > 20
    assert all(map(is_safe, passing))


numbers = st.builds(lambda sign, power: sign * 2.0**power, st.sampled_from([-1.0, 1.0]), st.floats(-60, 70))


@given(st.tuples(numbers, numbers, numbers, numbers), st.sampled_from(FLOATS))
def test_ordinary_boxes_are_safe(corners: Any, dtype: Any) -> None:
    p, q, r, s = corners
    box = np.array([min(p, r), min(q, s), max(p, r), max(q, s)], dtype)
    assert is_safe(box) or not is_ordinary(box)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (-3, -2, -1, -1), (1e5, 1e5, 1e5 + 300, 1e5 + 1), (0.5, 0.5, 0.501, 0.75)]
)
def test_usual_boxes_are_ordinary(box: Any, dtype: Any) -> None:
    assert is_ordinary(np.array(box, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_many_boxes_add_up_to_hides_none(dtype: Any) -> None:
    low, total = dtype(1), dtype(0)
    for _ in range(64):
        low, total = widen_ordinary(low, total, as_box(dtype(0), dtype(0), dtype(2.0**20), dtype(2.0**20)))
    assert low >= LEAST_SIDE
    assert total > MOST_TOTAL  # too many of them are taken for too large, never the other way round
    for bad in ((5, 5, 4, 9), (0, 0, np.nan, 1), (0, 0, 1, np.inf), (-np.inf, 0, 1, 1)):
        with np.errstate(all="ignore"):
            low, total = widen_ordinary(dtype(1), dtype(0), as_box(*map(dtype, bad)))
            for _ in range(64):
                low, total = widen_ordinary(low, total, as_box(dtype(0), dtype(0), dtype(8), dtype(8)))
        assert not (low >= LEAST_SIDE and total <= MOST_TOTAL)
