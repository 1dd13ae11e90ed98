"""The best box of each row: images of few and many rows and columns, with and without boxes that need care."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from numpy.testing import assert_array_equal
from strategies import some_boxes
from support.floats import FLOATS

import fastbox
from fastbox import Boxes

# Rows and columns of images: lanes hold 16 rows, or 16 columns where these are far more; tiles hold 1024 columns.
IMAGES = [
    *((1, 17), (3, 64), (8, 65), (5, 0), (12, 300), (0, 5), (9, 31), (16, 1024), (2, 1025), (17, 40), (33, 5), (7, 16)),
    *((40, 64), (40, 65), (6, 33), (1, 1), (13, 47), (3, 2)),
]


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "iof", "ios", "giou", "l1"])
@pytest.mark.parametrize("spoilt", [None, np.nan, 2.0**70, -1.0], ids=["usual", "nan", "vast", "turned"])
def test_images_of_any_shape_have_the_best_of_their_matrices(metric: str, dtype: Any, spoilt: float | None) -> None:
    """Boxes on whole numbers, so that many values are equal, and many boxes lie apart from all others."""
    rows, cols = (np.cumsum([0, *counts]) for counts in zip(*IMAGES, strict=True))
    a, b = some_boxes(rows[-1], dtype, 1), some_boxes(cols[-1], dtype, 2)
    a[::7] += dtype(1000)  # apart
    if spoilt is not None:
        a[rows[:-1:3], 2], b[cols[1:-1:2], 2] = spoilt, spoilt
    found = fastbox.best(Boxes(a, offsets=rows), Boxes(b, offsets=cols), metric=metric)
    for image, (r, c) in enumerate(IMAGES):
        those, others = slice(rows[image], rows[image] + r), slice(cols[image], cols[image] + c)
        right = reference.best(fastbox.pairwise(a[those], b[others], metric=metric), metric)
        assert_array_equal(found.values[those], right.values)
        assert_array_equal(found.indices[those], np.where(right.indices < 0, -1, right.indices + cols[image]))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "ios"])
def test_of_equal_boxes_the_first_one_is_the_best(metric: str, dtype: Any) -> None:
    """Wherever the equal ones lie among lanes; all others overlap less, or not at all."""
    row = np.array([[10, 10, 20, 20]], dtype)
    for columns in (20, 40, 200):
        for first in range(0, columns, 3):
            others = np.tile(np.array([30, 30, 40, 40], dtype), (columns, 1))
            others[::4] = (5, 5, 15, 15)
            others[first::5] = row
            found = fastbox.best(Boxes(row, offsets=[0, 1]), Boxes(others, offsets=[0, columns]), metric=metric)
            assert (found.values[0], found.indices[0]) == (1, first)
