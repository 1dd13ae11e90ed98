"""Means and quantiles of the values of each of many groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox.values.groups import stable

__all__ = ["QUANTILES", "spread"]

Floats = NDArray[np.float64]
QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95}


def spread(groups: NDArray[np.int64], values: Floats, count: int) -> dict[str, Floats]:
    """Return the mean and quantiles of each of `count` groups, nan for an empty group; values must ascend.

    A quantile between two values is interpolated.

    >>> spread(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]), 3)["p50"]
    array([ 2., nan,  5.])
    """
    sizes = np.bincount(groups, minlength=count)
    starts, last = np.cumsum(sizes) - sizes, np.maximum(sizes - 1, 0)
    ranked = np.append(values if count == 1 else values[stable(groups, count)], np.nan)
    with np.errstate(invalid="ignore"):
        found: dict[str, Floats] = {"mean": np.bincount(groups, weights=values, minlength=count) / sizes}
    for name, quantile in QUANTILES.items():
        low = np.floor(quantile * last).astype(np.int64)
        first, second = (ranked[np.minimum(starts + np.minimum(at, last), len(values))] for at in (low, low + 1))
        found[name] = np.where(sizes > 0, first + (second - first) * (quantile * last - low), np.nan)
    return found
