"""Sine and cosine: within 0.82 units of the last place of decimals, exact at multiples of 90 degrees."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from support.exact import turn_of
from support.paths import WITHOUT_JIT

from fastbox.kernels.geometry.turn import TURNS

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

F8 = np.dtype(np.float64)


def sines_and_cosines(angles: np.ndarray, *, degrees: bool) -> tuple[np.ndarray, np.ndarray]:
    sines, cosines = np.empty(len(angles)), np.empty(len(angles))
    TURNS[F8, ""](angles, degrees, sines, cosines)
    return sines, cosines


@pytest.mark.parametrize("degrees", [False, True])
def test_values_are_within_one_unit_of_the_last_place(degrees: bool) -> None:
    rng, n = np.random.default_rng(2), 40 if WITHOUT_JIT else 300
    most = 6e7 if degrees else 2.0**20
    special = [1e-300, 1e-9, 45, 60, 89.99999999, 359.999999] if degrees else [1e-300, 1e-9, np.pi / 4, np.pi, 2.0**20]
    angles = np.concatenate([special, rng.uniform(-7, 7, n) * (57 if degrees else 1), rng.uniform(-most, most, n)])
    for angle, *found in zip(angles, *sines_and_cosines(angles, degrees=degrees), strict=True):
        for value, exact in zip(found, turn_of(angle, degrees), strict=True):
            unit = Decimal(float(np.spacing(abs(np.float64(exact)))))
            assert abs(Decimal(float(value)) - exact) <= Decimal("0.82") * unit, angle


def test_multiples_of_a_quarter_turn_are_exact() -> None:
    quarters = np.arange(-9, 10)
    sines, cosines = sines_and_cosines(90.0 * quarters, degrees=True)
    assert sines.tolist() == [[0, 1, 0, -1][k % 4] for k in quarters]
    assert cosines.tolist() == [[1, 0, -1, 0][k % 4] for k in quarters]


def test_angles_beyond_all_bounds_are_nan() -> None:
    for angles, degrees in (([2.0**21, np.inf, np.nan], False), ([6.1e7, -np.inf], True)):
        sines, cosines = sines_and_cosines(np.array(angles), degrees=degrees)
        assert np.isnan(sines).all() and np.isnan(cosines).all()
