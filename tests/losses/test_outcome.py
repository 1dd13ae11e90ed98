"""Weights, reductions, sums and the memory of losses and gradients."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from strategies import FORMATS, some_boxes
from support.floats import FLOATS
from support.losses import ALL, OVERLAP
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes

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


@pytest.mark.jit
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


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["giou", "smooth_l1"])
def test_a_mean_has_its_gradient_whatever_the_weights_add_up_to(name: str, dtype: Any) -> None:
    a, b = some(3, dtype)
    least, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    right = ALL[name](a, b, weights=[1, 2, 1], return_grad=True)
    for weights in ([least, 2 * least, least], [most / 2, most, most / 2]):
        found = ALL[name](a, b, weights=np.array(weights, dtype), return_grad=True)
        assert found.loss == pytest.approx(right.loss, rel=1e-6)
        np.testing.assert_allclose(found.grad, right.grad, rtol=1e-6)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["giou", "smooth_l1"])
def test_streams_change_no_bits(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any length and any beginning of the memory; nothing beside the array is written."""
    longest = 300
    a, b = some(longest, dtype)
    right = ALL[name](a, b, reduction="sum", return_grad=True).grad
    monkeypatch.setattr("fastbox.losses.outcome.STREAMED_BYTES", 0)
    for n in (*range(150), *range(187, 196), *range(253, longest)):  # up to four parts and a rest
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


@pytest.mark.jit
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
