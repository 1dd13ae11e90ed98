"""The regression losses against torch's, exact sums, and the promise that neither threads nor memory change a bit."""

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
from strategies import FORMATS, LAYOUTS, corners, dtypes, formats, laid_out, some_boxes
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes

FLOATS = [np.float32, np.float64]
BETAS = [0.0, 0.1, 0.5, 1.0, 1 / 9, 3.0, 1000.0]
LOSSES = {
    "smooth_l1": fastbox.smooth_l1_loss,
    "huber": fastbox.huber_loss,
    "l1": fastbox.l1_loss,
}


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> Any:
    return LOSSES[request.param]


@st.composite
def two_arrays(draw: st.DrawFn) -> Any:
    """Two arrays of one shape and dtype, some of their numbers equal."""
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    numbers = st.integers(-8, 8).map(lambda k: k / 4) | st.floats(-1e4, 1e4, width=32)
    return draw(hnp.arrays(dtype, shape, elements=numbers)), draw(hnp.arrays(dtype, shape, elements=numbers))


def numbers(n: int, dtype: Any, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 2, n).astype(dtype)


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


def test_lists_and_tensors_go_in(loss: Any) -> None:
    a, b = numbers(8, np.float32, 1), numbers(8, np.float32, 2)
    assert loss(a.tolist(), b.tolist()) == loss(a.astype(np.float64), b.astype(np.float64))
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert loss(torch.from_numpy(a), torch.from_numpy(b)) == loss(a, b)
    assert loss(torch.from_numpy(a).requires_grad_(), torch.from_numpy(b)) == loss(a, b)


def test_a_nan_stays_where_it_is(loss: Any) -> None:
    a, b = numbers(8, np.float32, 1), numbers(8, np.float32, 2)
    a[3] = b[6] = np.nan
    a[1], b[2] = np.inf, -np.inf
    got = loss(a, b, reduction="none")
    assert_array_equal(np.isnan(got), [k in (3, 6) for k in range(8)])
    assert np.isinf(got[[1, 2]]).all()
    assert math.isnan(loss(a, b))
    assert math.isnan(loss(a, b, reduction="sum"))


# Reductions


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [1, 3, 4, 1023, 8191, 8192, 8193, 16385] if not WITHOUT_JIT else [1, 3, 4, 1023])
def test_sums_are_exact_to_rounding(loss: Any, n: int, dtype: Any) -> None:
    a, b = numbers(n, dtype, 1), numbers(n, dtype, 2)
    exact = math.fsum(loss(a, b, reduction="none").tolist())
    tolerance = 1e-7 if dtype == np.float32 else 1e-12
    assert loss(a, b, reduction="sum") == pytest.approx(exact, rel=tolerance)
    assert loss(a, b, reduction="mean") == pytest.approx(exact / n, rel=tolerance)
    assert loss(a, b) == loss(a, b, reduction="mean")


@pytest.mark.jit
def test_sums_of_many_small_numbers_do_not_drift() -> None:
    n = 3_000_000
    pred, target = np.full(n, 0.1, np.float32), np.zeros(n, np.float32)
    assert fastbox.l1_loss(pred, target, reduction="sum") == pytest.approx(n * float(np.float32(0.1)), rel=1e-10)


@given(corners(min_size=1), corners(min_size=1))
def test_box_sums_the_four_coordinates(a: Any, b: Any) -> None:
    n = min(len(a), len(b))
    a, b = a[:n], b[:n].astype(a.dtype)
    for loss in LOSSES.values():
        boxes = loss(Boxes(a), Boxes(b), reduction="box")
        assert (boxes.shape, boxes.dtype) == ((n,), a.dtype)
        assert_allclose(boxes, loss(Boxes(a), Boxes(b), reduction="none").sum(1), rtol=1e-6)


def test_box_keeps_the_leading_shape() -> None:
    a, b = numbers(120, np.float64, 1).reshape(5, 6, 4), numbers(120, np.float64, 2).reshape(5, 6, 4)
    assert_allclose(fastbox.l1_loss(a, b, reduction="box"), np.abs(a - b).sum(-1), rtol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_reduction_is_a_python_float(loss: Any, reduction: str) -> None:
    for dtype in FLOATS:
        assert type(loss(numbers(5, dtype), numbers(5, dtype, 1), reduction=reduction)) is float


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_the_mean_of_nothing_is_nan_without_a_warning(loss: Any, shape: Any) -> None:
    nothing = np.empty(shape, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(loss(nothing, nothing))
        assert loss(nothing, nothing, reduction="sum") == 0.0
        assert loss(nothing, nothing, reduction="none").shape == shape
        if shape[-1] == 4:
            assert loss(nothing, nothing, reduction="box").shape == (0,)
            assert math.isnan(loss(Boxes(nothing), Boxes(nothing)))


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (1, 1, 1, 1)])
def test_arrays_of_any_shape_keep_it(loss: Any, shape: Any) -> None:
    a, b = np.full(shape, 3.0), np.full(shape, 1.0)
    each = loss(a, b, reduction="none")
    assert isinstance(each, np.ndarray)
    assert each.shape == shape
    assert loss(a, b, reduction="sum") == each.sum()


# Memory


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layout_changes_no_bits(loss: Any, layout: str, dtype: Any) -> None:
    a, b = some_boxes(500, dtype, 1, exact=False), some_boxes(500, dtype, 2, exact=False)
    p, q = laid_out(a, layout), laid_out(b, layout)
    for reduction in ("none", "box", "sum", "mean"):
        right = loss(a, b, reduction=reduction)
        assert_array_equal(loss(p, q, reduction=reduction), right)
        assert_array_equal(loss(p, b, reduction=reduction), right)
        assert_array_equal(loss(p.T.T, q.T.T, reduction=reduction), right)
    swapped = [np.moveaxis(x.reshape(5, 100, 4), 0, 1) for x in (p, q)]
    assert_array_equal(loss(*swapped, reduction="none"), loss(*map(np.ascontiguousarray, swapped), reduction="none"))
    assert loss(*swapped) == loss(*map(np.ascontiguousarray, swapped))


@pytest.mark.parametrize("dtype", FLOATS)
def test_alignment_changes_no_bits(loss: Any, dtype: Any) -> None:
    n = 20_000 if not WITHOUT_JIT else 500
    a, b = numbers(n, dtype, 1), numbers(n, dtype, 2)
    right = loss(a, b, reduction="sum")
    for shift_a, shift_b in ((1, 0), (0, 3), (5, 2), (16, 7)):
        p, q = np.empty(n + shift_a, dtype)[shift_a:], np.empty(n + shift_b, dtype)[shift_b:]
        p[:], q[:] = a, b
        assert loss(p, q, reduction="sum") == right
        assert_array_equal(loss(p, q, reduction="none"), loss(a, b, reduction="none"))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
def test_threads_change_no_bits(loss: Any, dtype: Any, threads: Any) -> None:
    a, b = numbers(1_000_003, dtype, 1), numbers(1_000_003, dtype, 2)
    answers = []
    for n in (1, 2, 3):
        threads(n)
        answers.append((loss(a, b), loss(a, b, reduction="sum"), loss(a, b, reduction="none").tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_nothing_given_is_written_to(loss: Any) -> None:
    a, b = numbers(100, np.float32, 1), numbers(100, np.float32, 2)
    before = a.tobytes(), b.tobytes()
    loss(a, b)
    loss(a, b, reduction="none")[:] = 0
    assert (a.tobytes(), b.tobytes()) == before


# Boxes


@given(corners(), formats, formats, st.sampled_from(BETAS))
def test_boxes_are_compared_corner_by_corner(a: Any, format_a: str, format_b: str, beta: float) -> None:
    a = a[np.abs(a).max(1, initial=0) < 1e6]
    b = a[::-1]
    with np.errstate(invalid="ignore"):
        p = Boxes(reference.to_format(a, format_a), format_a)
        q = Boxes(reference.to_format(b, format_b), format_b)
        expected = reference.smooth(p.corners() - q.corners(), beta)
    expected[(p.invalid() > 0) | (q.invalid() > 0)] = np.nan
    got = fastbox.smooth_l1_loss(p, q, beta=beta, reduction="none")
    assert_allclose(got, expected, rtol=2e-7)
    assert_allclose(fastbox.smooth_l1_loss(p, q, beta=beta, reduction="box"), expected.sum(1), rtol=1e-6)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_format_changes_no_bits(loss: Any, dtype: Any, format: str) -> None:
    a, b = some_boxes(300, dtype, 1), some_boxes(300, dtype, 2)
    p, q = (Boxes(reference.to_format(x, format), format) for x in (a, b))
    for reduction in ("none", "box", "sum", "mean"):
        assert_array_equal(loss(p, q, reduction=reduction), loss(a, b, reduction=reduction))


def test_an_invalid_box_is_nan(loss: Any) -> None:
    good = Boxes([[0, 0, 1, 1]] * 4)
    bad = Boxes([[0, 0, 2, 2], [0, 0, np.nan, 2], [3, 0, 1, 1], [0, 0, np.inf, 1]])
    for each in (loss(good, bad, reduction="box"), loss(bad, good, reduction="box")):
        assert_array_equal(np.isnan(each), [False, True, True, True])
    assert_array_equal(np.isnan(loss(bad, good, reduction="none")), np.repeat([[False], [True], [True], [True]], 4, 1))
    assert math.isnan(loss(bad, good))
    assert math.isnan(loss(bad, good, reduction="sum"))


@pytest.mark.parametrize("dtype", FLOATS)
def test_losses_of_boxes_are_the_distances(dtype: Any) -> None:
    a, b = some_boxes(60, dtype, 1, exact=False, bad=0.1), some_boxes(60, dtype, 2, exact=False, bad=0.1)
    for metric, got in (
        ("l1", fastbox.l1_loss(Boxes(a), Boxes(b), reduction="box")),
        ("smooth_l1", fastbox.smooth_l1_loss(Boxes(a), Boxes(b), reduction="box")),
    ):
        assert_allclose(got, fastbox.aligned(a, b, metric=metric), rtol=1e-6)


# What is said of bad input


def test_a_negative_beta_is_refused() -> None:
    for beta in (-1, -1e-9, math.nan):
        with pytest.raises(ValueError, match="beta"):
            fastbox.smooth_l1_loss([1.0], [2.0], beta=beta)
    with pytest.raises(ValueError, match=r"delta.*-1"):
        fastbox.huber_loss([1.0], [2.0], delta=-1)


def test_an_unknown_reduction_is_named_with_the_known_ones(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"none.*box.*sum.*mean.*'average'"):
        loss([1.0], [2.0], reduction="average")


def test_shapes_must_agree(loss: Any) -> None:
    for a, b in (((3, 4), (2, 4)), ((12,), (3, 4)), ((4, 3), (3, 4))):
        with pytest.raises(ValueError, match="shape"):
            loss(np.zeros(a), np.zeros(b))
    with pytest.raises(ValueError, match=r"3.*2"):
        loss(Boxes(np.zeros((3, 4))), Boxes(np.zeros((2, 4))))


def test_box_needs_four_coordinates(loss: Any) -> None:
    for shape in ((4, 3), (12,), ()):
        with pytest.raises(ValueError, match="4"):
            loss(np.zeros(shape), np.zeros(shape), reduction="box")


def test_options_are_keywords(loss: Any) -> None:
    with pytest.raises(TypeError):
        loss([1.0], [2.0], 1.0)
