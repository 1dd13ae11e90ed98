"""The losses as torch functions: fastbox's numbers and gradients, torch's manners, nobody's memory copied."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import reference
from strategies import FORMATS, some_boxes

import fastbox

torch = pytest.importorskip("torch", reason="torch is not installed")

import fastbox.torch as ours  # noqa: E402

OVERLAP = ("iou_loss", "giou_loss", "diou_loss", "ciou_loss", "eiou_loss")
NUMBERS = ("smooth_l1_loss", "huber_loss", "l1_loss")
ALL = OVERLAP + NUMBERS
ROTATED = ("probiou_loss", "kld_loss")
DTYPES = [torch.float32, torch.float64]


def some(n: int = 40, dtype: Any = torch.float32, seed: int = 0) -> tuple[Any, Any]:
    """A prediction that requires a gradient, and a target."""
    pred, target = (torch.from_numpy(some_boxes(n, np.float64, seed + k, exact=False)).to(dtype) for k in (1, 2))
    return pred.requires_grad_(), target


def same(got: Any, expected: Any) -> bool:
    return bool(torch.equal(got, torch.as_tensor(expected, dtype=got.dtype)))


# fastbox's numbers


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "box", "sum", "mean"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_numbers_are_fastboxs(name: str, dtype: Any, reduction: str, weighted: bool) -> None:
    pred, target = some(dtype=dtype)
    weights = torch.rand(len(pred), dtype=dtype, generator=torch.Generator().manual_seed(0)) if weighted else None
    got = getattr(ours, name)(pred, target, reduction=reduction, weights=weights)
    arrays = (pred.detach().numpy(), target.numpy())
    expected, grad = getattr(fastbox, name)(*arrays, reduction=reduction, weights=weights, return_grad=True)
    assert got.dtype == dtype
    assert same(got, expected)
    got.sum().backward()
    assert same(pred.grad, grad)
    assert same(getattr(ours, name)(pred.detach(), target, reduction=reduction, weights=weights), expected)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", OVERLAP)
def test_formats_are_fastboxs(name: str, format: str) -> None:
    arrays = [reference.to_format(some_boxes(30, np.float32, seed, exact=False), format) for seed in (1, 2)]
    pred, target = torch.from_numpy(arrays[0]).requires_grad_(), torch.from_numpy(arrays[1])
    got = getattr(ours, name)(pred, target, format=format)
    got.backward()
    expected = getattr(fastbox, name)(*(fastbox.Boxes(x, format) for x in arrays), return_grad=True)
    assert same(got, expected.loss)
    assert same(pred.grad, expected.grad)


def test_options_are_fastboxs() -> None:
    pred, target = some(dtype=torch.float64)
    for name, options in (
        ("smooth_l1_loss", {"beta": 0.3}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("huber_loss", {"delta": 2.0}),
    ):
        pred.grad = None
        got = getattr(ours, name)(pred, target, **options)
        got.backward()
        expected = getattr(torch.nn.functional, name)(pred, target, **options)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(pred.grad, torch.autograd.grad(expected, pred)[0])


@pytest.mark.parametrize("shape", [(), (7,), (5, 3), (2, 3, 4), (0,), (0, 4)])
def test_numbers_of_any_shape_keep_it(shape: Any) -> None:
    pred, target = torch.full(shape, 3.0, requires_grad=True), torch.ones(shape)
    each = ours.l1_loss(pred, target, reduction="none")
    assert each.shape == shape
    each.sum().backward()
    assert same(pred.grad, torch.ones(shape))


@pytest.mark.parametrize("name", ALL)
def test_the_mean_of_nothing_is_nan(name: str) -> None:
    pred = torch.empty((0, 4), requires_grad=True)
    loss = getattr(ours, name)(pred, torch.empty((0, 4)))
    assert math.isnan(loss.item())
    loss.backward()
    assert pred.grad.shape == (0, 4)


def test_no_boxes_may_be_of_one_dimension() -> None:
    pred = torch.empty(0, requires_grad=True)
    ours.iou_loss(pred, torch.empty(0), reduction="none").sum().backward()
    assert pred.grad.shape == (0,)


# Dtypes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ALL)
def test_half_precision_is_computed_in_float32(name: str, dtype: Any) -> None:
    pred, target = some(dtype=dtype)
    loss = getattr(ours, name)(pred, target, weights=torch.ones(len(pred), dtype=dtype))
    loss.backward()
    wide = pred.detach().float().requires_grad_()
    expected = getattr(ours, name)(wide, target.float())
    expected.backward()
    assert loss.dtype == torch.float32
    assert pred.grad.dtype == dtype
    assert same(loss, expected)
    assert same(pred.grad, wide.grad.to(dtype))


def test_dtypes_are_promoted_as_torch_does() -> None:
    pred, target = some()
    for other, dtype in (
        (target.double(), torch.float64),
        (target.bfloat16(), torch.float32),
        (target.int(), torch.float32),
    ):
        pred.grad = None
        loss = ours.giou_loss(pred, other, weights=torch.ones(len(pred), dtype=torch.int64))
        loss.backward()
        assert loss.dtype == dtype
        assert pred.grad.dtype == torch.float32
        assert same(loss, ours.giou_loss(pred.detach().to(dtype), other.to(dtype)))


# Memory


class Seen:
    """The arguments of each call of a loss, and its result."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.loss = getattr(fastbox, name)
        self.calls: list[Any] = []
        monkeypatch.setattr(f"fastbox.losses.{name}", self)

    def __call__(self, pred: Any, target: Any, **options: Any) -> Any:
        found = self.loss(pred, target, **options)
        self.calls.append((pred, target, options, found))
        return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strided", [False, True])
def test_nothing_is_copied(dtype: Any, strided: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pred, target = some(dtype=dtype)
    if strided:
        pred, target = torch.stack([pred.detach(), target], dim=1).unbind(1)
        pred.requires_grad_()
    weights = torch.ones(len(pred), dtype=dtype)
    for name, reduction in (("giou_loss", "none"), ("smooth_l1_loss", "none"), ("l1_loss", "mean")):
        seen = Seen(monkeypatch, name)
        pred.grad = None
        loss = getattr(ours, name)(pred, target, reduction=reduction, weights=weights)
        loss.backward(torch.ones_like(loss) if loss.dim() else None)
        [(a, b, options, found)] = seen.calls
        for tensor, given in ((pred, a), (target, b)):
            first = given.columns[0] if isinstance(given, fastbox.Boxes) else given
            assert first.ctypes.data == tensor.data_ptr()
            assert first.strides[0] == tensor.stride(0) * tensor.element_size()
        assert options["weights"].ctypes.data == weights.data_ptr()
        assert pred.grad.data_ptr() == found.grad.ctypes.data
        if loss.dim():
            assert loss.data_ptr() == found.loss.ctypes.data


@pytest.mark.parametrize("name", ALL)
def test_a_gradient_nobody_asks_for_is_not_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(monkeypatch, name)
    pred, target = some()
    loss = getattr(ours, name)
    assert loss(pred, target).requires_grad
    with torch.no_grad():
        assert not loss(pred, target).requires_grad
        assert not loss(pred, pred).requires_grad
    with torch.inference_mode():
        assert not loss(pred, target).requires_grad
    assert not loss(pred.detach(), target).requires_grad
    assert [options["return_grad"] for _, _, options, _ in seen.calls] == [True, False, False, False, False]


def test_what_is_given_stays_as_it_is() -> None:
    pred, target = some()
    before = pred.detach().clone(), target.clone()
    ours.ciou_loss(pred, target).backward()
    assert same(pred.detach(), before[0])
    assert same(target, before[1])


# torch's manners


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_is_multiplied_by_that_of_what_follows(name: str) -> None:
    loss = getattr(ours, name)
    for reduction in ("none", "box", "sum", "mean"):
        pred, target = some(dtype=torch.float64)
        each = loss(pred, target, reduction=reduction)
        outer = torch.linspace(-2, 3, each.numel(), dtype=torch.float64).reshape(each.shape)
        (each * outer).sum().backward()
        plain = pred.detach().clone().requires_grad_()
        loss(plain, target, reduction="sum" if each.dim() else reduction).backward()
        rows = outer.reshape(*outer.shape, *[1] * (2 - outer.dim()))
        assert same(pred.grad, plain.grad * rows)


def test_a_graph_may_be_retained() -> None:
    """A gradient that was returned is never changed later, nor returned again."""
    pred, target = some(dtype=torch.float64)
    loss = ours.giou_loss(pred, target)
    loss.backward(retain_graph=True)
    first = pred.grad
    once = first.clone()
    loss.backward(retain_graph=True)
    assert same(pred.grad, 2 * once)
    [again] = torch.autograd.grad(3 * loss, pred, retain_graph=True)
    assert same(again, 3 * once)
    again.zero_()
    loss.backward()
    assert same(pred.grad, 3 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_graph_that_is_not_retained_is_gone() -> None:
    pred, target = some()
    loss = ours.giou_loss(pred, target)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_losses_share_a_prediction() -> None:
    pred, target = some(dtype=torch.float64)
    (ours.giou_loss(pred, target) + 0.5 * ours.l1_loss(pred, target, reduction="sum")).backward()
    grads = [loss(pred.detach().numpy(), target.numpy(), reduction=reduction, return_grad=True).grad
             for loss, reduction in ((fastbox.giou_loss, "mean"), (fastbox.l1_loss, "sum"))]  # fmt: skip
    torch.testing.assert_close(pred.grad, torch.from_numpy(grads[0] + 0.5 * grads[1]))


def test_gradients_are_those_of_the_forward_pass() -> None:
    pred, target = some()
    made = pred * 1
    loss = ours.giou_loss(made, target)
    made.data.zero_()
    loss.backward()
    assert same(pred.grad, fastbox.giou_loss(pred.detach().numpy(), target.numpy(), return_grad=True).grad)


def test_there_is_no_second_derivative() -> None:
    pred, target = some()
    (grad,) = torch.autograd.grad(ours.giou_loss(pred, target) ** 2, pred, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("name", ALL)
def test_gradcheck_passes(name: str) -> None:
    """Away from ties, and for CIoU at equal aspect ratios: its weight is a constant to the gradient alone."""
    pred = torch.tensor([[0.1, 0.2, 3.3, 2.9], [5.0, 5.5, 7.0, 8.5], [0.0, 0.0, 9.0, 9.5]], dtype=torch.float64)
    target = torch.tensor([[1.4, 0.9, 4.7, 4.2], [0.3, 0.7, 2.1, 3.9], [2.0, 3.0, 4.0, 5.5]], dtype=torch.float64)
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    if name == "ciou_loss":
        scale = torch.tensor([[2.0], [0.5], [1.25]], dtype=torch.float64)
        target = pred * scale + 0.3  # the same aspect ratios: alpha v and its slope are 0
    for reduction in ("none", "box", "sum", "mean"):
        loss = partial(getattr(ours, name), target=target, reduction=reduction, weights=weights)
        assert torch.autograd.gradcheck(loss, pred.clone().requires_grad_())


@pytest.mark.jit
@pytest.mark.parametrize("name", OVERLAP[1:])
def test_a_network_learns(name: str) -> None:
    """Boxes far off come to their targets."""
    torch.manual_seed(0)
    target = torch.tensor([[2.0, 3.0, 6.0, 5.0], [7.0, 1.0, 9.0, 8.0]])
    layer = torch.nn.Linear(2, 4)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    with torch.no_grad():
        layer.bias += torch.tensor([10.0, 10.0, 12.0, 13.0])
    losses = []
    for _ in range(400):
        optimizer.zero_grad()
        loss = getattr(ours, name)(layer(torch.eye(2)), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9
    assert losses[-1] < 0.1


# What is refused


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_is_refused(name: str) -> None:
    loss = getattr(ours, name)
    pred, target = some(6)
    weights = torch.ones(6)
    for given, error, match in (
        ((pred.detach().numpy(), target), TypeError, "expected pred to be a tensor, got ndarray"),
        ((pred, target.tolist()), TypeError, "expected target to be a tensor, got list"),
        ((pred, target, [1.0] * 6), TypeError, "expected weights to be a tensor, got list"),
        ((pred.detach().int(), target), TypeError, "expected pred of float16.*float64, got torch.int32"),
        ((pred.detach().to(torch.complex64), target), TypeError, "expected pred of real numbers, got torch.complex64"),
        ((pred, target.to(torch.complex64)), TypeError, "expected target of real numbers"),
        ((pred.detach().to("meta"), target), ValueError, "expected pred on the CPU, got a tensor on meta"),
        ((pred, target.to("meta")), ValueError, "expected target on the CPU"),
        ((pred, target, weights.to("meta")), ValueError, "expected weights on the CPU"),
        ((pred, pred), ValueError, "expected target without a gradient"),
        ((pred.detach(), pred), ValueError, "expected target without a gradient"),
        ((pred, target, weights.requires_grad_()), ValueError, "expected weights without a gradient"),
        ((pred, target[:5]), ValueError, "6.*5"),
        ((pred, target, torch.ones(5)), ValueError, r"expected weights of shape \(6,"),
    ):
        with pytest.raises(error, match=match):
            loss(*given[:2], weights=given[2] if len(given) > 2 else None)
    with pytest.raises(ValueError, match="'average'"):
        loss(pred, target, reduction="average")
    with pytest.raises(TypeError):
        loss(pred, target, "sum")


def test_a_format_that_cannot_be_is_refused() -> None:
    pred, target = some(6)
    for unknown in ("xyyx", "rel_xyxy"):
        with pytest.raises(ValueError, match=f"expected a format of xyxy, xywh, cxcywh, yxyx, got '{unknown}'"):
            ours.giou_loss(pred, target, format=unknown)
    with pytest.raises(ValueError, match=r"expected boxes of shape \(n, 4\)"):
        ours.iou_loss(pred.reshape(2, 3, 4), target.reshape(2, 3, 4))


def test_every_loss_is_there() -> None:
    assert sorted([*ALL, *ROTATED, "Targets", "assign"]) == ours.__all__
    assert {name for name in fastbox.__all__ if name.endswith("_loss")} == {*ALL, *ROTATED}
