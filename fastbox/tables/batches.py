"""Read batches of rows: of some columns, or of boxes grouped by image."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.arrow.arrays import Place
from fastbox.arrow.layouts import BoxColumns, rows_as_boxes, to_columns
from fastbox.errors import InputError, brief
from fastbox.parallel import alone
from fastbox.storage.opened import DAMAGED, Opened, ParquetFile, check_state, open_parquet
from fastbox.tables.files import is_read_by_group
from fastbox.tables.footers import RowGroups, check_bounds, check_footer, leaves_of
from fastbox.tables.source import Fragment, Plan, Source

__all__ = ["Batch", "batches_of", "boxes_of"]


class Batch(NamedTuple):
    """Boxes as read.

    Attributes
    ----------
    columns : tuple of arrays
        Four of plain boxes; five or eight of rotated boxes.
    offsets, images : array or None
        The first box of each image, and the ascending ids of the images.
    carried : pyarrow.RecordBatch
        The columns carried along, one row per box.
    where : str
        The file.
    first_row : int
        The row of the first box, counted in the file.
    number : int
        The number of the first box, counted in the whole table.
    """

    columns: tuple[NDArray[Any], ...]
    offsets: NDArray[np.int64] | None
    images: NDArray[Any] | None
    carried: pa.RecordBatch
    where: str
    first_row: int
    number: int = 0


def batches_of(
    given: str | RowGroups,
    columns: Sequence[str] | None,
    rows: int,
    coded: Sequence[str] = (),
    opened: Opened | None = None,
) -> Generator[tuple[int, pa.RecordBatch]]:
    """Yield ``(first row, batch)`` of one file or some of its row groups, at most ``rows`` rows at a time.

    Batches are as :func:`open_parquet` gives them, and rows are counted in the file.
    """
    path, some = (given.file, given) if isinstance(given, RowGroups) else (given, None)
    with open_parquet(path, coded, opened) as file:
        if some is not None and some.state:
            check_state(path, some.state, file.state)
        groups = range(file.metadata.num_row_groups) if some is None else range(*some.places)
        batches = _batches(file, groups, rows, columns)
        first_row = 0 if some is None else some.first_row
        while True:
            try:
                batch = next(batches, None)
                for column in () if batch is None else batch.columns:
                    if _is_text(column.type):
                        column.validate(full=True)
            except MemoryError:
                raise
            except DAMAGED as error:
                if isinstance(error, OSError) and error.errno:
                    raise  # an error of the system; Arrow's own have no number
                what = f"got damaged data ({brief(error)}): copy or write it again"
                raise InputError(f"expected rows from {first_row} on in {path}, {what}") from error
            if batch is None:
                return
            if batch.num_rows:
                yield first_row, batch if columns is None else _only(batch, columns)
            first_row += batch.num_rows


def boxes_of(source: Source, found: Plan, rows: int, opened: Opened) -> Generator[Batch]:
    """Yield the boxes of a source, about ``rows`` boxes at a time, grouped by image if it has image ids."""
    carried_names = [source.own(name) for name in found.columns.names]
    named = [*found.boxes.paths, *carried_names, *([source.image] if source.image else [])]
    # Only the first id of every image becomes a string: codes decode and compare 1.4 times as fast.
    coded = [source.image] if source.image and found.ids == "string" and source.image not in carried_names else []
    fragment = source.fragment
    number = 0
    for part in found.files if fragment is None else fragment.groups:
        file = part.file if isinstance(part, RowGroups) else part
        number = part.number if isinstance(part, RowGroups) else number
        opened.check([file])
        most = _batch_rows(file, found.boxes, rows, opened)
        with closing(batches_of(part, named, most, coded, opened)) as batches:
            for first_row, batch in batches:
                columns, offsets, images = to_columns(
                    batch, found.boxes, image=source.image, where=file, first_row=first_row
                )
                carried = rows_as_boxes(batch, found.boxes, carried_names, where=file, first_row=first_row)
                if source.aliases:
                    carried = carried.rename_columns(found.columns.names)
                read = Batch(columns, offsets, images, carried, file, first_row, number)
                number += len(read.columns[0])
                if isinstance(part, RowGroups) and source.image is not None:
                    check_bounds(part, batch.column(source.image), Place(file, source.image, first_row))
                if fragment is not None:
                    read = _within(read, fragment)
                if read.images is None or len(read.images):
                    yield read


def _batches(
    file: ParquetFile, groups: Sequence[int], rows: int, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Yield batches of some row groups, group by group if Arrow can't read several together.

    Where a fragment has one processor, Arrow's pool of threads reads nothing: the other fragments keep it busy.
    """
    names = None if columns is None else list(columns)
    for some in ([group] for group in groups) if is_read_by_group(file) else [groups]:
        yield from file.iter_batches(rows, row_groups=some, columns=names, use_threads=not alone())


def _only(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Drop columns that Arrow read in addition: for Arrow a dotted name also means the field of a struct."""
    there = batch.schema.names
    inside = [name for name in names if name not in there]  # of structs
    asked = [
        place
        for place, name in enumerate(there)
        if name in names or any(path.startswith(f"{name}.") for path in inside)
    ]
    return batch if len(asked) == batch.num_columns else batch.select(asked)


def _within(batch: Batch, fragment: Fragment) -> Batch:
    """Return the images of a batch that are in a fragment."""
    if batch.images is None or batch.offsets is None:
        return batch
    begin, end = fragment.places(batch.images)
    if (begin, end) == (0, len(batch.images)):
        return batch
    bounds = batch.offsets[begin : end + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    return Batch(
        tuple(column[first:last] for column in batch.columns),
        bounds - first,
        batch.images[begin:end],
        batch.carried.slice(first, last - first),
        batch.where,
        batch.first_row + first,
        batch.number + first,
    )


def _batch_rows(file: str, boxes: BoxColumns, rows: int, opened: Opened) -> int:
    """Return the number of rows that hold about ``rows`` boxes, by the footer: in a ragged layout a row is an image."""
    if boxes.layout != "ragged":
        return rows
    with open_parquet(file, (), opened) as parquet:
        check_footer(file, parquet.metadata, boxes.names[0])
        held, per_box = _values(parquet.metadata, boxes.names[0]), 1 if boxes.fields else boxes.count
        return max(1, rows * per_box * int(parquet.metadata.num_rows) // max(1, held))


def _values(footer: Any, name: str) -> int:
    """Count the values in the first leaf of a column."""
    leaf = next(iter(leaves_of(footer.schema, name)))
    return sum(int(footer.row_group(i).column(leaf).num_values) for i in range(footer.num_row_groups))


def _is_text(kind: pa.DataType) -> bool:
    """Tell whether a column has strings, which may be invalid text in a damaged file."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))
