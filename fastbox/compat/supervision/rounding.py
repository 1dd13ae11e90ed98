"""Thresholds of float64 values that decide as a comparison of the values rounded to float32."""

from __future__ import annotations

import numpy as np

__all__ = ["above", "from_on"]


def above(threshold: float) -> float:
    """Return the least float64 that is above a threshold once it is rounded to float32.

    >>> above(0.3) < 0.3 < float(np.float32(0.3))
    True
    """
    rounded = np.float32(threshold)
    return _least(rounded if float(rounded) > threshold else np.nextafter(rounded, np.float32(np.inf)))


def from_on(threshold: float) -> float:
    """Return the least float64 that reaches a threshold once both are rounded to float32.

    >>> from_on(0.5) < 0.5, float(np.float32(from_on(0.5)))
    (True, 0.5)
    """
    return _least(np.float32(threshold))


def _least(value: np.float32) -> float:
    """Return the least float64 that is rounded to a float32."""
    middle = (float(np.nextafter(value, np.float32(-np.inf))) + float(value)) / 2  # exact in float64
    return middle if np.float32(middle) == value else float(np.nextafter(middle, np.inf))
