"""Few boxes: comparisons of two small arrays by one kernel, where nothing needs a check that could fail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.by_row import corners_by_row
from fastbox.boxes.container import as_boxes
from fastbox.kernels.metrics import METRICS
from fastbox.ops.checks import output
from fastbox.values.formats import are_corners
from fastbox.values.numbers import FLOAT32_MOST

__all__ = ["leaders", "reaching", "values_of"]

# Up to this size one call is faster than the preparation of tiles, images and threads.
PAIRS = 8192  # of a matrix; half as many if it is searched afterwards
ROWS = 128  # of aligned rows, above which the kernel of many compares them
MOST_ROWS = 32_768  # of aligned rows, above which preparing a call takes less than a fifth of it


def values_of(
    a: Any,
    b: Any,
    metric: str,
    beta: float,
    *,
    aligned: bool = False,
    searched: bool = False,
    out: NDArray[Any] | None = None,
) -> NDArray[Any] | None:
    """Return the matrix of all values, or the values of aligned rows; None where the caller must check more.

    Taken are float arrays of one dtype, in which nothing is converted or refused. Inverted boxes are left to the
    caller, which may have to warn; among many aligned rows they are warned of here.
    """
    if not (
        are_corners(a)
        and are_corners(b)
        and a.dtype is b.dtype
        and type(metric) is str
        and metric in METRICS
        and type(beta) is float
        and 0 <= beta <= FLOAT32_MOST
    ):
        return None
    n, m = len(a), len(b)
    if n != m or n > MOST_ROWS if aligned else n * m > PAIRS >> searched:
        return None
    out = output(out, (n,) if aligned else (n, m), a.dtype, inputs=(a, b))
    if aligned and n > ROWS:
        kernel = parallel.kernel("compare.aligned", "ALIGNED", a.dtype, metric)
        kernel(a.dtype.type(beta), *corners_by_row(a, b), (0, n), out)
        if math.isnan(np.minimum.reduce(out)):  # as of an inverted box, which a caller may have to be warned of
            as_boxes(a, "a", grouped=False), as_boxes(b, "b", grouped=False)
        return out
    kernel = parallel.kernel("compare.few", "FEW", a.dtype, metric)
    return out if kernel(beta, a, b, aligned, out if aligned else out.reshape(-1)) else None


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
