"""Boxes that no cache holds, which are asked for ahead, have the values and gradients of some of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import some_boxes
from support.floats import FLOATS

import fastbox
from fastbox import Boxes
from fastbox.kernels.build import prefetch
from fastbox.kernels.build.prefetch import LARGE, rows_ahead

PART = 1000
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "rows": np.asarray,
    "columns": lambda rows: Boxes(np.asfortranarray(rows)),
    "strided": lambda rows: Boxes(np.repeat(rows, 2, axis=0)[::2]),
}


@pytest.mark.jit
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_large_arrays_have_the_values_of_their_parts(dtype: Any, holder: str) -> None:
    rows = LARGE // (4 * np.dtype(dtype).itemsize) // PART * PART + PART
    a, b = some_boxes(rows, dtype, 1, exact=False, bad=0.001), some_boxes(rows, dtype, 2, exact=False)
    assert rows_ahead(a, rows) and not rows_ahead(a, PART)
    hold = HOLDERS[holder]
    p, q = hold(a), hold(b)
    parts = [slice(first, first + PART) for first in range(0, rows, PART)]
    for metric in ("iou", "ciou"):
        apart = [fastbox.aligned(hold(a[part]), hold(b[part]), metric=metric) for part in parts]
        assert_array_equal(fastbox.aligned(p, q, metric=metric), np.concatenate(apart))
    for loss in (fastbox.giou_loss, fastbox.ciou_loss, fastbox.smooth_l1_loss):
        found = loss(p, q, reduction="none", return_grad=True)
        each = [loss(hold(a[part]), hold(b[part]), reduction="none", return_grad=True) for part in parts]
        assert_array_equal(found.loss, np.concatenate([one.loss for one in each]))
        assert_array_equal(found.grad, np.concatenate([one.grad for one in each]))


@pytest.mark.parametrize(("width", "most"), [(1, 24), (4, 8), (5, 10), (8, 16), (9, 0), (85, 0)])
def test_little_is_asked_for_beside_boxes(width: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes that are part of long rows have a cache line each, which would be asked for with all between them."""
    asked: list[int] = []
    monkeypatch.setattr(prefetch, "prefetch", lambda array, place: asked.append(place))
    table = np.zeros((100, width), np.float32)
    columns = [table[:, min(k, width - 1)] for k in range(4)]
    prefetch.prefetch_boxes((0, *columns), 10, 32)
    assert len(asked) <= most and bool(asked) == bool(most)
    assert all(10 * width <= place < 42 * width for place in asked)
