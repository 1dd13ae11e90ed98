"""Few boxes: the rows that many would keep, and no fewer checks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import laid_out, layouts, some_boxes
from support.crowds import scored
from support.floats import FLOATS

from fastbox import Boxes, FormatWarning
from fastbox.suppression.nms import FEW, nms, soft_nms


@given(scored(), layouts, st.data())
def test_rows_kept_are_those_of_boxes_in_segments(drawn: Any, layout: str, data: st.DataObject) -> None:
    boxes, scores = laid_out(drawn[0], layout), drawn[1]
    n = len(boxes)
    classes = data.draw(
        st.none() | st.lists(st.integers(-2, 2), min_size=n, max_size=n).map(lambda c: np.array(c, int))
    )
    threshold = data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    found = nms(boxes, scores, iou_threshold=threshold, classes=classes)
    others = nms(Boxes(boxes), scores, iou_threshold=threshold, classes=classes)
    assert found.dtype == others.dtype
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert_array_equal(found, others)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", [np.int8, np.int64])
@pytest.mark.parametrize("n", [0, 1, FEW - 1, FEW, FEW + 1])
def test_around_the_greatest_number_of_few(n: int, kind: Any, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    boxes, scores = some_boxes(n, dtype, n, bad=0.1), np.round(rng.random(n), 2).astype(dtype)
    for classes in (None, rng.integers(-3, 3, n).astype(kind)):
        found = nms(boxes, scores, iou_threshold=0.3, classes=classes)
        assert_array_equal(found, nms(Boxes(boxes), scores, iou_threshold=0.3, classes=classes))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("n", [0, 1, 40, FEW, FEW + 1])
def test_scores_are_lowered_as_those_of_boxes_in_segments(n: int, method: str, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    boxes, scores = some_boxes(n, dtype, n, bad=0.1), np.round(rng.random(n), 1).astype(dtype)
    boxes[: n // 3], scores[n // 4 : n // 3] = boxes[n // 2 : n // 2 + n // 3], np.inf
    for classes in (None, rng.integers(0, 2, n)):
        found = soft_nms(boxes, scores, method=method, classes=classes, score_threshold=0.05)
        others = soft_nms(Boxes(boxes), scores, method=method, classes=classes, score_threshold=0.05)
        assert found.scores.dtype == others.scores.dtype == dtype
        assert found.scores.tobytes() == others.scores.tobytes()
        assert_array_equal(found.indices, others.indices)


def refused() -> dict[str, dict[str, Any]]:
    return {
        "fewer scores": {"scores": np.ones(2)},
        "a column of scores": {"scores": np.ones((3, 1))},
        "text as scores": {"scores": np.array(["a", "b", "c"])},
        "a threshold above 1": {"iou_threshold": 1.5},
        "a threshold of nan": {"iou_threshold": np.nan},
        "text as threshold": {"iou_threshold": "0.5"},
        "fewer classes": {"classes": np.array([1, 2])},
        "fractions as classes": {"classes": np.array([1, 2, 0.5])},
        "a missing class": {"classes": [1, 2, None]},
    }


@pytest.mark.parametrize("fault", refused())
def test_errors_are_those_of_many_boxes(fault: str) -> None:
    given = {"scores": np.array([0.5, 0.9, 0.7]), "iou_threshold": 0.5, **refused()[fault]}
    boxes = some_boxes(3, np.float32)
    with pytest.raises((ValueError, TypeError)) as caught:
        nms(boxes, **given)
    with pytest.raises(caught.type) as expected:
        nms(Boxes(boxes), **given)
    assert str(caught.value) == str(expected.value)


def test_anything_that_is_no_array_of_floats_is_read_as_ever() -> None:
    boxes, scores = some_boxes(9, np.float32, 3), np.random.default_rng(3).random(9)
    right = nms(boxes, scores, iou_threshold=0.1)
    for some in (boxes.tolist(), boxes.astype(np.float64), np.ma.masked_array(boxes), boxes.astype(">f4")):
        assert_array_equal(nms(some, scores, iou_threshold=0.1), right)
    for values in (scores.tolist(), scores.astype(">f8"), np.ma.masked_array(scores)):
        assert_array_equal(nms(boxes, values, iou_threshold=0.1), right)
    assert_array_equal(nms(boxes, scores, iou_threshold=np.float64(0.1)), right)


def test_boxes_that_look_like_sizes_are_warned_of() -> None:
    sizes = np.array([[90.0, 80, 10, 20], [50, 60, 20, 10], [0, 0, 5, 5]])
    with warnings.catch_warnings(), pytest.warns(FormatWarning, match="most boxes are inverted"):
        warnings.simplefilter("always")
        nms(sizes, np.ones(3), iou_threshold=0.5)
