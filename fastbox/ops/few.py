"""Few boxes: comparisons of two small arrays by one kernel, where nothing needs a check that could fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.kernels.metrics import METRICS
from fastbox.ops.checks import output
from fastbox.values.formats import are_corners
from fastbox.values.numbers import FLOAT32_MOST

__all__ = ["are_plain", "leaders", "reaching", "values_of"]

COST = 1 << 17  # in pairs, up to which one call is faster than preparing tiles, images and threads
SEARCHED = 1 << 13  # the same where the matrix is searched: other kernels search as they measure
BOX_COST = 16  # the cost of a box beside its pairs, in pairs


def values_of(
    a: Any, b: Any, metric: str, beta: float, *, searched: bool = False, out: NDArray[Any] | None = None
) -> NDArray[Any] | None:
    """Return the matrix of all values; None where the caller must check more.

    Inverted boxes are left to the caller, which may have to warn.
    """
    if not are_plain(a, b, metric, beta):
        return None
    n, m = len(a), len(b)
    if n * m + BOX_COST * (n + m) > (SEARCHED if searched else COST):
        return None
    out = output(out, (n, m), a.dtype, inputs=(a, b))
    kernel = parallel.kernel("compare.few", "FEW", a.dtype, metric)
    return out if kernel(beta, a, b, out.reshape(-1)) else None


def are_plain(a: Any, b: Any, metric: str, beta: float) -> bool:
    """Tell whether nothing has to be converted or refused: float arrays of one dtype, and a metric by its name."""
    return (
        are_corners(a)
        and are_corners(b)
        and a.dtype is b.dtype
        and type(metric) is str
        and metric in METRICS
        and type(beta) is float
        and 0 <= beta <= FLOAT32_MOST
    )


def leaders(met: NDArray[Any], k: int, metric: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the k best values of each row of a matrix and their columns, both of shape (n, k)."""
    values, indices = np.empty((len(met), k), met.dtype), np.empty((len(met), k), np.int64)
    parallel.kernel("compare.few", "LEADERS", met.dtype)(met, METRICS[metric].distance, values, indices)
    return values, indices


def reaching(
    met: NDArray[Any], least: Any, metric: str, *, alone: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Return rows, columns and values of a matrix that reach a threshold; if alone, of columns behind the row."""
    reached = met <= least if METRICS[metric].distance else met >= least
    rows, cols = reached.nonzero()
    values = met[reached]
    if alone:
        behind = rows < cols
        return rows[behind], cols[behind], values[behind]
    return rows.copy(), cols.copy(), values  # they are columns of one array
