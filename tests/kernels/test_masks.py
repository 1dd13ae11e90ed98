"""Masks of floats, as they are defined and as the compiler makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.floats import FLOATS

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import WIDTH, above, at_most, below, first_bits
from fastbox.kernels.build.types import i8, readonly, vector

COUNT = 32
WAYS = {"above": np.greater, "below": np.less, "at most": np.less_equal}


def write_masks(values, limits, found):
    for k in range(limits.size):
        found[k, 0], found[k, 1] = np.int64(above(values, k, WIDTH, limits[k])), above(values, k, COUNT, limits[k])
        found[k, 2], found[k, 3] = np.int64(below(values, k, WIDTH, limits[k])), below(values, k, COUNT, limits[k])
        found[k, 4], found[k, 5] = np.int64(at_most(values, k, WIDTH, limits[k])), at_most(values, k, COUNT, limits[k])
        found[k, 6] = np.int64(first_bits(k + 1))


MASKS = Kernel(write_masks, lambda t: types.void(readonly(t), readonly(t), vector(i8, 2)), {"": {}})


def drawn(dtype: Any) -> tuple[Any, Any]:
    """Values of which many are equal to a limit, some nan, and others infinite, with a limit for each first value."""
    rng = np.random.default_rng(0)
    values = rng.choice(np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, 0.5, np.nextafter(0.5, 1), 7e-46]), 2 * WIDTH + 9)
    return values.astype(dtype), values[: WIDTH + 9][::-1].astype(dtype)


@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_mask_has_a_bit_for_each_value(dtype: Any, compiled: bool) -> None:
    values, limits = drawn(dtype)
    found = np.zeros((len(limits), 7), np.int64)
    (MASKS[np.dtype(dtype), ""] if compiled else write_masks)(values, limits, found)
    for way, (name, compare) in enumerate(WAYS.items()):
        for column, count in ((2 * way, WIDTH), (2 * way + 1, COUNT)):
            for k, limit in enumerate(limits):
                bits = np.zeros(WIDTH, bool)
                bits[:count] = compare(values[k : k + count], limit)
                assert found[k, column] == np.packbits(bits, bitorder="little").view(np.int64)[0], (name, k, count)
    np.testing.assert_array_equal(found[:, 6].view(np.uint64), [2 ** min(k + 1, WIDTH) - 1 for k in range(len(limits))])
