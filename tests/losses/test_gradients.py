"""Losses and their gradients against torch's autograd, central differences and known truths."""

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
from support.floats import FLOATS
from support.losses import ALL, OVERLAP
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes

PULLING = ("giou", "diou", "ciou", "eiou")
FEW = 40 if WITHOUT_JIT else 400


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
