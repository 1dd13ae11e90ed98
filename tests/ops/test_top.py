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


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("k", [1, 3, 15, 17])
@pytest.mark.parametrize("spoilt", [None, 2.0**70], ids=["usual", "vast"])
def test_images_of_any_shape_whatever_memory_held_before(
    k: int, dtype: Any, spoilt: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastbox.ops.search.empty", lambda shape, dtype: np.full(shape, 7, dtype))
    shapes = [(1, 17), (40, 3), (8, 65), (5, 0), (12, 300), (0, 5), (17, 40), (33, 64), (2, 1025), (0, 0), (16, 16)]
    rows, cols = (np.cumsum([0, *counts]) for counts in zip(*shapes, strict=True))
    a, b = on_a_grid(rows[-1], dtype, 1), on_a_grid(cols[-1], dtype, 2)
    if spoilt is not None:
        a[rows[:-1:2], 2] = spoilt
    found = fastbox.top(fastbox.Boxes(a, offsets=rows), fastbox.Boxes(b, offsets=cols), k)
    for image, (r, c) in enumerate(shapes):
        those, others = slice(rows[image], rows[image] + r), slice(cols[image], cols[image] + c)
        right = reference.top(fastbox.pairwise(a[those], b[others]), k)
        assert_array_equal(found.values[those], right.values)
        assert_array_equal(found.indices[those], np.where(right.indices < 0, -1, right.indices + cols[image]))
