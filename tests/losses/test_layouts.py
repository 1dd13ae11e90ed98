"""Neither threads nor memory layout change a bit of a loss, and bad arguments are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import FORMATS, LAYOUTS, corners, formats, laid_out, some_boxes
from support.floats import FLOATS
from support.losses import BETAS, OVERLAP, numbers
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes
from fastbox.kernels.build.transpose import WIDE
from fastbox.kernels.codes import BLOCK
from fastbox.kernels.geometry.read_rows import AT_ONCE, ROWS


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (1, 1, 1, 1)])
def test_arrays_of_any_shape_keep_it(pointwise: Any, shape: Any) -> None:
    a, b = np.full(shape, 3.0), np.full(shape, 1.0)
    each = pointwise(a, b, reduction="none")
    assert isinstance(each, np.ndarray)
    assert each.shape == shape
    assert pointwise(a, b, reduction="sum") == each.sum()


@pytest.mark.jit
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layout_changes_no_bits(pointwise: Any, layout: str, dtype: Any) -> None:
    a, b = some_boxes(500, dtype, 1, exact=False), some_boxes(500, dtype, 2, exact=False)
    p, q = laid_out(a, layout), laid_out(b, layout)
    for reduction in ("none", "box", "sum", "mean"):
        right = pointwise(a, b, reduction=reduction)
        assert_array_equal(pointwise(p, q, reduction=reduction), right)
        assert_array_equal(pointwise(p, b, reduction=reduction), right)
        assert_array_equal(pointwise(p.T.T, q.T.T, reduction=reduction), right)
    swapped = [np.moveaxis(x.reshape(5, 100, 4), 0, 1) for x in (p, q)]
    assert_array_equal(
        pointwise(*swapped, reduction="none"), pointwise(*map(np.ascontiguousarray, swapped), reduction="none")
    )
    assert pointwise(*swapped) == pointwise(*map(np.ascontiguousarray, swapped))


@pytest.mark.jit
@pytest.mark.parametrize("row", [None, 0, -1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_rows_of_corners_have_the_losses_of_columns(
    overlap: str, dtype: Any, row: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a box of extreme size, and with gradients stored past the caches."""
    monkeypatch.setattr("fastbox.losses.outcome.STREAMED_BYTES", 0)
    for n in (WIDE, ROWS, AT_ONCE + ROWS + 1, BLOCK + ROWS):
        a, b = some_boxes(n, dtype, 1, exact=False), some_boxes(n, dtype, 2, exact=False)
        if row is not None:
            a[row] *= dtype(2.0) ** (-100 if dtype is np.float32 else -900)
        columns = Boxes(np.asfortranarray(a)), Boxes(np.asfortranarray(b))
        loss = OVERLAP[overlap]
        for reduction in ("none", "mean"):
            right = loss(*columns, reduction=reduction, return_grad=True)
            stored = np.empty(4 * n + 3, dtype)[3:].reshape(n, 4)
            for grad_out in (None, stored):
                found = loss(a, b, reduction=reduction, return_grad=True, grad_out=grad_out)
                assert_array_equal(found.loss, right.loss)
                assert_array_equal(found.grad, right.grad)
            assert_array_equal(loss(a, b, reduction=reduction), right.loss)


@pytest.mark.parametrize("dtype", FLOATS)
def test_alignment_changes_no_bits(pointwise: Any, dtype: Any) -> None:
    n = 20_000 if not WITHOUT_JIT else 500
    a, b = numbers(n, dtype, 1), numbers(n, dtype, 2)
    right = pointwise(a, b, reduction="sum")
    for shift_a, shift_b in ((1, 0), (0, 3), (5, 2), (16, 7)):
        p, q = np.empty(n + shift_a, dtype)[shift_a:], np.empty(n + shift_b, dtype)[shift_b:]
        p[:], q[:] = a, b
        assert pointwise(p, q, reduction="sum") == right
        assert_array_equal(pointwise(p, q, reduction="none"), pointwise(a, b, reduction="none"))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
def test_threads_change_no_bits(pointwise: Any, dtype: Any, threads: Any) -> None:
    a, b = numbers(1_000_003, dtype, 1), numbers(1_000_003, dtype, 2)
    answers = []
    for n in (1, 2, 3):
        threads(n)
        answers.append((pointwise(a, b), pointwise(a, b, reduction="sum"), pointwise(a, b, reduction="none").tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_nothing_given_is_written_to(pointwise: Any) -> None:
    a, b = numbers(100, np.float32, 1), numbers(100, np.float32, 2)
    before = a.tobytes(), b.tobytes()
    pointwise(a, b)
    pointwise(a, b, reduction="none")[:] = 0
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
def test_format_changes_no_bits(pointwise: Any, dtype: Any, format: str) -> None:
    a, b = some_boxes(300, dtype, 1), some_boxes(300, dtype, 2)
    p, q = (Boxes(reference.to_format(x, format), format) for x in (a, b))
    for reduction in ("none", "box", "sum", "mean"):
        assert_array_equal(pointwise(p, q, reduction=reduction), pointwise(a, b, reduction=reduction))


def test_an_invalid_box_is_nan(pointwise: Any) -> None:
    good = Boxes([[0, 0, 1, 1]] * 4)
    bad = Boxes([[0, 0, 2, 2], [0, 0, np.nan, 2], [3, 0, 1, 1], [0, 0, np.inf, 1]])
    for each in (pointwise(good, bad, reduction="box"), pointwise(bad, good, reduction="box")):
        assert_array_equal(np.isnan(each), [False, True, True, True])
    assert_array_equal(
        np.isnan(pointwise(bad, good, reduction="none")), np.repeat([[False], [True], [True], [True]], 4, 1)
    )
    assert math.isnan(pointwise(bad, good))
    assert math.isnan(pointwise(bad, good, reduction="sum"))


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


def test_an_unknown_reduction_is_named_with_the_known_ones(pointwise: Any) -> None:
    with pytest.raises(ValueError, match=r"none.*box.*sum.*mean.*'average'"):
        pointwise([1.0], [2.0], reduction="average")


def test_shapes_must_agree(pointwise: Any) -> None:
    for a, b in (((3, 4), (2, 4)), ((12,), (3, 4)), ((4, 3), (3, 4))):
        with pytest.raises(ValueError, match="shape"):
            pointwise(np.zeros(a), np.zeros(b))
    with pytest.raises(ValueError, match=r"3.*2"):
        pointwise(Boxes(np.zeros((3, 4))), Boxes(np.zeros((2, 4))))


def test_box_needs_four_coordinates(pointwise: Any) -> None:
    for shape in ((4, 3), (12,), ()):
        with pytest.raises(ValueError, match="4"):
            pointwise(np.zeros(shape), np.zeros(shape), reduction="box")


def test_options_are_keywords(pointwise: Any) -> None:
    with pytest.raises(TypeError):
        pointwise([1.0], [2.0], 1.0)
