"""Boxes of arguments: arrays of few boxes are read as all others are, and warned of as all others are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from strategies import corners, laid_out, layouts, some_boxes
from support.floats import FLOATS

from fastbox import Boxes, FormatWarning
from fastbox.boxes.container import as_boxes
from fastbox.values.formats import SAMPLE, are_corners


@given(corners(), layouts)
def test_arrays_are_viewed_as_boxes(drawn: Any, layout: str) -> None:
    array = laid_out(drawn, layout)
    made, right = as_boxes(array), Boxes(array)
    assert (made.format, made.images, made.offsets, made.dtype) == (right.format, None, None, right.dtype)
    for one, other in zip(made.columns, right.columns, strict=True):
        assert_array_equal(one, other)
        assert not array.size or np.shares_memory(one, array)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [3, SAMPLE, SAMPLE + 1])
def test_only_most_boxes_inverted_are_warned_of(n: int, dtype: Any) -> None:
    boxes = some_boxes(n, dtype, exact=False)
    sizes = np.concatenate([boxes[:, :2] + 100, boxes[:, :2] / 300], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_boxes(boxes)
        as_boxes(np.concatenate([boxes, sizes[:1]]))
    with warnings.catch_warnings(), pytest.warns(FormatWarning, match="most boxes of truths are inverted"):
        warnings.simplefilter("always")
        as_boxes(sizes, "truths")


def test_arrays_of_corners_need_no_conversion() -> None:
    boxes = some_boxes(3, np.float32)
    unaligned = np.zeros(3, np.dtype([("one", "u1"), ("boxes", "f4", 4)]))["boxes"]
    assert are_corners(boxes)
    assert are_corners(boxes.astype(np.float64)[::2])
    for other in (boxes.tolist(), boxes[0], boxes[:, :3], boxes.astype(">f4"), boxes.astype(np.float16), unaligned):
        assert not are_corners(other)
    for other in (np.ma.masked_array(boxes), Boxes(boxes), np.zeros((2, 5)), np.zeros(0), None):
        assert not are_corners(other)
