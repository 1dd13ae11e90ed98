"""Fractions of an image's size: what is written reads back as the same pixels, and nothing shorter does."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastbox.datasets.fractions import shortest

sizes = st.integers(1, 2**31 - 1)
# Near the least of all float64, a quotient has fewer digits.
pixels = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-280)


@given(st.lists(st.tuples(st.decimals(-2, 3, places=7), sizes), max_size=20), st.integers(0, 17))
@example([(Decimal("0.1454329"), 640), (Decimal("-0"), 3), (Decimal("0.0000001"), 1)], 6)
def test_a_decimal_comes_back_from_its_pixels(read: list[tuple[Decimal, int]], digits: int) -> None:
    size = np.array([size for _, size in read], np.int32)
    pixels = np.array([float(value) for value, _ in read]) * size
    texts = shortest(pixels, size, digits)
    for text, (value, _), scale, pixel in zip(texts, read, size.tolist(), pixels.tolist(), strict=True):
        assert (float(text) * scale).hex() == pixel.hex()
        if digits <= 7:
            assert Decimal(text) == value
            assert len(text) <= len(str(value)) or "e" in str(value).lower()


@given(st.lists(st.tuples(pixels, sizes), min_size=1, max_size=20))
@example([(640 / 3, 640), (0.0, 1), (-0.0, 7), (1e-270, 1), (0.1, 1000)])
def test_any_pixels_that_a_fraction_can_give_come_back(boxes: list[tuple[float, int]]) -> None:
    pixels, size = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes], np.int32)
    for text, pixel, scale in zip(shortest(pixels, size), pixels.tolist(), size.tolist(), strict=True):
        got = float(text) * scale
        near = [pixel / scale, np.nextafter(pixel / scale, np.inf), np.nextafter(pixel / scale, -np.inf)]
        if any(float(fraction) * scale == pixel for fraction in near):
            assert got.hex() == pixel.hex()
        else:
            assert abs(got - pixel) <= np.spacing(abs(pixel))
        assert "e" not in text


@pytest.mark.parametrize("digits", [0, 3, 6, 15, 40])
def test_none_at_all(digits: int) -> None:
    assert shortest(np.zeros(0), np.zeros(0), digits) == []


def test_usual_annotations_come_back_digit_for_digit() -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(200, 1025, 50_000)
    fractions = np.round(rng.random(50_000), 6)
    texts = shortest(fractions * size, size)
    assert [float(text) for text in texts] == fractions.tolist()
    assert max(map(len, texts)) == 8
