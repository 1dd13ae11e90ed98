"""The regression losses of numbers against torch's, and against their definitions."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal, assert_array_max_ulp
from strategies import corners, dtypes
from support.floats import FLOATS
from support.losses import BETAS, POINTWISE, numbers
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes


@st.composite
def two_arrays(draw: st.DrawFn) -> Any:
    """Two arrays of one shape and dtype, some of their numbers equal."""
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    numbers = st.integers(-8, 8).map(lambda k: k / 4) | st.floats(-1e4, 1e4, width=32)
    return draw(hnp.arrays(dtype, shape, elements=numbers)), draw(hnp.arrays(dtype, shape, elements=numbers))


# Against torch


@given(two_arrays(), st.sampled_from(BETAS))
def test_smooth_l1_is_torchs(ab: Any, beta: float) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = functional.smooth_l1_loss(*map(torch.from_numpy, ab), beta=beta, reduction="none").numpy()
    got = fastbox.smooth_l1_loss(*ab, beta=beta, reduction="none")
    assert (got.shape, got.dtype) == (ab[0].shape, ab[0].dtype)
    assert_array_max_ulp(got, expected, 1, dtype=got.dtype)


@given(two_arrays(), st.sampled_from(BETAS[1:]))
def test_huber_is_torchs(ab: Any, delta: float) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = functional.huber_loss(*map(torch.from_numpy, ab), delta=delta, reduction="none").numpy()
    got = fastbox.huber_loss(*ab, delta=delta, reduction="none")
    assert (got.shape, got.dtype) == (ab[0].shape, ab[0].dtype)
    assert_allclose(got, expected, rtol=4 * np.finfo(got.dtype).eps, atol=np.finfo(got.dtype).tiny)


@given(two_arrays())
def test_l1_is_torchs_to_the_bit(ab: Any) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    expected = functional.l1_loss(*map(torch.from_numpy, ab), reduction="none").numpy()
    assert_array_equal(fastbox.l1_loss(*ab, reduction="none"), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_reductions_are_torchs(dtype: Any, reduction: str) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a, b = numbers(1000, dtype, 1).reshape(250, 4), numbers(1000, dtype, 2).reshape(250, 4)
    ta, tb = torch.from_numpy(a.astype(np.float64)), torch.from_numpy(b.astype(np.float64))
    for got, expected in (
        (fastbox.smooth_l1_loss(a, b, reduction=reduction), functional.smooth_l1_loss(ta, tb, reduction=reduction)),
        (
            fastbox.huber_loss(a, b, delta=2, reduction=reduction),
            functional.huber_loss(ta, tb, reduction=reduction, delta=2),
        ),
        (fastbox.l1_loss(a, b, reduction=reduction), functional.l1_loss(ta, tb, reduction=reduction)),
    ):
        assert got == pytest.approx(expected.item(), rel=1e-7 if dtype == np.float32 else 1e-12)


# Values


@pytest.mark.parametrize("dtype", FLOATS)
def test_values_by_hand(dtype: Any) -> None:
    pred, target = np.array([0, 0.5, 1, 3, -2], dtype), np.zeros(5, dtype)
    assert_array_equal(fastbox.smooth_l1_loss(pred, target, reduction="none"), [0, 0.125, 0.5, 2.5, 1.5])
    assert_array_equal(fastbox.smooth_l1_loss(pred, target, beta=2, reduction="none"), [0, 0.0625, 0.25, 2, 1])
    assert_array_equal(fastbox.huber_loss(pred, target, delta=2, reduction="none"), [0, 0.125, 0.5, 4, 2])
    assert_array_equal(fastbox.l1_loss(pred, target, reduction="none"), [0, 0.5, 1, 3, 2])
    assert fastbox.l1_loss(pred, target, reduction="sum") == 6.5
    assert fastbox.l1_loss(pred, target) == 1.3


@given(two_arrays())
def test_without_beta_it_is_l1(ab: Any) -> None:
    assert_array_equal(fastbox.smooth_l1_loss(*ab, beta=0, reduction="none"), fastbox.l1_loss(*ab, reduction="none"))
    assert_array_equal(fastbox.smooth_l1_loss(*ab, beta=0), fastbox.l1_loss(*ab))


@given(two_arrays())
def test_at_one_huber_and_smooth_l1_coincide(ab: Any) -> None:
    for reduction in ("none", "sum", "mean"):
        assert_array_equal(
            fastbox.huber_loss(*ab, delta=1, reduction=reduction), fastbox.smooth_l1_loss(*ab, reduction=reduction)
        )


@given(two_arrays(), st.sampled_from(BETAS))
def test_the_two_sides_may_be_swapped(ab: Any, beta: float) -> None:
    forth = fastbox.smooth_l1_loss(*ab, beta=beta, reduction="none")
    assert_array_equal(fastbox.smooth_l1_loss(*ab[::-1], beta=beta, reduction="none"), forth)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_element_is_that_of_the_definition(dtype: Any, beta: float) -> None:
    a, b = numbers(3000, dtype, 1), numbers(3000, dtype, 2)
    assert_array_max_ulp(
        fastbox.smooth_l1_loss(a, b, beta=beta, reduction="none"), reference.smooth(a - b, beta), 1, dtype
    )


def test_integers_are_promoted_before_the_subtraction() -> None:
    zero, top = np.array([0, 200], np.uint8), np.array([255, 100], np.uint8)
    assert_array_equal(fastbox.l1_loss(zero, top, reduction="none"), [255, 100])
    assert fastbox.l1_loss(zero, top, reduction="none").dtype == np.float64
    half = np.array([60000, 0], np.float16)
    assert_array_equal(fastbox.l1_loss(half, -half, reduction="none"), 2 * half.astype(np.float32))
    assert fastbox.l1_loss(half, half, reduction="none").dtype == np.float32


def test_mixed_floats_become_float64() -> None:
    a, b = numbers(9, np.float32, 1), numbers(9, np.float64, 2)
    got = fastbox.smooth_l1_loss(a, b, reduction="none")
    assert got.dtype == np.float64
    assert_array_equal(got, fastbox.smooth_l1_loss(a.astype(np.float64), b, reduction="none"))


def test_lists_and_tensors_go_in(pointwise: Any) -> None:
    a, b = numbers(8, np.float32, 1), numbers(8, np.float32, 2)
    assert pointwise(a.tolist(), b.tolist()) == pointwise(a.astype(np.float64), b.astype(np.float64))
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert pointwise(torch.from_numpy(a), torch.from_numpy(b)) == pointwise(a, b)
    assert pointwise(torch.from_numpy(a).requires_grad_(), torch.from_numpy(b)) == pointwise(a, b)


def test_a_nan_stays_where_it_is(pointwise: Any) -> None:
    a, b = numbers(8, np.float32, 1), numbers(8, np.float32, 2)
    a[3] = b[6] = np.nan
    a[1], b[2] = np.inf, -np.inf
    got = pointwise(a, b, reduction="none")
    assert_array_equal(np.isnan(got), [k in (3, 6) for k in range(8)])
    assert np.isinf(got[[1, 2]]).all()
    assert math.isnan(pointwise(a, b))
    assert math.isnan(pointwise(a, b, reduction="sum"))


# Reductions


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [1, 3, 4, 1023, 8191, 8192, 8193, 16385] if not WITHOUT_JIT else [1, 3, 4, 1023])
def test_sums_are_exact_to_rounding(pointwise: Any, n: int, dtype: Any) -> None:
    a, b = numbers(n, dtype, 1), numbers(n, dtype, 2)
    exact = math.fsum(pointwise(a, b, reduction="none").tolist())
    tolerance = 1e-7 if dtype == np.float32 else 1e-12
    assert pointwise(a, b, reduction="sum") == pytest.approx(exact, rel=tolerance)
    assert pointwise(a, b, reduction="mean") == pytest.approx(exact / n, rel=tolerance)
    assert pointwise(a, b) == pointwise(a, b, reduction="mean")


@pytest.mark.jit
def test_sums_of_many_small_numbers_do_not_drift() -> None:
    n = 3_000_000
    pred, target = np.full(n, 0.1, np.float32), np.zeros(n, np.float32)
    assert fastbox.l1_loss(pred, target, reduction="sum") == pytest.approx(n * float(np.float32(0.1)), rel=1e-10)


@given(corners(min_size=1), corners(min_size=1))
def test_box_sums_the_four_coordinates(a: Any, b: Any) -> None:
    n = min(len(a), len(b))
    a, b = a[:n], b[:n].astype(a.dtype)
    for pointwise in POINTWISE.values():
        boxes = pointwise(Boxes(a), Boxes(b), reduction="box")
        assert (boxes.shape, boxes.dtype) == ((n,), a.dtype)
        assert_allclose(boxes, pointwise(Boxes(a), Boxes(b), reduction="none").sum(1), rtol=1e-6)


def test_box_keeps_the_leading_shape() -> None:
    a, b = numbers(120, np.float64, 1).reshape(5, 6, 4), numbers(120, np.float64, 2).reshape(5, 6, 4)
    assert_allclose(fastbox.l1_loss(a, b, reduction="box"), np.abs(a - b).sum(-1), rtol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_reduction_is_a_python_float(pointwise: Any, reduction: str) -> None:
    for dtype in FLOATS:
        assert type(pointwise(numbers(5, dtype), numbers(5, dtype, 1), reduction=reduction)) is float


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_the_mean_of_nothing_is_nan_without_a_warning(pointwise: Any, shape: Any) -> None:
    nothing = np.empty(shape, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(pointwise(nothing, nothing))
        assert pointwise(nothing, nothing, reduction="sum") == 0.0
        assert pointwise(nothing, nothing, reduction="none").shape == shape
        if shape[-1] == 4:
            assert pointwise(nothing, nothing, reduction="box").shape == (0,)
            assert math.isnan(pointwise(Boxes(nothing), Boxes(nothing)))
