"""Every nan that is written is the one nan; thresholds and options beyond float32 are infinite or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import METRICS
from strategies import FORMATS, formats, laid_out, layouts, metrics, some_boxes
from support.floats import FLOATS, bits
from support.losses import OVERLAP

import fastbox
from fastbox import Boxes
from fastbox.datasets.by_image import coordinates
from fastbox.datasets.dataset import COORDINATES
from fastbox.suppression import fusion
from fastbox.suppression import nms as suppression


def only_one_nan(values: Any) -> None:
    """Every nan has the bits of numpy.nan."""
    found = np.asarray(values)
    assert_array_equal(bits(found)[np.isnan(found)], bits(np.array([np.nan], found.dtype))[0])


def spoilt(dtype: Any) -> Any:
    """Boxes that are invalid in every way, with nan of both signs, among good ones."""
    boxes = some_boxes(200, dtype, 9, exact=False)
    for row, (column, value) in enumerate((c, v) for c in range(4) for v in (np.nan, -np.nan, np.inf, -np.inf)):
        boxes[3 * row, column] = np.copysign(value, -1) if row % 4 == 1 else value
    boxes[60:70] = boxes[60:70, ::-1]
    return boxes


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_nan_that_is_written_is_the_one(metric: str, dtype: Any) -> None:
    bad, good = spoilt(dtype), some_boxes(200, dtype, 10, exact=False)
    for a, b in ((bad, good), (good, bad), (bad, bad), (bad, bad[::-1])):
        values = fastbox.pairwise(a, b, metric=metric)
        assert np.isnan(values).any()
        only_one_nan(values)
        only_one_nan(fastbox.pairwise(a, b, metric=metric, out=np.empty_like(values)))
        only_one_nan(fastbox.aligned(a, b, metric=metric))
        only_one_nan(fastbox.best(a, b, metric=metric).values)
        only_one_nan(fastbox.top(a, b, 2, metric=metric).values)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_nan_of_a_loss_or_a_delta_is_the_one(dtype: Any) -> None:
    bad, good = spoilt(dtype), some_boxes(200, dtype, 10, exact=False)
    weights = np.where(np.arange(200) % 7, 1, np.copysign(np.nan, -1)).astype(dtype)
    for a, b in ((bad, good), (good, bad), (bad, bad)):
        for name in (*(f"{name}_loss" for name in OVERLAP), "smooth_l1_loss", "huber_loss", "l1_loss"):
            for weighed in (None, weights):
                found = getattr(fastbox, name)(a, b, reduction="none", return_grad=True, weights=weighed)
                only_one_nan(found.loss)
                only_one_nan(found.grad)
            total = np.array([getattr(fastbox, name)(a, b, reduction="sum")])
            only_one_nan(total)
        deltas = fastbox.encode(a, b)
        only_one_nan(deltas)
        only_one_nan(fastbox.decode(a, b))
        graded = fastbox.giou_loss(fastbox.Deltas(a / 1000, b), good, return_grad=True)
        only_one_nan(graded.grad)


@pytest.mark.jit
@given(st.sampled_from(FLOATS), formats, layouts, metrics)
def test_the_one_nan_in_every_format_and_layout(dtype: Any, format: str, layout: str, metric: str) -> None:
    with np.errstate(invalid="ignore"):
        bad = Boxes(laid_out(reference.to_format(spoilt(dtype), format), layout), format)
    only_one_nan(fastbox.pairwise(bad, bad, metric=metric))
    only_one_nan(fastbox.aligned(bad, bad, metric=metric))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("format", [*FORMATS, *(f"rel_{name}" for name in FORMATS)])
def test_corners_have_the_one_nan_and_say_nothing(format: str, dtype: Any) -> None:
    most = np.finfo(dtype).max
    numbers = np.array([np.nan, -np.nan, np.inf, -np.inf, most, -most, 0, -1, 2], dtype)
    rng = np.random.default_rng(0)
    size = (0.5, 2) if format.startswith("rel_") else None
    boxes = Boxes(rng.choice(numbers, (500, 4)), format, size=size)
    only_one_nan(boxes.corners())
    assert (boxes.invalid()[np.isnan(boxes.corners()).any(axis=1)] == 1).all()
    only_one_nan(fastbox.l1_loss(boxes, boxes, reduction="none"))


@pytest.mark.parametrize("given", COORDINATES)
@pytest.mark.parametrize("format", COORDINATES)
def test_boxes_that_are_converted_have_the_one_nan(given: str, format: str) -> None:
    numbers = np.random.default_rng(1).choice([np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 0.0, 2.0], (4, 500))
    table = pa.table(dict(zip(COORDINATES[given], numbers, strict=True)))
    for column in coordinates(table, format):
        only_one_nan(column)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*(f"{name}_loss" for name in OVERLAP), "smooth_l1_loss", "huber_loss", "l1_loss"])
def test_a_sum_that_is_no_number_is_the_one_nan(name: str, dtype: Any) -> None:
    most = np.finfo(dtype).max
    far = np.array([[-most, 0, -most, 1], [-most, 0, -most, 1]], dtype)
    near = np.array([[most, 0, most, 1], [most, 0, most, 1]], dtype)
    for weights in ([1, -1], [np.inf, 1], [np.inf, -np.inf], [-np.nan, 1], [0, 0]):
        for reduction in ("none", "box", "sum", "mean"):
            weighed = np.array(weights, dtype)
            found = getattr(fastbox, name)(far, near, reduction=reduction, weights=weighed, return_grad=True)
            only_one_nan(np.array(found.loss, dtype if np.ndim(found.loss) else np.float64))
            only_one_nan(found.grad)
        across = np.array(weights * 2, dtype)
        if name in ("smooth_l1_loss", "huber_loss", "l1_loss"):
            only_one_nan(getattr(fastbox, name)(far[0], near[0], reduction="box", weights=across))


# Numbers beside boxes that their dtype can't hold


def test_thresholds_and_betas_beyond_float32_are_infinite() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 2, 2]], np.float32)
    assert len(fastbox.pairs(boxes, boxes, threshold=1e300, metric="l1").rows) == 4
    assert len(fastbox.pairs(boxes, boxes, threshold=-1e300).rows) == 4
    assert len(fastbox.pairs(boxes, boxes, threshold=1e300).rows) == 0
    for beta in (1e300, np.inf):
        assert not fastbox.pairwise(boxes, boxes, metric="smooth_l1", beta=beta).any()
        assert not fastbox.aligned(boxes, boxes[::-1], metric="smooth_l1", beta=beta).any()
        assert fastbox.smooth_l1_loss(boxes, boxes[::-1], beta=beta) == 0
        assert fastbox.huber_loss(boxes, boxes[::-1], delta=beta) == 0.25
    assert suppression.nms(boxes, [0.5, 0.9], iou_threshold=0.9).tolist() == [1, 0]
    assert fastbox.match(boxes, boxes, rule=fastbox.MatchRule.fastbox(1e300, 0.4)).labels.tolist() == [1, 1]
    wide = np.array([[0, 0, 1, np.longdouble("1e4000")]], np.longdouble)
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        assert Boxes(wide).invalid().tolist() == [1]


def test_numbers_beyond_every_float_are_refused() -> None:
    boxes = np.array([[0, 0, 1, 1]], np.float32)
    for call in (
        lambda: fastbox.pairs(boxes, boxes, threshold=10**400, metric="l1"),
        lambda: fastbox.pairwise(boxes, boxes, metric="smooth_l1", beta=10**400),
        lambda: suppression.nms(boxes, [1], iou_threshold=10**400),
        lambda: fastbox.pairwise([[0, 0, 1, 10**400]], boxes),
    ):
        with pytest.raises(ValueError, match=r"within the floats, up to 1\.8e308, got 1000"):
            call()


@pytest.mark.parametrize(
    ("dtype", "bins", "limits", "said"),
    [
        (np.float32, 4, (0, 1e300), "whose width float32 holds"),
        (np.float64, 4, (-1.7e308, 1.7e308), "whose width float64 holds"),
        (np.float64, 3, (0, 1e-310), "a range of at least 3 / 1.8e308"),
        (np.float32, 1000, (0.9999999, 1.0), "no more bins than float32 has numbers"),
        (np.float64, 2**63, (0, 1), "no more bins than float64 has numbers"),
    ],
)
def test_bins_that_a_dtype_can_not_have_are_refused(dtype: Any, bins: int, limits: Any, said: str) -> None:
    boxes = np.array([[0, 0, 1, 1]], dtype)
    with pytest.raises(ValueError, match=said):
        fastbox.histogram(boxes, boxes, metric="l1", bins=bins, range=limits)


def test_options_beyond_float32_are_infinite_or_refused() -> None:
    boxes, zeros = np.array([[0, 0, 1, 1], [0, 0, 2, 2]], np.float32), np.zeros((2, 4), np.float32)
    assert_array_equal(fastbox.decode(zeros, boxes, ctr_clamp=1e300, size=(1e300, 1e300)), boxes)
    deltas = fastbox.Deltas(zeros, boxes, ctr_clamp=1e300, max_ratio=1e300)
    assert np.isfinite(fastbox.giou_loss(deltas, boxes, return_grad=True).grad).all()
    for name in ("weights", "means", "stds"):
        for value in (1e300, 1e-300):
            call = (1.0, value, 1.0, 1.0)
            if (name, value) == ("means", 1e-300):
                assert np.isfinite(fastbox.encode(boxes, boxes, means=call)).all()
                continue
            with pytest.raises(ValueError, match=f"expected {name} that float32 holds, got .*: give float64 boxes"):
                fastbox.encode(boxes, boxes, **{name: call})
            with pytest.raises(ValueError, match=f"expected {name} that float32 holds"):
                fastbox.decode(zeros, boxes, **{name: call})
    weighed = fastbox.l1_loss(boxes, boxes[::-1] + 1, weights=[1e300, 1], reduction="box")
    assert weighed.tolist() == [np.inf, 2]
    for side in (1e300, np.inf, np.nan, 0, -5):
        with pytest.raises(ValueError, match=r"size=\(width, height\) of finite numbers above 0, got .* at row 1"):
            Boxes(boxes, "rel_xyxy", size=(1, np.array([2.0, side])))
    with pytest.raises(ValueError, match="size of finite numbers above 0"):
        fastbox.match_optimal(boxes, boxes, size=(1e300, 1))


def test_gradients_by_deltas_from_anchors_that_are_not_finite_say_nothing() -> None:
    anchors = np.array([[np.inf, 0, np.inf, 1], [0, 0, 1, 1]])
    grad = fastbox.giou_loss(fastbox.Deltas(np.zeros((2, 4)), anchors), anchors, return_grad=True).grad
    assert np.isnan(grad).any(axis=1).tolist() == [True, False]
    only_one_nan(grad)


@pytest.mark.parametrize("conf_type", fusion.CONFIDENCES)
def test_fusion_knows_only_the_ratios_of_weights_and_no_infinite_score(conf_type: str) -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 5], [1, 1, 9, 9]], np.float64)
    options: Any = {"models": [0, 1, 0], "conf_type": conf_type}
    plain = fusion.weighted_boxes_fusion(boxes, [0.5, 0.4, 0.3], weights=[1, 2], **options)
    for power in (-1073, -500, 3, 1000, 1022):
        weights = np.ldexp([1.0, 2.0], power)
        found = fusion.weighted_boxes_fusion(boxes, [0.5, 0.4, 0.3], weights=weights, **options)
        assert_array_equal(found.boxes, plain.boxes)
        assert_array_equal(found.scores, plain.scores)
    for score in (np.inf, -np.inf, np.nan):
        found = fusion.weighted_boxes_fusion(
            np.concatenate([boxes, boxes[:1]]), [0.5, 0.4, 0.3, score], models=[0, 1, 0, 1], weights=[1, 2],
            conf_type=conf_type,
        )  # fmt: skip
        assert_array_equal(found.boxes, plain.boxes)
        assert_array_equal(found.scores, plain.scores)
