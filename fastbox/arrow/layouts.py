"""Boxes in Arrow columns of any layout, viewed as four NumPy columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow.arrays import Place, coordinates, flattened, image_runs, is_list, numbers, one_chunk, rows_of
from fastbox.arrow.fields import require
from fastbox.errors import InputError
from fastbox.kernels.codes import COLUMNS, FORMATS, QUADS, ROTATED
from fastbox.values.groups import groups_of_rows

__all__ = ["BoxColumns", "Names", "Rectangular", "rows_as_boxes", "to_columns"]

Names = tuple[str, ...]
Rectangular: TypeAlias = pa.RecordBatch | pa.Table


@dataclass(frozen=True)
class BoxColumns:
    """The columns that hold a table's boxes.

    ``layout`` is ``"flat"`` (four columns), ``"struct"``, ``"fixed"`` (fixed-size list of 4), ``"list"`` (lists, each
    of 4) or ``"ragged"`` (a list of boxes: one row per image). ``names`` are the columns read, ``fields`` the fields of
    the struct or empty, both in the order of ``format``. Rotated boxes have five or eight coordinates in place of four.
    """

    layout: str
    names: Names
    fields: Names
    format: str

    @property
    def rotated(self) -> bool:
        """Tell whether the boxes are rotated rectangles or quadrilaterals."""
        return self.format.removeprefix("rel_") not in FORMATS

    @property
    def count(self) -> int:
        """The number of coordinates of a box."""
        if not self.rotated:
            return len(FORMATS[0])
        return COLUMNS[QUADS if self.format.endswith("xyxyxyxy") else ROTATED]

    @property
    def paths(self) -> Names:
        """The paths that a Parquet reader must read; for a struct only the paths of the four fields."""
        if self.layout == "struct":
            return tuple(f"{self.names[0]}.{field}" for field in self.fields)
        return self.names


def to_columns(
    batch: Rectangular,
    columns: BoxColumns,
    *,
    image: str | None = None,
    where: str = "table",
    first_row: int = 0,
    fix: str | None = None,
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64] | None, NDArray[Any] | None]:
    """View the boxes of a batch as columns, with the offsets of its groups and their image ids.

    float32 and float64 are viewed without a copy, as long as a column is one chunk. With ``image`` the boxes are
    grouped by that column; a ragged batch without it is grouped by row. Rows in messages count from ``first_row``; the
    first row of a file is row 0. ``fix`` is the remedy for unsorted ids in messages.

    Raises
    ------
    InputError
        A null, a list of another length, or image ids that are unsorted or neither integers nor strings.
    """
    bounds = None
    if columns.layout == "flat":
        found = tuple(numbers(one_chunk(batch.column(name)), Place(where, name, first_row)) for name in columns.names)
    else:
        name = columns.names[0]
        array = one_chunk(batch.column(name))
        if columns.layout == "ragged":
            array, bounds = flattened(array, Place(where, name, first_row))
        found = coordinates(array, columns.fields, Place(where, name, first_row, bounds), columns.count)
    if image is None:
        return found, bounds, None
    require(batch.schema, image, where)
    ids, offsets = image_runs(one_chunk(batch.column(image)), Place(where, image, first_row), fix)
    return found, offsets if bounds is None else bounds[offsets], ids


def rows_as_boxes(
    batch: pa.RecordBatch, columns: BoxColumns, names: Sequence[str], *, where: str = "table", first_row: int = 0
) -> pa.RecordBatch:
    """Return the named columns with one row per box; a ragged batch has its lists flattened and other columns repeated.

    Raises
    ------
    InputError
        A list is not as long as the list of its row's boxes.
    """
    arrays = [batch.column(name) for name in names]
    counter = batch.column(columns.names[0])
    if columns.layout == "ragged":
        _, bounds = flattened(counter, Place(where, columns.names[0], first_row))
        counter = pa.array(groups_of_rows(bounds))
        arrays = [
            _elements(array, bounds, Place(where, name, first_row)) if is_list(array.type) else rows_of(array, counter)
            for name, array in zip(names, arrays, strict=True)
        ]
    # A batch without columns keeps its number of rows only when it is selected from one that has them.
    return pa.record_batch([*arrays, counter], names=[*names, ""]).select(list(range(len(names))))


def _elements(array: pa.Array, bounds: NDArray[np.int64], place: Place) -> pa.Array:
    values, own = flattened(array, place)
    wrong = np.flatnonzero(np.diff(own) != np.diff(bounds))
    if wrong.size:
        row = int(wrong[0])
        want, got = (int(ends[row + 1] - ends[row]) for ends in (bounds, own))
        came = f"in {place(row)}, got {got}: give one element for each box"
        raise InputError(f"expected as many elements as the row has boxes, {want}, {came}")
    return values
