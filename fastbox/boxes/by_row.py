"""Two sets of boxes of which row i of one belongs to row i of the other, as kernels take them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fastbox import parallel
from fastbox.boxes.container import as_boxes
from fastbox.kernels.codes import XYXY
from fastbox.values.formats import Columns, are_corners, columns_of

__all__ = ["FEW", "Sides", "by_row", "few_by_row"]

FEW = 8192  # rows up to which preparing a call takes about as long as its kernel

Sides: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...]]


def by_row(
    one: Any, other: Any, names: tuple[str, str], counted: tuple[str, str]
) -> tuple[int, np.dtype[Any], Sides, tuple[Columns, Columns]]:
    """Read two sets of plain boxes of one length; grouping makes no difference.

    Parameters
    ----------
    one, other : Boxes or anything that :func:`fastbox.boxes.container.as_boxes` reads
    names, counted : two str
        The names of the arguments, and of what is counted in them, in messages.

    Returns
    -------
    int, dtype, two tuples, two tuples of columns
        The number of rows, the common dtype, both sets as kernels take them, and their columns as they were given.
    """
    if (few := few_by_row(one, other)) is not None:
        inverted = parallel.kernel("geometry.inverted", "INVERTED", one.dtype)
        if not (inverted(one) or inverted(other)):  # nothing to warn of
            return len(one), one.dtype, few, (few[0][1:], few[1][1:])
    first, second = as_boxes(one, names[0], grouped=False), as_boxes(other, names[1], grouped=False)
    n = len(first)
    if len(second) != n:
        raise ValueError(f"expected as many {counted[0]} as {counted[1]}, got {n} and {len(second)}")
    dtype = first.dtype if first.dtype == second.dtype else np.result_type(first.dtype, second.dtype)
    sides = first.astype(dtype).kernel_args(), second.astype(dtype).kernel_args()
    return n, dtype, sides, (first.columns, second.columns)


def few_by_row(one: Any, other: Any, most: int = FEW) -> Sides | None:
    """Return two arrays of a few corners as kernels take them; None where there is something to convert or to refuse.

    Inverted boxes, which may need a warning, are not looked for: they make nan of what is computed of them, and a
    caller that finds a nan reads the boxes by :func:`by_row`.
    """
    if are_corners(one) and are_corners(other) and one.dtype is other.dtype and 0 < len(one) == len(other) <= most:
        return (XYXY, *columns_of(one)), (XYXY, *columns_of(other))
    return None
