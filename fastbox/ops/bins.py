"""The edges of a histogram's bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.numbers import as_number, in_dtype, shown

__all__ = ["edges_of"]


def edges_of(bins: int, range: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the edges of equal bins between the two ends of a range, as :func:`numpy.histogram_bin_edges` has them.

    Raises
    ------
    ValueError, TypeError
        A range of other than two finite numbers, the lower first; or more than the dtype can tell apart.
    """
    if not isinstance(range, tuple | list | np.ndarray) or len(range) != 2:
        raise ValueError(f"expected range=(low, high), got {shown(range)}")
    low, high = as_number(range[0], "the low end of range"), as_number(range[1], "the high end of range")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"expected a range of two finite numbers, the lower first, got {(low, high)!r}")
    with np.errstate(over="ignore", invalid="ignore"):
        width = in_dtype(high, dtype) - in_dtype(low, dtype)
        per_unit = np.float64(bins) / np.float64(high - low)
    if not np.isfinite(per_unit):
        raise ValueError(f"expected a range of at least {bins} / 1.8e308, got {(low, high)!r}: give a wider one")
    if not np.isfinite(width):
        raise ValueError(f"expected a range whose width {dtype} holds, got {(low, high)!r}: give a narrower one")
    try:
        edges: NDArray[Any] = np.histogram_bin_edges(np.empty(0, dtype), bins, (low, high)).astype(dtype)
    except (ValueError, IndexError):
        raise ValueError(
            f"expected no more bins than {dtype} has numbers in the range {(low, high)!r}, got {bins}: "
            f"give fewer bins or a wider range"
        ) from None
    return edges
