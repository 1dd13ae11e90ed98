"""Comparison of two sets of boxes row by row."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastbox import parallel
from fastbox.kernels.codes import PLAIN
from fastbox.ops import few
from fastbox.ops.checks import as_two, output
from fastbox.ops.geometry import sides_of
from fastbox.values.arguments import named
from fastbox.values.formats import rows_of
from fastbox.values.numbers import in_dtype

__all__ = ["aligned"]

ALIGNED_ROWS = 32_768  # rows below which another thread does not pay
ROWS_READ = 32_768  # rows from which it pays to read those that lie apart as columns, and to look for rows in one block


@named
def aligned(a: Any, b: Any, *, metric: str = "iou", beta: float = 1.0, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Compute a metric of row i of a with row i of b.

    Parameters are those of :func:`pairwise`; a and b have the same length, and grouping makes no difference.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    ValueError, TypeError
        As :func:`pairwise`, and if the lengths differ.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.aligned([[0, 0, 2, 2], [0, 0, 1, 1]], [[1, 0, 3, 2], [2, 0, 3, 1]], metric="giou")
    array([ 0.33333333, -0.33333333])
    """
    if few.are_plain(a, b, metric, beta) and len(a) == len(b) and (len(a) < ROWS_READ or _are_blocks(a, b)):
        out = output(out, (len(a),), a.dtype, inputs=(a, b))
        kernel = parallel.kernel("compare.aligned", "CORNERS", a.dtype, metric)
        if len(a) < ROWS_READ:
            valid = kernel(beta, a, b, (0, len(a)), out)
        else:
            valid = all(parallel.run_blocks(kernel, (beta, a, b), out, len(a), 1024, ALIGNED_ROWS))
        if not valid:
            as_two(a, b, metric, beta)  # which may warn
        return out
    a, b = as_two(a, b, metric, beta, grouped=False)
    if len(a) != len(b):
        raise ValueError(f"expected as many boxes in a as in b, got {len(a)} and {len(b)}")
    out = output(out, (len(a),), a.dtype, inputs=(*a.columns, *b.columns))

    which, sides = "ALIGNED", sides_of(a, b)
    if len(a) >= ROWS_READ and sides.geometry == PLAIN and a.format == b.format == "xyxy":
        rows_a, rows_b = rows_of(a.columns), rows_of(b.columns)
        if rows_a is not None and rows_b is not None:
            which, sides = "CORNERS", sides._replace(args=(rows_a, rows_b))
    given = in_dtype(beta, a.dtype), *sides.args
    parallel.run_blocks(sides.kernel(which, metric), given, out, len(a), 1024, ALIGNED_ROWS)
    return out


def _are_blocks(*sides: NDArray[Any]) -> bool:
    """Tell whether the rows of arrays lie in one block of memory each."""
    return all(boxes.flags.c_contiguous for boxes in sides)
