"""The losses of rotated boxes against differences of 120 digits, torch's autograd, and plain boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from support import exact
from support.paths import WITHOUT_JIT
from support.turned import drawn, hard_pairs

import fastbox
from fastbox import Boxes, RotatedBoxes

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

LOSSES: dict[str, Callable[..., Any]] = {
    "iou": fastbox.iou_loss,
    "probiou": fastbox.probiou_loss,
    "kld": fastbox.kld_loss,
}
STEP = Decimal(10) ** -40
DEGREE = math.pi / 180


def some(n: int, seed: int, format: str = "cxcywhr", dtype: Any = np.float64) -> RotatedBoxes:
    return RotatedBoxes(drawn(np.random.default_rng(seed), n).astype(dtype), format)


def each(name: str, pred: Any, target: Any, **options: Any) -> Any:
    """The loss and the gradient of each row of arrays."""
    sides = (RotatedBoxes(side, "cxcywhr") for side in (pred, target))
    return LOSSES[name](*sides, reduction="none", return_grad=True, **options)


def overlap_loss(a: Any, b: Any) -> Decimal:
    p, q = exact.rectangle(a), exact.rectangle(b)
    inter = exact.intersection(p, q)
    return Decimal(1 - inter / (exact.area(p) + exact.area(q) - inter))


def divergence_loss(a: Any, b: Any) -> Decimal:
    return 1 - 1 / (1 + (1 + exact.divergence(a, b)).ln())


EXACT = {"iou": overlap_loss, "probiou": exact.hellinger, "kld": divergence_loss}


def exact_gradient(loss: Any, a: Any, b: Any) -> list[float]:
    found = []
    for k in range(5):
        ends = [[exact.number(value) + (side if c == k else 0) for c, value in enumerate(a)] for side in (STEP, -STEP)]
        found.append(float((loss(ends[0], b) - loss(ends[1], b)) / (2 * STEP)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "nested", "far", "scaled", "a corner on an edge"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_exact_to_rounding(name: str, kind: str) -> None:
    n = 3 if WITHOUT_JIT else 6
    p, q = hard_pairs(n)[kind]
    loss, grad = LOSSES[name](
        RotatedBoxes(p, "cxcywhr"), RotatedBoxes(q, "cxcywhr"), reduction="none", return_grad=True
    )
    with localcontext(prec=120):
        for row in range(n):
            assert abs(loss[row] - float(EXACT[name](p[row], q[row]))) <= 1e-14
            sides = np.concatenate([p[row, 2:4], q[row, 2:4]])
            unit = np.array([1 / sides.min()] * 4 + [sides.max() / sides.min()])
            wrong = abs(grad[row] - exact_gradient(EXACT[name], p[row], q[row])) / unit
            assert wrong.max() <= 1e-14, (row, wrong)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_by_the_numbers_of_each_format(name: str) -> None:
    a, b = some(20, 1), some(20, 2)
    loss, grad = LOSSES[name](a, b, reduction="none", return_grad=True)
    for told, turn in (("ccw_cxcywhr", -1.0), ("cxcywhd", DEGREE), ("ccw_cxcywhd", -DEGREE)):
        other = RotatedBoxes.from_columns(*a.columns[:4], a.columns[4] / turn, format=told)
        found = LOSSES[name](other, b, reduction="none", return_grad=True)
        np.testing.assert_allclose(found.loss, loss, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.grad, grad * [1, 1, 1, 1, turn], rtol=1e-9, atol=1e-14)
    plain = Boxes(np.stack(a.columns[:4], axis=1), "cxcywh")
    loss, grad = LOSSES[name](plain, b, reduction="none", return_grad=True)
    x, y, w, h = grad.T
    assert grad.shape == (20, 4)
    for told, expected in (
        ("xyxy", [x / 2 - w, y / 2 - h, x / 2 + w, y / 2 + h]),
        ("yxyx", [y / 2 - h, x / 2 - w, y / 2 + h, x / 2 + w]),
        ("xywh", [x, y, w + x / 2, h + y / 2]),
    ):
        corners = plain.corners()[:, [1, 0, 3, 2] if told == "yxyx" else [0, 1, 2, 3]]
        corners[:, 2:] -= corners[:, :2] if told == "xywh" else 0
        found = LOSSES[name](Boxes(corners, told), b, reduction="none", return_grad=True)
        np.testing.assert_allclose(found.grad, np.stack(expected, axis=1), rtol=1e-9, atol=1e-12)
    deltas = fastbox.Deltas(np.zeros((20, 4)), plain)
    width = plain.columns[2]
    np.testing.assert_allclose(
        LOSSES[name](deltas, b, reduction="none", return_grad=True).grad[:, 2], w * width, rtol=1e-9, atol=1e-12
    )


def test_upright_boxes_have_the_gradient_of_plain_boxes_also_where_edges_coincide() -> None:
    rng = np.random.default_rng(3)
    a, b = (np.concatenate([rng.integers(0, 6, (400, 2)), 2 * rng.integers(1, 4, (400, 2))], axis=1) for _ in "ab")
    level = np.zeros((400, 1))
    turned = [RotatedBoxes(np.concatenate([side, level], axis=1), "cxcywhd") for side in (a, b)]
    found = fastbox.iou_loss(*turned, reduction="none", return_grad=True)
    right = fastbox.iou_loss(Boxes(a, "cxcywh"), Boxes(b, "cxcywh"), reduction="none", return_grad=True)
    np.testing.assert_allclose(found.loss, right.loss, atol=1e-15)
    np.testing.assert_allclose(found.grad[:, :4], right.grad, atol=1e-15)
    assert ((found.loss == 1) == (found.grad == 0).all(axis=1)).mean() > 0.9 and (found.loss == 1).sum() > 20


@pytest.mark.parametrize("name", LOSSES)
def test_equal_boxes_have_neither_loss_nor_gradient(name: str) -> None:
    boxes = some(200, 4)
    loss, grad = LOSSES[name](boxes, boxes, reduction="none", return_grad=True)
    assert (loss == 0).all()
    np.testing.assert_allclose(grad, 0, atol=1e-15)


def test_boxes_apart_have_a_gradient_of_exactly_0_for_iou_alone() -> None:
    a, b = RotatedBoxes([[0, 0, 4, 2, 30]], "cxcywhd"), RotatedBoxes([[9, 1, 4, 2, 70]], "cxcywhd")
    assert fastbox.iou_loss(a, b, return_grad=True).grad.tolist() == [[0.0] * 5]
    for name in ("probiou", "kld"):
        loss, grad = LOSSES[name](a, b, return_grad=True)
        assert 0 < loss < 1 and grad[0, 0] < 0


@pytest.mark.parametrize("name", LOSSES)
def test_boxes_that_are_invalid_without_area_tiny_or_huge(name: str) -> None:
    good, nan = [0, 0, 4, 2, 0.5], math.nan
    wrong = [[nan, 0, 4, 2, 0], [0, 0, -4, 2, 0], [0, 0, 4, 2, 2**21], [0, 0, 4, math.inf, 0]]
    for pred, target in ((wrong, [good] * 4), ([good] * 4, wrong)):
        found = each(name, pred, target)
        assert np.isnan(found.loss).all() and np.isnan(found.grad).all()
    flat = [[0, 0, 0, 2, 0.5], [0, 0, 0, 0, 0]]
    for pred, target in ((flat, [good] * 2), ([good] * 2, flat), (flat, flat)):
        found = each(name, pred, target)
        assert found.loss.tolist() == [1.0, 1.0] and np.isfinite(found.grad).all()
    a, b = drawn(np.random.default_rng(6), 20), drawn(np.random.default_rng(7), 20)
    at_one = each(name, a, b)
    for scale in (2.0**-400, 2.0**400):
        sized = np.array([scale] * 4 + [1])
        loss, grad = each(name, a * sized, b * sized)
        np.testing.assert_array_equal(loss, at_one.loss)
        np.testing.assert_array_equal(grad * sized, at_one.grad)
    loss, grad = each(name, a + np.array([1e200, 0, 0, 0, 0]), b)
    assert (loss <= 1).all() and (loss > 0.99).all() and np.isfinite(grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_beyond_float64_are_0(name: str) -> None:
    beam, speck, needle = [0, 0, 1e300, 0, 0.3], [0, 0, 1e-160, 1e-160, 0.1], [0, 0, 1e-310, 1e-200, 0.2]
    sliver, square = [0, 0, 1e-100, 1e-200, 0], [0, 0, 1e-100, 1e-100, 0]
    loss, grad = each(name, [beam, speck, needle, sliver], [speck, beam, square, speck])
    assert np.isfinite(loss).all() and np.isfinite(grad).all()


def test_the_gradient_of_iou_exists_where_one_over_the_area_does_not() -> None:
    a, b = drawn(np.random.default_rng(16), 40), drawn(np.random.default_rng(17), 40)
    at_one = each("iou", a, b)
    sized = np.array([2.0**-490] * 4 + [1])
    np.testing.assert_array_equal(each("iou", a * sized, b * sized).grad * sized, at_one.grad)
    sized[:4] = 2.0**-525  # areas below the least normal number, which have 20 bits
    found = each("iou", a * sized, b * sized)
    np.testing.assert_allclose(found.loss, at_one.loss, atol=1e-5)
    np.testing.assert_allclose(found.grad * sized, at_one.grad, atol=1e-5 * np.abs(at_one.grad).max())


@pytest.mark.parametrize("name", ["probiou", "kld"])
def test_torchs_autograd_agrees(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a, b = (torch.from_numpy(np.stack(some(50, seed).columns, axis=1)) for seed in (8, 9))
    a.requires_grad_()

    def covariances(boxes: Any, part: float) -> Any:
        c, s = torch.cos(boxes[:, 4]), torch.sin(boxes[:, 4])
        turn = torch.stack([c, -s, s, c], dim=1).reshape(-1, 2, 2)
        return turn @ torch.diag_embed(boxes[:, 2:4] ** 2 / part) @ turn.transpose(1, 2)

    d = (a - b)[:, :2, None]
    if name == "kld":  # in the words of mmrotate
        p, t = covariances(a, 4), covariances(b, 4)
        inverse = torch.linalg.inv(p)
        far = 0.5 * (d.transpose(1, 2) @ inverse @ d).reshape(-1)
        whr = 0.5 * (inverse @ t).diagonal(dim1=-2, dim2=-1).sum(dim=-1) + 0.5 * (p.det().log() - t.det().log()) - 1
        expected = 1 - 1 / (1.0 + torch.log1p(far + whr))
    else:
        p, t = covariances(a, 12), covariances(b, 12)
        both = p + t
        far = 0.25 * (d.transpose(1, 2) @ torch.linalg.inv(both) @ d).reshape(-1)
        expected = (1 - torch.exp(-far - 0.5 * torch.log(both.det() / (4 * (p.det() * t.det()).sqrt())))).sqrt()
    expected.sum().backward()
    loss, grad = each(name, a.detach(), b)
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(grad, a.grad.numpy(), rtol=1e-8, atol=1e-12)


def test_kld_with_a_tau() -> None:
    a, b = some(9, 1), some(9, 2)
    plain = fastbox.kld_loss(a, b, tau=0, reduction="none", return_grad=True)
    for tau in (1.0, 2.5):
        loss, grad = fastbox.kld_loss(a, b, tau=tau, reduction="none", return_grad=True)
        np.testing.assert_allclose(loss, 1 - 1 / (tau + plain.loss), rtol=1e-13)
        np.testing.assert_allclose(grad, plain.grad / (tau + plain.loss[:, None]) ** 2, rtol=1e-13)
    for tau in (0.5, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a tau of 0 or from 1 on, got"):
            fastbox.kld_loss(a, b, tau=tau)


@pytest.mark.parametrize("name", LOSSES)
def test_options_dtypes_and_threads(name: str) -> None:
    n = 300 if WITHOUT_JIT else 40_000
    loss, a, b = LOSSES[name], some(n, 1), some(n, 2)
    weights = np.random.default_rng(3).random(n)
    alike = loss(a, b, reduction="none", return_grad=True)
    out, grad = np.empty(n), np.empty((n, 5))
    weighted = loss(a, b, reduction="none", weights=weights, return_grad=True, out=out, grad_out=grad)
    assert weighted.loss is out and weighted.grad is grad
    np.testing.assert_array_equal(out, weights * alike.loss)
    np.testing.assert_allclose(grad, weights[:, None] * alike.grad, rtol=1e-15)
    mean = loss(a, b, weights=weights, return_grad=True)
    assert mean.loss == pytest.approx(math.fsum(out) / math.fsum(weights), rel=1e-14)
    np.testing.assert_allclose(mean.grad, grad / weights.sum(), rtol=1e-12)
    assert loss(a, b, reduction="sum") == pytest.approx(math.fsum(alike.loss), rel=1e-14)
    before = fastbox.get_num_threads()
    try:
        fastbox.set_num_threads(1)
        alone = loss(a, b, weights=weights, return_grad=True)
    finally:
        fastbox.set_num_threads(before)
    assert alone.loss == mean.loss
    np.testing.assert_array_equal(alone.grad, mean.grad)
    small = [side.astype(np.float32) for side in (a[:50], b[:50])]
    wide = loss(*(side.astype(np.float64) for side in small), reduction="none", return_grad=True)
    found = loss(*small, reduction="none", return_grad=True)
    np.testing.assert_array_equal(found.loss, wide.loss.astype(np.float32))
    np.testing.assert_array_equal(found.grad, wide.grad.astype(np.float32))
    nothing = loss(a[:0], b[:0], return_grad=True)
    assert math.isnan(nothing.loss) and nothing.grad.shape == (0, 5)


def test_what_has_no_such_loss_is_refused_in_one_sentence() -> None:
    a = RotatedBoxes([[0, 0, 2, 1, 0]], "cxcywhr")
    quads, plain = RotatedBoxes(a.corners(), "xyxyxyxy"), Boxes([[0, 0, 1, 1]])
    for name, loss in LOSSES.items():
        with pytest.raises(ValueError, match=f"expected rectangles for {name}_loss, got quadrilaterals: give"):
            loss(a, quads)
        with pytest.raises(ValueError, match="expected as many predicted boxes as targets, got 1 and 0"):
            loss(a, a[:0])
    with pytest.raises(ValueError, match=r"expected rotated boxes for kld_loss, got plain boxes: give RotatedBoxes\("):
        fastbox.kld_loss(plain, [[0, 0, 1, 1]])
    with pytest.raises(TypeError, match=r"expected plain boxes for pred, got RotatedBoxes.* give pred.hulls\(\)"):
        fastbox.giou_loss(a, a)
