"""The best values of each row on both sides of the sizes at which the kernel changes its way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from numpy.testing import assert_array_equal
from reference import METRICS
from support.floats import FLOATS

import fastbox


def on_a_grid(n: int, dtype: Any, seed: int) -> Any:
    """Return boxes with many equal values, each eleventh of them invalid."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 6, (n, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 4, (n, 2))], 1).astype(dtype)
    boxes[::11, 2] = np.nan
    return boxes


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("columns", [7, 64, 65, 200])
def test_ranks_of_equal_values(columns: int, metric: str, dtype: Any) -> None:
    a, b = on_a_grid(37, dtype, 1), on_a_grid(columns, dtype, 2)
    matrix = fastbox.pairwise(a, b, metric=metric)
    for k in (1, 9, 15, 16):
        found, right = fastbox.top(a, b, k, metric=metric), reference.top(matrix, k, metric)
        assert_array_equal(found.indices, right.indices)
        assert_array_equal(found.values, right.values)
