"""Valid boxes of any size: never nan, IoU 1 with themselves, and the same value on every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import DISTANCES, METRICS, SIMILARITIES, SYMMETRIC
from strategies import dtypes, formats, metrics, some_boxes
from support.floats import FLOATS, bits
from support.losses import OVERLAP

import fastbox
from fastbox import Boxes
from fastbox.suppression import fusion
from fastbox.suppression import nms as suppression

SIZES = {
    np.float32: (1e-45, 1e-40, 1e-30, 1e-12, 1.0, 1e19, 1e30, 3.4e38),
    np.float64: (5e-324, 1e-310, 1e-200, 1e-12, 1.0, 1e30, 1e200, 1.7e308),
}


@st.composite
def any_size(draw: st.DrawFn, dtype: Any, min_size: int = 1, max_size: int = 8) -> Any:
    """Valid boxes over all exponents, some with sides at the ends of the floats, some flat, some ordinary."""
    most = float(np.finfo(dtype).max)
    end = st.sampled_from([s * size for size in SIZES[dtype] for s in (-1, 1)] + [0.0])
    coordinate = end | st.floats(-most, most, width=32 if dtype == np.float32 else 64) | st.floats(-4, 4, width=32)
    drawn = draw(st.lists(st.tuples(*[coordinate] * 4), min_size=min_size, max_size=max_size))
    boxes = np.array(drawn, np.float64).astype(dtype).reshape(-1, 2, 2)
    return np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)


@st.composite
def two_of_any_size(draw: st.DrawFn) -> Any:
    dtype = draw(dtypes)
    return draw(any_size(dtype)), draw(any_size(dtype))


@given(two_of_any_size(), metrics, st.sampled_from([0.0, 0.5, 1e30, np.inf]))
def test_no_valid_box_gives_nan_and_every_way_gives_the_same(ab: Any, metric: str, beta: float) -> None:
    a, b = ab
    values = fastbox.pairwise(a, b, metric=metric, beta=beta)
    assert not np.isnan(values).any()
    many = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    assert_array_equal(bits(fastbox.aligned(*many, metric=metric, beta=beta)), bits(values.ravel()))
    if metric in SYMMETRIC:
        assert_array_equal(fastbox.pairwise(b, a, metric=metric, beta=beta).T, values)
    best, top = reference.best(values, metric), reference.top(values, 3, metric)
    for found, expected in (
        (fastbox.best(a, b, metric=metric, beta=beta), best),
        (fastbox.top(a, b, 3, metric=metric, beta=beta), top),
    ):
        assert_array_equal(found.indices, expected.indices)
        assert_array_equal(found.values, expected.values)
    for threshold in (np.inf, 0.5, 0.0, -1.0, -np.inf):
        found, expected = (
            fastbox.pairs(a, b, threshold=threshold, metric=metric, beta=beta),
            reference.pairs(values, threshold, metric),
        )
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_infinite_distances_are_pairs_at_an_infinite_threshold(metric: str, dtype: Any) -> None:
    most = np.finfo(dtype).max
    boxes = np.array([[-most, 0, -most, 1], [most, 0, most, 1], [0, 0, 1, 1]], dtype)
    found = fastbox.pairs(boxes, boxes, threshold=np.inf if metric in DISTANCES else -np.inf, metric=metric)
    assert len(found.rows) == 9
    best = fastbox.best(boxes[:1], boxes[1:2], metric=metric)
    assert best.indices.tolist() == [0]
    assert fastbox.top(boxes[:1], boxes[1:2], 2, metric=metric).indices.tolist() == [[0, -1]]


@given(two_of_any_size(), st.sampled_from(SIMILARITIES))
def test_values_are_those_of_a_wider_float(ab: Any, metric: str) -> None:
    a, b = ab
    if a.dtype == np.float64 and np.finfo(np.longdouble).maxexp <= np.finfo(np.float64).maxexp:
        pytest.skip("no float is wider here")
    wide = reference.values(a[:, None].astype(np.longdouble), b[None].astype(np.longdouble), metric)
    usual = reference.usual(a)[:, None] & reference.usual(b)
    extreme = ~usual
    tolerance = 2e-6 if a.dtype == np.float32 else 1e-14
    found = fastbox.pairwise(a, b, metric=metric)
    assert_allclose(found[extreme].astype(np.float64), wide[extreme].astype(np.float64), rtol=tolerance, atol=tolerance)


@given(st.data(), st.sampled_from(FLOATS))
def test_a_box_of_positive_sides_is_itself(data: Any, dtype: Any) -> None:
    boxes = data.draw(any_size(dtype))
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    assume(len(boxes))
    for metric in SIMILARITIES:
        assert_array_equal(np.diag(fastbox.pairwise(boxes, boxes, metric=metric)), 1)
        assert_array_equal(fastbox.aligned(boxes, boxes, metric=metric), 1)
    for box in boxes:
        assert suppression.nms([box, box], [1, 0.5], iou_threshold=0.9).tolist() == [0]
        fused = fusion.weighted_boxes_fusion(np.stack([box, box]), [0.5, 0.5], iou_threshold=0.9)
        assert len(fused.boxes) == 1
        match = fastbox.match(box[None], box[None])
        assert match.labels.tolist() == [1]


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [1e18, 1e-18])
def test_extreme_boxes_among_many_others(metric: str, dtype: Any, spread: float) -> None:
    a, b = some_boxes(70, dtype, 1, exact=False, bad=0.1), some_boxes(1100, dtype, 2, exact=False, bad=0.1)
    plain = fastbox.pairwise(a, b, metric=metric)
    a[3::20] *= dtype(spread)
    b[5::200] *= dtype(spread)
    values = fastbox.pairwise(a, b, metric=metric)
    others = np.ones(len(a), bool), np.ones(len(b), bool)
    others[0][3::20], others[1][5::200] = False, False
    assert_array_equal(bits(values[np.ix_(*others)]), bits(plain[np.ix_(*others)]))
    for i in range(0, 70, 7):
        row = np.tile(a[i], (len(b), 1))
        assert_array_equal(bits(fastbox.aligned(row, b, metric=metric)), bits(values[i]))
    expected = reference.best(values, metric)
    found = fastbox.best(a, b, metric=metric)
    assert_array_equal(found.indices, expected.indices)
    assert_array_equal(fastbox.top(a, b, 4, metric=metric).indices, reference.top(values, 4, metric).indices)


THIN = -5e-324, -5e-324, -5e-324, -5e-324


HIGH = -5e-324, -1e-12, 5e-324, -5e-324


@example((np.array([THIN]), np.array([HIGH])), "diou", "xyxy")
@example((np.array([HIGH]), np.array([HIGH])), "ciou", "xyxy")
@example(
    (np.array([[0, 0, 2e-40, 3e-40]], np.float32), np.array([[1e-40, -1e-40, 4e-40, 3e-40]], np.float32)),
    "eiou",
    "xywh",
)
@example(
    (np.array([[0, 0, 2e-42, 3e-42]], np.float32), np.array([[1e-42, -1e-42, 4e-42, 3e-42]], np.float32)),
    "iou",
    "cxcywh",
)
@given(two_of_any_size(), st.sampled_from(list(OVERLAP)), formats)
def test_losses_and_gradients_of_any_size_are_finite_in_every_format(ab: Any, name: str, format: str) -> None:
    a, b = (boxes[: min(map(len, ab))] for boxes in ab)
    with np.errstate(over="ignore"):
        pred = Boxes(reference.to_format(a, format), format)
    valid = pred.invalid() == 0
    found = getattr(fastbox, f"{name}_loss")(pred, b, reduction="none", return_grad=True)
    assert np.isfinite(found.loss[valid]).all()
    assert np.isfinite(found.grad[valid]).all()
    assert_allclose(found.loss, 1 - fastbox.aligned(pred, b, metric=name), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OVERLAP)
def test_gradients_scale_with_the_boxes(name: str, dtype: Any) -> None:
    a, b = (
        some_boxes(40, np.float64, 3, exact=False).astype(dtype),
        some_boxes(40, np.float64, 4, exact=False).astype(dtype),
    )
    loss = getattr(fastbox, f"{name}_loss")
    plain = loss(a, b, reduction="none", return_grad=True)
    for power in (70, -70):
        unit = dtype(2.0) ** power
        found = loss(a * unit, b * unit, reduction="none", return_grad=True)
        assert_allclose(found.loss, plain.loss, rtol=1e-5 if dtype == np.float32 else 1e-13)
        assert_allclose(found.grad * unit, plain.grad, rtol=1e-3 if dtype == np.float32 else 1e-9, atol=1e-7)


@given(st.data(), st.sampled_from([0.0, 0.3, 0.9]))
def test_suppression_of_any_size_is_that_of_the_plain_loop(data: Any, threshold: float) -> None:
    boxes = data.draw(any_size(data.draw(dtypes)))
    scores = np.arange(len(boxes), 0.0, -1)
    kept: list[int] = []
    overlaps = fastbox.pairwise(boxes, boxes).astype(np.float64)
    for i in range(len(boxes)):
        if not (overlaps[kept, i] > threshold).any():
            kept.append(i)
    for dense in (384, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(suppression, "DENSE", dense)
            assert suppression.nms(boxes, scores, iou_threshold=threshold).tolist() == kept


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e30])
def test_evaluation_of_any_size(size: float) -> None:
    from fastbox.kernels.evaluate.overlap import Sides, overlap

    square, flat = Sides(0.0, 0.0, size, size), Sides(0.0, 0.0, size, 1 / size)
    for crowd in (False, True):
        assert overlap(square, square, crowd) == 1
        assert overlap(square, Sides(0.0, 0.0, size, size / 2), crowd) == pytest.approx(0.5)
        assert overlap(flat, Sides(size / 2, 0.0, size, 1 / size), crowd) == pytest.approx(0.5 if crowd else 1 / 3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_height_of_minus_zero_turns_no_aspect_beyond_the_usual_range(dtype: Any) -> None:
    for unit in (1e-12, 2e18):
        tall, *flat = (np.array([[0, 0, unit, height]], dtype) for height in (unit / 10, 0.0, -0.0))
        values = [fastbox.pairwise(tall, one, metric="ciou") for one in flat]
        assert values[0] == values[1] >= -1.5
        losses = [fastbox.ciou_loss(one, tall, return_grad=True) for one in flat]
        assert losses[0].loss == losses[1].loss
        assert_array_equal(losses[0].grad, losses[1].grad)
