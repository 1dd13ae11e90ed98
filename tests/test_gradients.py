"""Overlap and coordinate losses with their gradients: against torch's autograd, central differences and known truths."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from conftest import WITHOUT_JIT
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import FORMATS, LAYOUTS, VALID, corners, formats, laid_out, some_boxes

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
    """Two sets of boxes, float64, no two coordinates of a pair within 0.5 pixels on either axis; half of them overlap."""
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
    for given in ((p, q), (p, b), (a, q)):
        loss, grad = OVERLAP[overlap](*given, reduction="none", return_grad=True)
        assert_array_equal(loss, right.loss)
        assert_array_equal(grad, right.grad)
        assert grad.flags.c_contiguous


def test_columns_and_groups_change_no_bits(loss: Any) -> None:
    a, b = (some_boxes(50, np.float32, seed, exact=False) for seed in (1, 2))
    right = loss(Boxes(a), Boxes(b), reduction="box", return_grad=True)
    columns = [Boxes.from_columns(*np.ascontiguousarray(x.T)) for x in (a, b)]
    grouped = [Boxes(x, offsets=[0, 20, 20, 50]) for x in (a, b)]
    for given in (columns, grouped, [grouped[0], b if loss in OVERLAP.values() else columns[1]]):
        for got, expected in zip(loss(*given, reduction="box", return_grad=True), right, strict=True):
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
    b = a[::-1]
    iou, giou = fastbox.iou_loss(a, b, reduction="none"), fastbox.giou_loss(a, b, reduction="none")
    assert (iou <= giou).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_giou_is_iou_where_the_hull_is_the_union(dtype: Any) -> None:
    a = np.array([[0, 0, 8, 4], [0, 0, 8, 4], [0, 0, 8, 4], [0, 0, 5, 4], [0, 0, 5, 4]], dtype)
    b = np.array([[0, 0, 8, 4], [2, 1, 3, 2], [4, 0, 8, 4], [3, 0, 9, 4], [5, 0, 9, 4]], dtype)
    assert_array_equal(fastbox.giou_loss(a, b, reduction="none"), fastbox.iou_loss(a, b, reduction="none"))
    beside = np.array([[9, 4, 10, 5]] * 5, dtype)
    assert (fastbox.giou_loss(a, beside, reduction="none") > fastbox.iou_loss(a, beside, reduction="none")).all()


# Gradients against torch


def in_torch(torch: Any, metric: str, pred: Any, target: Any, format: str) -> tuple[Any, list[Any]]:
    """The loss of each box from torch's own operations, and the quantities that it is made of.

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
        return 1 - iou, [inter, area]
    cw, ch = torch.max(ax1, bx1) - torch.min(ax0, bx0), torch.max(ay1, by1) - torch.min(ay0, by0)
    if metric == "giou":
        hull = cw * ch
        gap = hull - union
        return 1 - (iou - ratio(gap, hull)), [inter, area, hull, gap]
    dx, dy = 0.5 * (ax0 + ax1) - 0.5 * (bx0 + bx1), 0.5 * (ay0 + ay1) - 0.5 * (by0 + by1)
    parts = [inter, area, cw, ch, dx, dy]
    loss = 1 - (iou - ratio(dx * dx + dy * dy, cw * cw + ch * ch))
    if metric == "eiou":
        loss = loss + ratio((aw - bw) ** 2, cw * cw) + ratio((ah - bh) ** 2, ch * ch)
        return loss, [*parts, aw, ah]
    if metric == "ciou":
        angle = torch.atan(ratio(aw, ah))
        v = 4 / math.pi**2 * (torch.atan(ratio(bw, bh)) - angle) ** 2
        with torch.no_grad():
            alpha = ratio(v, 1 - iou + v)
        return loss + alpha * v, [*parts, angle]
    return loss, parts


def torch_gradient(metric: str, a: Any, b: Any, format: str) -> tuple[Any, Any]:
    """Torch's gradient, and of each row the largest term that goes into it.

    Terms cancel, exactly so for equal boxes, and then both sides are only as good as what cancelled.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pred = torch.from_numpy(a.copy()).requires_grad_()
    loss, parts = in_torch(torch, metric, pred, torch.from_numpy(b.copy()), format)
    (grad,) = torch.autograd.grad(loss.sum(), pred, retain_graph=True)
    outer = torch.autograd.grad(loss.sum(), parts, retain_graph=True, allow_unused=True)
    scale = grad.abs().amax(1)
    for part, weight in zip(parts, outer, strict=True):
        if weight is not None:
            (inner,) = torch.autograd.grad(part.sum(), pred, retain_graph=True)
            scale = torch.maximum(scale, weight.abs() * inner.abs().amax(1))
    return grad.numpy(), scale.numpy()


def assert_agree(got: Any, expected: Any, scale: Any, ulp: int = 4) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    error = np.abs(got - expected).max(axis=1, initial=0)
    assert np.isfinite(got).all()
    assert (error <= ulp * np.finfo(got.dtype).eps * scale).all()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_are_torchs(overlap: str, dtype: Any, format: str) -> None:
    for pair in (
        [some_boxes(FEW, dtype, seed, exact=False) for seed in (1, 2)],
        [some_boxes(FEW, dtype, 3, exact=False), some_boxes(FEW, dtype, 3) + dtype(0.3)],
        on_a_grid(2 * FEW, dtype),
    ):
        a, b = (reference.to_format(x, format) for x in pair)
        got = OVERLAP[overlap](Boxes(a, format), Boxes(b, format), reduction="sum", return_grad=True).grad
        # A difference of two angles, each of its own rounding, goes into CIoU's term three times.
        assert_agree(got, *torch_gradient(overlap, a, b, format), ulp=8 if overlap == "ciou" else 4)
