"""Arctangent, exponential and logarithm: within one unit of the last place of what decimals of 50 digits give."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.kernels.geometry.elementary import FUNCTIONS, aspect

getcontext().prec = 50
HALF_PI = Decimal("1.57079632679489661923132169163975144209858469968755291")
F8 = np.dtype(np.float64)


def applied(name: str, values: Any) -> Any:
    given = np.array(values, np.float64)
    out = np.empty_like(given)
    FUNCTIONS[F8, name](given, out)
    return out


def exact_atan(x: float | Decimal) -> Decimal:
    """By halving the angle until its series is short."""
    if abs(x) > 1:
        return HALF_PI.copy_sign(Decimal(x)) - exact_inverse(Decimal(1) / Decimal(x))
    return exact_inverse(Decimal(x))


def exact_inverse(t: Decimal) -> Decimal:
    halvings = 0
    while abs(t) > Decimal("0.05"):
        t = t / (1 + (1 + t * t).sqrt())
        halvings += 1
    total, power, k = Decimal(0), t, 1
    while k < 60:
        total += power / k
        power, k = -power * t * t, k + 2
    return total * 2**halvings


EXACT: dict[str, Callable[[float], Decimal]] = {
    "atan": exact_atan,
    "exp": lambda x: Decimal(x).exp(),
    "log": lambda x: Decimal(x).ln(),
}


def units(name: str, x: float) -> float:
    """How many units of its last place a value is off."""
    exact, found = EXACT[name](x), applied(name, [x])[0]
    return float(abs(Decimal(float(found)) - exact) / Decimal(float(np.spacing(abs(np.float64(exact))))))


every = st.floats(allow_nan=False, allow_infinity=False)
near = st.floats(-4, 4)


@given(every | near)
def test_atan_is_within_a_unit_of_the_last_place(x: float) -> None:
    assert units("atan", x) <= 1


@given(st.floats(-745.1, 709.7) | near)
def test_exp_is_within_a_unit_of_the_last_place(x: float) -> None:
    assert units("exp", x) <= 1


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.floats(0.5, 2))
def test_log_is_within_a_unit_of_the_last_place(x: float) -> None:
    assert units("log", x) <= 1


@pytest.mark.jit
@pytest.mark.parametrize("name", EXACT)
def test_many_values_and_those_where_the_work_changes(name: str) -> None:
    rng = np.random.default_rng(5)
    spots = {
        "atan": [0.4375, 0.6875, 1.1875, 2.4375, 0.5, 1, 1.5],
        "exp": [k / 2 * math.log(2) for k in range(-60, 60)],
        "log": [2.0**k * root for k in range(-3, 4) for root in (math.sqrt(0.5), 1.0, math.sqrt(2))],
    }[name]
    about = [np.nextafter(x, to) for x in spots for to in (-9, 9)]
    wide = {"atan": 2.0 ** rng.uniform(-40, 40, 1000), "exp": rng.uniform(-745, 709, 1000)}
    drawn = wide.get(name, 2.0 ** rng.uniform(-1074, 1023, 1000))
    for x in [*spots, *about, *drawn, *rng.uniform(0.01, 3, 1000)]:
        assert units(name, float(x)) <= 1, x


def test_where_values_are_exact() -> None:
    nan, inf = math.nan, math.inf
    np.testing.assert_array_equal(applied("atan", [0, inf, -inf, 1]), [0, math.pi / 2, -math.pi / 2, math.pi / 4])
    np.testing.assert_array_equal(applied("exp", [0, -0.0, -inf, inf, 1e300, -1e300]), [1, 1, 0, inf, inf, 0])
    np.testing.assert_array_equal(applied("log", [1, 0, -0.0, inf, -1]), [0, -inf, -inf, inf, nan])
    assert np.isnan([applied(name, [nan])[0] for name in EXACT]).all()
    assert np.signbit(applied("atan", [-0.0])[0])
    assert applied("log", [1000 / 16])[0] == 4.135166556742356  # the clamp of torchvision and detectron2


@given(st.lists(near, min_size=2, max_size=2))
def test_a_greater_number_has_no_lesser_value_but_for_the_last_place(two: list[float]) -> None:
    low, high = sorted(two)
    for name in ("atan", "exp"):
        one, other = applied(name, [low, high])
        assert one <= np.nextafter(other, math.inf)


sides = st.floats(2.0**-20, 2.0**20, width=32)


@given(sides, sides)
def test_the_aspect_of_float32_is_the_nearest(w: float, h: float) -> None:
    exact = exact_atan(Decimal(w) / Decimal(h)) / HALF_PI
    assert aspect(np.float32(w), np.float32(h)) == np.float32(float(exact))


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_aspect_of_a_box(dtype: Any) -> None:
    sides = [dtype(side) for side in (0, 1, 3)]
    nothing, one, three = sides
    assert aspect(one, one) == aspect(three, three) == 0.5
    assert aspect(one, nothing) == aspect(one, -nothing) == 1
    assert aspect(nothing, one) == aspect(nothing, nothing) == 0
    assert dtype(aspect(one, three)) + dtype(aspect(three, one)) == 1
    assert dtype(aspect(one, three)) == pytest.approx(
        2 / math.pi * math.atan(1 / 3), rel=float(4 * np.finfo(dtype).eps)
    )
