"""Losses and their gradients against torch's autograd, central differences and known truths; sums, weights, memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import FORMATS, LAYOUTS, VALID, corners, formats, laid_out, some_boxes
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes

FLOATS = [np.float32, np.float64]
OVERLAP: dict[str, Callable[..., Any]] = {
    "iou": fastbox.iou_loss,
    "giou": fastbox.giou_loss,
    "diou": fastbox.diou_loss,
    "ciou": fastbox.ciou_loss,
    "eiou": fastbox.eiou_loss,
}
PULLING = ("giou", "diou", "ciou", "eiou")
NUMBERS: dict[str, Callable[..., Any]] = {
    "smooth_l1": fastbox.smooth_l1_loss,
    "smooth_l1 at 0.1": lambda *given, **options: fastbox.smooth_l1_loss(*given, beta=0.1, **options),
    "huber at 0.5": lambda *given, **options: fastbox.huber_loss(*given, delta=0.5, **options),
    "l1": fastbox.l1_loss,
}
ALL = OVERLAP | NUMBERS
FEW = 40 if WITHOUT_JIT else 400


@pytest.fixture(params=OVERLAP)
def overlap(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=NUMBERS)
def numbers(request: pytest.FixtureRequest) -> Any:
    return NUMBERS[request.param]


@pytest.fixture(params=ALL)
def loss(request: pytest.FixtureRequest) -> Any:
    return ALL[request.param]


def on_a_grid(n: int, dtype: Any, seed: int = 0) -> Any:
    """Two sets of boxes on a few points: many are identical, nested, or share corners, and some have no area."""
    rng = np.random.default_rng(seed)
    low, side = rng.integers(0, 5, (2, 2 * n, 2))
    boxes = np.concatenate([low, low + side], axis=1).astype(dtype)
    return boxes[:n], boxes[n:]


def apart_from_ties(n: int, seed: int = 0) -> Any:
    """Two sets of boxes, no two coordinates of a pair within 0.5 pixels on either axis; about half overlap."""
    rng = np.random.default_rng(seed)
    ticks = np.cumsum(rng.uniform(0.5, 10, (n, 2, 4)), axis=2) + rng.uniform(0, 50, (n, 2, 1))
    picks = np.argsort(rng.random((n, 2, 4)), axis=2)
    first, second = (np.sort(np.take_along_axis(ticks, picks[..., k : k + 2], 2), axis=2) for k in (0, 2))
    return tuple(np.concatenate([one[..., 0], one[..., 1]], axis=1) for one in (first, second))


# Values


@given(corners(), formats, formats, st.sampled_from(tuple(OVERLAP)))
def test_losses_are_one_less_the_metric(a: Any, format_a: str, format_b: str, metric: str) -> None:
    with np.errstate(invalid="ignore"):
        p = Boxes(reference.to_format(a, format_a), format_a)
        q = Boxes(reference.to_format(a[::-1], format_b), format_b)
    expected = 1 - fastbox.aligned(p, q, metric=metric)
    for reduction in ("none", "box"):
        got = OVERLAP[metric](p, q, reduction=reduction)
        assert (got.dtype, got.shape) == (a.dtype, (len(a),))
        assert_array_equal(got, expected)
    assert_array_equal(OVERLAP[metric](p, q, reduction="none", return_grad=True).loss, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layout_changes_no_bits(overlap: str, layout: str, dtype: Any) -> None:
    a, b = (some_boxes(FEW // 4, dtype, seed, exact=False, bad=0.1) for seed in (1, 2))
    p, q = laid_out(a, layout), laid_out(b, layout)
    right = OVERLAP[overlap](a, b, reduction="none", return_grad=True)
    for pair in ((p, q), (p, b), (a, q)):
        loss, grad = OVERLAP[overlap](*pair, reduction="none", return_grad=True)
        assert_array_equal(loss, right.loss)
        assert_array_equal(grad, right.grad)
        assert grad.flags.c_contiguous


def test_columns_and_groups_change_no_bits(loss: Any) -> None:
    a, b = (some_boxes(50, np.float32, seed, exact=False) for seed in (1, 2))
    right = loss(Boxes(a), Boxes(b), reduction="box", return_grad=True)
    columns = [Boxes.from_columns(*np.ascontiguousarray(x.T)) for x in (a, b)]
    grouped = [Boxes(x, offsets=[0, 20, 20, 50]) for x in (a, b)]
    for pair in (columns, grouped, [grouped[0], b if loss in OVERLAP.values() else columns[1]]):
        for got, expected in zip(loss(*pair, reduction="box", return_grad=True), right, strict=True):
            assert_array_equal(got, expected)


def test_mixed_dtypes_are_taken_in_float64(loss: Any) -> None:
    a, b = some_boxes(30, np.float32, 1, exact=False), some_boxes(30, np.float64, 2, exact=False)
    got = loss(a, b, return_grad=True)
    right = loss(a.astype(np.float64), b, return_grad=True)
    assert got.grad.dtype == np.float64
    assert got.loss == right.loss
    assert_array_equal(got.grad, right.grad)


@given(corners(kinds=VALID))
def test_giou_is_at_most_iou(a: Any) -> None:
    """But for the rounding of a hull that is the union."""
    b = a[::-1]
    iou, giou = fastbox.iou_loss(a, b, reduction="none"), fastbox.giou_loss(a, b, reduction="none")
    assert (iou <= giou + 2 * np.finfo(a.dtype).eps).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_giou_is_iou_where_the_hull_is_the_union(dtype: Any) -> None:
    a = np.array([[0, 0, 8, 4], [0, 0, 8, 4], [0, 0, 8, 4], [0, 0, 5, 4], [0, 0, 5, 4]], dtype)
    b = np.array([[0, 0, 8, 4], [2, 1, 3, 2], [4, 0, 8, 4], [3, 0, 9, 4], [5, 0, 9, 4]], dtype)
    assert_array_equal(fastbox.giou_loss(a, b, reduction="none"), fastbox.iou_loss(a, b, reduction="none"))
    beside = np.array([[9, 4, 10, 5]] * 5, dtype)
    assert (fastbox.giou_loss(a, beside, reduction="none") > fastbox.iou_loss(a, beside, reduction="none")).all()


# Gradients against torch


def in_torch(torch: Any, metric: str, pred: Any, target: Any, format: str) -> tuple[Any, list[Any], list[Any]]:
    """The loss of each box from torch's own operations, the quantities that it is made of, and terms that cancel.

    Nothing is added to denominators; one of 0 gives 0, and no gradient.
    """

    def ratio(x: Any, y: Any) -> Any:
        zero = torch.zeros_like(y)
        return torch.where(y == 0, zero, x / torch.where(y == 0, torch.ones_like(y), y))

    def sides(boxes: Any) -> Any:
        p, q, r, s = boxes.unbind(1)
        if format == "xywh":
            return p, q, p + r, q + s
        if format == "cxcywh":
            return p - 0.5 * r, q - 0.5 * s, p + 0.5 * r, q + 0.5 * s
        return (q, p, s, r) if format == "yxyx" else (p, q, r, s)

    ax0, ay0, ax1, ay1 = sides(pred)
    bx0, by0, bx1, by1 = sides(target)
    aw, ah, bw, bh = ax1 - ax0, ay1 - ay0, bx1 - bx0, by1 - by0
    w, h = torch.min(ax1, bx1) - torch.max(ax0, bx0), torch.min(ay1, by1) - torch.max(ay0, by0)
    inter = torch.where((w > 0) & (h > 0), w * h, torch.zeros_like(w))
    area = aw * ah
    union = area + bw * bh - inter
    iou = ratio(inter, union)
    if metric == "iou":
        return 1 - iou, [inter, area], []
    cw, ch = torch.max(ax1, bx1) - torch.min(ax0, bx0), torch.max(ay1, by1) - torch.min(ay0, by0)
    if metric == "giou":
        hull = cw * ch
        gap = hull - union
        return 1 - (iou - ratio(gap, hull)), [inter, area, hull, gap], []
    dx, dy = 0.5 * (ax0 + ax1) - 0.5 * (bx0 + bx1), 0.5 * (ay0 + ay1) - 0.5 * (by0 + by1)
    parts = [inter, area, cw, ch, dx, dy]
    loss = 1 - (iou - ratio(dx * dx + dy * dy, cw * cw + ch * ch))
    if metric == "eiou":
        loss = loss + ratio((aw - bw) ** 2, cw * cw) + ratio((ah - bh) ** 2, ch * ch)
        return loss, [*parts, aw, ah], []
    if metric == "ciou":
        angle, other = torch.atan(ratio(aw, ah)), torch.atan(ratio(bw, bh))
        v = 4 / math.pi**2 * (other - angle) ** 2
        with torch.no_grad():
            alpha = ratio(v, 1 - iou + v)
        thrice = (
            3 * 8 / math.pi**2 * alpha * other * angle
        )  # the difference of angles once in its slope, twice in alpha
        return loss + alpha * v, parts, [thrice]
    return loss, parts, []


def torch_gradient(metric: str, a: Any, b: Any, format: str) -> tuple[Any, Any]:
    """Torch's gradient, and of each row the largest term that goes into it.

    Terms cancel, exactly so for equal boxes, and then both sides are only as good as what cancelled.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pred = torch.from_numpy(a.copy()).requires_grad_()
    loss, parts, terms = in_torch(torch, metric, pred, torch.from_numpy(b.copy()), format)
    (grad,) = torch.autograd.grad(loss.sum(), pred, retain_graph=True)
    weights = torch.autograd.grad(loss.sum(), parts, retain_graph=True)
    scale = grad.abs().amax(1)
    for term in (*terms, *(part * weight for part, weight in zip(parts, weights, strict=True))):
        (inner,) = torch.autograd.grad(term.sum(), pred, retain_graph=True)
        scale = torch.maximum(scale, inner.abs().amax(1))
    return grad.numpy(), scale.numpy()


def assert_agree(got: Any, expected: Any, scale: Any) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    error = np.abs(got - expected).max(axis=1, initial=0)
    assert np.isfinite(got).all()
    assert (error <= 4 * np.finfo(got.dtype).eps * scale).all()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_are_torchs(overlap: str, dtype: Any, format: str) -> None:
    for pair in (
        [some_boxes(FEW, dtype, seed, exact=False) for seed in (1, 2)],
        [some_boxes(FEW, dtype, 3, exact=False), some_boxes(FEW, dtype, 3) + dtype(0.3)],
        on_a_grid(2 * FEW, dtype),
        [some_boxes(FEW, dtype, 3, exact=False) * dtype(1 / 1024), np.tile(dtype([-300, -400, 500, 600]), (FEW, 1))],
    ):
        a, b = (reference.to_format(x, format) for x in pair)
        got = OVERLAP[overlap](Boxes(a, format), Boxes(b, format), reduction="sum", return_grad=True).grad
        assert_agree(got, *torch_gradient(overlap, a, b, format))


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_numbers_are_torchs(dtype: Any) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(1)
    a, b = (np.concatenate([rng.normal(0, 2, FEW), rng.integers(-2, 3, FEW) / 2]).astype(dtype) for _ in range(2))
    for ours, theirs, options in (
        (fastbox.smooth_l1_loss, functional.smooth_l1_loss, {"beta": 1.0}),
        (fastbox.smooth_l1_loss, functional.smooth_l1_loss, {"beta": 0.5}),
        (fastbox.smooth_l1_loss, functional.smooth_l1_loss, {"beta": 0.0}),
        (fastbox.huber_loss, functional.huber_loss, {"delta": 0.5}),
        (fastbox.l1_loss, functional.l1_loss, {}),
    ):
        pred = torch.from_numpy(a.copy()).requires_grad_()
        theirs(pred, torch.from_numpy(b), reduction="sum", **options).backward()
        got = ours(a, b, reduction="sum", return_grad=True, **options).grad
        assert_allclose(got, pred.grad.numpy(), rtol=2 * np.finfo(dtype).eps, atol=0)


# Gradients against differences


def central(function: Callable[[Any], Any], at: Any, step: float) -> Any:
    """The slope of each row's value by each of its four numbers."""
    slopes = np.empty_like(at)
    for k in range(4):
        up, down = at.copy(), at.copy()
        up[:, k] += step
        down[:, k] -= step
        slopes[:, k] = (function(up) - function(down)) / (up[:, k] - down[:, k])
    return slopes


@pytest.mark.parametrize("format", FORMATS)
def test_gradients_are_central_differences(overlap: str, format: str) -> None:
    a, b = apart_from_ties(FEW // 4)
    p, target = reference.to_format(a, format), Boxes(reference.to_format(b, format), format)

    def value(boxes: Any) -> Any:
        if overlap != "ciou":
            return OVERLAP[overlap](Boxes(boxes, format), target, reduction="none")
        return fastbox.diou_loss(Boxes(boxes, format), target, reduction="none") + alpha * v(boxes)

    def v(boxes: Any) -> Any:
        x0, y0, x1, y1 = reference.from_format(boxes, format).T
        return 4 / np.pi**2 * (angles - np.arctan((x1 - x0) / (y1 - y0))) ** 2

    angles = np.arctan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1]))
    alpha = v(p) / (1 - reference.aligned(a, b, "iou") + v(p))  # a constant to the gradient
    got = OVERLAP[overlap](Boxes(p, format), target, reduction="sum", return_grad=True).grad
    expected = central(value, p, 1e-4)
    largest = np.abs(expected).max(axis=1, keepdims=True)
    assert (largest > 0).any()
    assert (np.abs(got - expected) <= 1e-6 * largest).all()


@pytest.mark.parametrize("format", FORMATS)
def test_gradients_of_coordinates_are_central_differences(numbers: Any, format: str) -> None:
    """Also of boxes in any format, compared by their corners."""
    rng = np.random.default_rng(2)
    a = some_boxes(FEW // 4, np.float64, 1, exact=False) + np.array([0, 0, 3, 3])
    apart = rng.choice([-0.9, -0.3, -0.05, 0.05, 0.3, 0.7, 1.5], a.shape)  # none near 0, 0.1, 0.5 or 1
    p, target = reference.to_format(a, format), Boxes(reference.to_format(a - apart, format), format)
    got = numbers(Boxes(p, format), target, reduction="sum", return_grad=True).grad
    expected = central(lambda boxes: numbers(Boxes(boxes, format), target, reduction="box"), p, 1e-4)
    assert_allclose(got, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


# Known truths


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_boxes_apart_have_no_gradient_of_iou_but_of_the_others(dtype: Any, format: str) -> None:
    """A small step against the gradient brings the boxes closer together."""
    a = np.array([[0, 0, 2, 1], [0, 0, 2, 2], [9, 9, 12, 11], [0, 0, 4, 4]], dtype)
    b = np.array([[5, 0, 6, 1], [3, 4, 5, 5], [1, 2, 4, 3], [4, 4, 8, 8]], dtype)  # the last touch
    p, q = Boxes(reference.to_format(a, format), format), Boxes(reference.to_format(b, format), format)
    loss, grad = fastbox.iou_loss(p, q, reduction="none", return_grad=True)
    assert_array_equal(loss, np.ones(4, dtype))
    assert_array_equal(grad, np.zeros((4, 4), dtype))
    for metric in PULLING:
        loss, grad = OVERLAP[metric](p, q, reduction="none", return_grad=True)
        assert (np.abs(grad).max(axis=1) > 0).all()
        step = dtype(0.01) * grad / np.abs(grad).max(axis=1, keepdims=True)
        moved = Boxes(reference.to_format(a, format) - step, format)
        assert (OVERLAP[metric](moved, q, reduction="none") < loss).all()


def test_boxes_apart_are_pulled_towards_their_target() -> None:
    for metric in PULLING:
        grad = OVERLAP[metric]([[0, 0, 2, 2]], [[6, 0.5, 8, 2.5]], return_grad=True).grad[0]
        assert grad[2] < 0
        assert grad[0] + grad[2] < 0


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_identical_boxes_have_no_gradient(overlap: str, dtype: Any, format: str) -> None:
    """Not even of IoU: half of each min and max goes to the intersection, and half to the union."""
    boxes = Boxes(reference.to_format(np.array([[0, 0, 4, 2], [1, 1, 5, 17], [-8, 2, -4, 4]], dtype), format), format)
    loss, grad = OVERLAP[overlap](boxes, boxes, reduction="none", return_grad=True)
    assert_array_equal(loss, np.zeros(3, dtype))
    assert_array_equal(grad, np.zeros((3, 4), dtype))


def degenerate(dtype: Any, format: str) -> Any:
    """Lines, points and boxes that touch them, each with each."""
    kinds = np.array([[2, 2, 2, 6], [2, 2, 6, 2], [2, 2, 2, 2], [2, 2, 6, 6], [0, 0, 2, 2], [3, 3, 3, 3]], dtype)
    a, b = np.repeat(kinds, len(kinds), axis=0), np.tile(kinds, (len(kinds), 1))
    return reference.to_format(a, format), reference.to_format(b, format)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("format", FORMATS)
def test_degenerate_boxes_give_finite_gradients(overlap: str, dtype: Any, format: str) -> None:
    a, b = degenerate(dtype, format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if WITHOUT_JIT else "error")
        loss, grad = OVERLAP[overlap](Boxes(a, format), Boxes(b, format), reduction="none", return_grad=True)
    assert np.isfinite(loss).all()
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("format", FORMATS)
def test_gradients_of_degenerate_boxes_are_torchs(overlap: str, dtype: Any, format: str) -> None:
    a, b = degenerate(dtype, format)
    got = OVERLAP[overlap](Boxes(a, format), Boxes(b, format), reduction="sum", return_grad=True).grad
    assert_agree(got, *torch_gradient(overlap, a, b, format))


@given(corners(max_size=80), formats, st.sampled_from(tuple(ALL)))
def test_invalid_boxes_and_no_others_give_nan(a: Any, format: str, name: str) -> None:
    with np.errstate(invalid="ignore"):
        p = Boxes(reference.to_format(a, format), format)
        q = Boxes(reference.to_format(a[::-1], format), format)
        bad = (reference.invalid(p.corners()) > 0) | (reference.invalid(q.corners()) > 0)
    loss, grad = ALL[name](p, q, reduction="box", return_grad=True)
    assert_array_equal(np.isnan(loss), bad)
    assert_array_equal(np.isnan(grad), np.repeat(bad[:, None], 4, axis=1))
    assert np.isfinite(grad[~bad]).all()
    if bad.any():
        total, grad = ALL[name](p, q, return_grad=True)
        assert math.isnan(total)
        assert_array_equal(np.isnan(grad).all(axis=1), bad)


# Weights and reductions


def some(n: int, dtype: Any = np.float64, seed: int = 0) -> tuple[Any, Any]:
    return some_boxes(n, dtype, seed + 1, exact=False), some_boxes(n, dtype, seed + 2, exact=False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_weight_multiplies_a_box(loss: Any, dtype: Any) -> None:
    a, b = some(50, dtype)
    weights = np.random.default_rng(3).integers(0, 5, 50).astype(dtype) / 4  # exact, and some of them 0
    each, slopes = loss(a, b, reduction="none", return_grad=True)
    got, grad = loss(a, b, reduction="none", weights=weights, return_grad=True)
    assert_array_equal(got, each * weights.reshape(-1, *[1] * (each.ndim - 1)))
    assert_array_equal(grad, slopes * weights[:, None])
    boxes = loss(a, b, reduction="box")
    assert_allclose(loss(a, b, reduction="box", weights=weights), boxes * weights, rtol=4 * np.finfo(dtype).eps)
    assert loss(a, b, reduction="sum", weights=weights) == pytest.approx(math.fsum(boxes * weights), rel=1e-6)
    mean, grad = loss(a, b, weights=weights, return_grad=True)
    values = 4 if each.ndim == 2 else 1
    assert mean == pytest.approx(math.fsum(boxes * weights) / (values * weights.sum()), rel=1e-6)
    assert_allclose(grad, slopes * weights[:, None] / (values * weights.sum()), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(70,), (30, 4), (20, 3), (2, 5, 4), (0, 4), (1,)])
def test_a_weight_multiplies_a_number(numbers: Any, shape: Any) -> None:
    rng = np.random.default_rng(4)
    a, b, weights = rng.normal(0, 2, shape), rng.normal(0, 2, shape), rng.integers(1, 5, shape) / 4
    each, slopes = numbers(a, b, reduction="none", return_grad=True)
    got, grad = numbers(a, b, reduction="none", weights=weights, return_grad=True)
    assert_array_equal(got, each * weights)
    assert_array_equal(grad, slopes * weights)
    if each.size:
        mean = np.average(each, weights=weights)
        assert numbers(a, b, weights=weights) == pytest.approx(mean, rel=1e-12)
    if len(shape) > 1:  # one for each row of the last axis
        by_row = weights[..., 0]
        repeated = np.repeat(by_row, shape[-1]).reshape(shape)
        for reduction in ("none", "sum", "mean"):
            for one, other in zip(
                numbers(a, b, reduction=reduction, weights=by_row, return_grad=True),
                numbers(a, b, reduction=reduction, weights=repeated, return_grad=True),
                strict=True,
            ):
                assert_array_equal(one, other)


@pytest.mark.parametrize("reduction", ["none", "box", "sum", "mean"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_weights_of_one_change_nothing(loss: Any, dtype: Any, reduction: str) -> None:
    a, b = some(77, dtype)
    right = loss(a, b, reduction=reduction, return_grad=True)
    for weights in (np.ones(77, np.float32), np.ones(77, int), [1] * 77, np.ones((77, 2))[:, 0]):
        for got, expected in zip(
            loss(a, b, reduction=reduction, weights=weights, return_grad=True), right, strict=True
        ):
            assert_array_equal(got, expected)


def test_weights_that_do_not_fit_are_refused(loss: Any) -> None:
    a, b = some(6)
    for shape in ((), (5,), (6, 1), (1, 6), (4,), (6, 4, 1)):
        with pytest.raises(ValueError, match=r"expected weights of shape \(6,.*got"):
            loss(a, b, weights=np.ones(shape))
    with pytest.raises(TypeError, match="real numbers"):
        loss(a, b, weights=np.ones(6, complex))
    with pytest.raises(ValueError, match=r"expected weights of shape \(6,\), got \(6, 4\)"):
        fastbox.iou_loss(a, b, weights=np.ones((6, 4)))


def test_weights_that_sum_to_nothing_have_no_mean(loss: Any) -> None:
    a, b = some(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, grad = loss(a, b, weights=np.zeros(6), return_grad=True)
        assert math.isnan(mean)
        assert np.isnan(grad).all()
        total, grad = loss(a, b, reduction="sum", weights=np.zeros(6), return_grad=True)
    assert total == 0
    assert_array_equal(grad, np.zeros((6, 4)))


def test_a_weight_of_zero_does_not_hide_an_invalid_box(overlap: str) -> None:
    bad = np.array([[0, 0, 1, 1], [3, 0, 1, 1]], float)
    loss, grad = OVERLAP[overlap](bad, bad, weights=[1, 0], reduction="none", return_grad=True)
    assert_array_equal(np.isnan(loss), [False, True])
    assert_array_equal(np.isnan(grad).all(axis=1), [False, True])


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_reduction_scales_the_gradient(loss: Any, dtype: Any) -> None:
    a, b = some(77, dtype)
    each, slopes = loss(a, b, reduction="none", return_grad=True)
    for reduction in ("box", "sum"):
        assert_array_equal(loss(a, b, reduction=reduction, return_grad=True).grad, slopes)
    assert_allclose(loss(a, b, return_grad=True).grad, slopes / each.size, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("reduction", ["none", "box", "sum", "mean"])
def test_asking_for_the_gradient_changes_no_loss(loss: Any, reduction: str) -> None:
    a, b = some(200, np.float32)
    alone = loss(a, b, reduction=reduction)
    graded = loss(a, b, reduction=reduction, return_grad=True)
    assert isinstance(graded, fastbox.LossAndGrad)
    assert_array_equal(graded.loss, alone)
    assert (graded.grad.shape, graded.grad.dtype) == ((200, 4), np.float32)
    written = loss(a, b, reduction=reduction, return_grad=True, grad_out=np.empty((200, 4), np.float32))
    assert_array_equal(written.loss, alone)
    assert_array_equal(written.grad, graded.grad)


def test_the_mean_of_nothing_is_nan_and_its_gradient_empty(loss: Any) -> None:
    nothing = np.empty((0, 4), np.float32)
    for weights in (None, np.empty(0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mean, grad = loss(nothing, nothing, weights=weights, return_grad=True)
            assert loss(nothing, nothing, weights=weights, reduction="sum") == 0
            assert loss(nothing, nothing, weights=weights, reduction="box").shape == (0,)
        assert type(mean) is float
        assert math.isnan(mean)
        assert (grad.shape, grad.dtype) == ((0, 4), np.float32)


def test_the_two_sides_must_be_as_long(overlap: str) -> None:
    with pytest.raises(ValueError, match="got 3 and 2"):
        OVERLAP[overlap](np.zeros((3, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"none, box, sum, mean, got 'average'"):
        OVERLAP[overlap](np.zeros((3, 4)), np.zeros((3, 4)), reduction="average")
    with pytest.raises(TypeError):
        OVERLAP[overlap](np.zeros((3, 4)), np.zeros((3, 4)), "sum")


# Memory


def test_what_is_given_is_written_and_returned(loss: Any) -> None:
    a, b = some(70, np.float32)
    for reduction in ("none", "box"):
        right = loss(a, b, reduction=reduction, return_grad=True)
        out, grad_out = np.full_like(right.loss, 7), np.full_like(a, 7)
        assert loss(a, b, reduction=reduction, out=out) is out
        assert_array_equal(out, right.loss)
        got = loss(a, b, reduction=reduction, return_grad=True, out=out, grad_out=grad_out)
        assert got.loss is out
        assert got.grad is grad_out
        assert_array_equal(out, right.loss)
        assert_array_equal(grad_out, right.grad)
    assert loss(a, b, return_grad=True, grad_out=grad_out).grad is grad_out


@pytest.mark.parametrize("format", FORMATS)
def test_boxes_in_any_format_are_written_and_returned(loss: Any, format: str) -> None:
    a, b = some(70)
    p = Boxes(reference.to_format(a, format), format)
    grad_out = np.full((70, 4), 7.0)
    got = loss(p, Boxes(b), return_grad=True, grad_out=grad_out)
    assert got.grad is grad_out
    assert_array_equal(grad_out, loss(p, Boxes(b), return_grad=True).grad)


def test_what_cannot_be_written_to_is_refused(loss: Any) -> None:
    a, b = some(6, np.float32)
    shape = loss(a, b, reduction="none").shape
    locked = np.empty((6, 4), np.float32)
    locked.flags.writeable = False
    for bad in (
        np.empty((6, 4)),
        np.empty((5, 4), np.float32),
        np.empty(24, np.float32),
        np.empty((4, 6), np.float32).T,
        np.empty((6, 8), np.float32)[:, ::2],
        locked,
        [[0.0] * 4] * 6,
    ):
        with pytest.raises(ValueError, match=r"^expected grad_out to be .*, got [^.]*$"):
            loss(a, b, return_grad=True, grad_out=bad)
    for bad in (np.empty(shape), np.empty((7, *shape[1:]), np.float32), np.empty((12, *shape[1:]), np.float32)[::2]):
        with pytest.raises(ValueError, match=r"^expected out to be .*, got [^.]*$"):
            loss(a, b, reduction="none", out=bad)


def test_what_is_read_is_not_written_to(loss: Any) -> None:
    memory = np.zeros(100, np.float32)
    a, b = memory[:24].reshape(6, 4), memory[24:48].reshape(6, 4)
    weights = memory[48:54]
    shape = loss(a, b, reduction="none").shape
    for start in (0, 20, 40, 50):
        with pytest.raises(ValueError, match="expected grad_out in memory of its own"):
            loss(a, b, weights=weights, return_grad=True, grad_out=memory[start : start + 24].reshape(6, 4))
        if start < 48 or len(shape) == 2:
            with pytest.raises(ValueError, match="expected out in memory of its own"):
                out = memory[start : start + math.prod(shape)].reshape(shape)
                loss(a, b, weights=weights, reduction="none", out=out)
    loss(a, b, weights=weights, return_grad=True, grad_out=memory[54:78].reshape(6, 4))


def test_losses_and_gradients_need_memory_each(loss: Any) -> None:
    a, b = some(6)
    memory = np.empty((6, 4))
    shape = loss(a, b, reduction="none").shape
    with pytest.raises(ValueError, match="expected grad_out in memory of its own, got an array that overlaps out"):
        out = memory.reshape(-1)[-math.prod(shape) :].reshape(shape)
        loss(a, b, reduction="none", return_grad=True, out=out, grad_out=memory)


def test_out_is_for_losses_of_each(loss: Any) -> None:
    a, b = some(6)
    for reduction in ("sum", "mean"):
        with pytest.raises(
            ValueError, match=f'expected out= with reduction="none" or "box", got out= with {reduction!r}'
        ):
            loss(a, b, reduction=reduction, out=np.empty(6))
    with pytest.raises(ValueError, match="expected return_grad=True with grad_out=, got False"):
        loss(a, b, grad_out=np.empty((6, 4)))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["giou", "smooth_l1"])
def test_streams_change_no_bits(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any length and any beginning of the memory; nothing beside the array is written."""
    longest = 150
    a, b = some(longest, dtype)
    right = ALL[name](a, b, reduction="sum", return_grad=True).grad
    monkeypatch.setattr("fastbox.losses.outcome.STREAMED_BYTES", 0)
    for n in range(longest):
        for start in range(n % 3, 64 // np.dtype(dtype).itemsize, 3):
            memory = np.full(4 * n + 48, 7, dtype)
            first = (-memory.ctypes.data) % 64 // memory.itemsize + start
            grad = memory[first : first + 4 * n].reshape(n, 4)
            ALL[name](a[:n], b[:n], reduction="sum", return_grad=True, grad_out=grad)
            assert_array_equal(grad, right[:n])
            assert (memory[:first] == 7).all()
            assert (memory[first + 4 * n :] == 7).all()


@pytest.mark.jit
@pytest.mark.parametrize("name", ["iou", "l1"])
def test_large_gradients_are_streamed_by_any_threads(name: str, threads: Any) -> None:
    n = (32 << 20) // 16 + 4321
    few = some(4099, np.float32)
    a, b = (np.resize(x, (n, 4)) for x in few)
    threads(1)
    right = ALL[name](a, b, reduction="sum", return_grad=True)
    memory = np.empty(4 * n + 3, np.float32)
    for count in (1, 2, 3):
        threads(count)
        grad = memory[count : count + 4 * n].reshape(n, 4)
        grad[:] = 7
        got = ALL[name](a, b, reduction="sum", return_grad=True, grad_out=grad)
        assert got.loss == right.loss
        assert np.array_equal(grad, right.grad)


# Sums


@pytest.mark.jit
def test_threads_change_no_bits(loss: Any, threads: Any) -> None:
    a, b = (np.resize(x, (200_003, 4)) for x in some(10_007, np.float32))
    answers = []
    for n in (1, 2, 3):
        threads(n)
        grad = np.empty_like(a)
        total = loss(a, b, reduction="sum", return_grad=True, grad_out=grad)
        assert loss(a, b, reduction="sum") == total.loss
        each = loss(a, b, reduction="none", return_grad=True)
        assert each.grad.tobytes() == grad.tobytes()
        answers.append((total.loss, loss(a, b), grad.tobytes(), each.loss.tobytes()))
    assert answers[0] == answers[1] == answers[2]


LENGTHS = [1, 2, 63, 64, 65, 127, 128, 129] + ([] if WITHOUT_JIT else [8191, 8192, 8193, 16383, 16384, 16385, 24577])


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_are_exact_to_rounding(loss: Any, dtype: Any) -> None:
    a, b = some(LENGTHS[-1], dtype)
    weights = np.random.default_rng(5).random(len(a)).astype(dtype)
    for weight in (None, weights):
        each = loss(a, b, reduction="none", weights=weight).astype(np.float64)
        wide = loss(a.astype(np.float64), b.astype(np.float64), reduction="none", weights=weight)
        for n in LENGTHS:
            part = None if weight is None else weight[:n]
            total = loss(a[:n], b[:n], reduction="sum", weights=part)
            assert total == pytest.approx(math.fsum(each[:n].ravel()), rel=1e-12)
            if dtype == np.float64 or n > 8000:
                assert total == pytest.approx(math.fsum(wide[:n].ravel()), rel=1e-12 if dtype == np.float64 else 1e-7)
            count = each[:n].size if part is None else math.fsum(part) * each[0].size
            assert loss(a[:n], b[:n], weights=part) == pytest.approx(total / count, rel=1e-12)
