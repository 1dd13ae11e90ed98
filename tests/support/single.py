"""One value of a metric for two boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

import fastbox


def one(a: Any, b: Any, metric: str, dtype: Any = np.float64, **options: Any) -> float:
    """The value of one pair, the same by the matrix and row by row."""
    a, b = np.array([a], dtype), np.array([b], dtype)
    value = fastbox.pairwise(a, b, metric=metric, **options)
    assert value.dtype == dtype
    assert value.shape == (1, 1)
    assert_array_equal(fastbox.aligned(a, b, metric=metric, **options), value[0])
    return float(value[0, 0])
