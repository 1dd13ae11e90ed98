"""Anchors that are equal to the bit."""

from __future__ import annotations

from typing import Any

from numpy.testing import assert_array_equal


def assert_same_bits(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected, strict=True)
