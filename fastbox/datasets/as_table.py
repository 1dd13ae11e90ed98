"""A data set as a table: its rows as fastbox writes them, or keeps them for the running process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.arrays import array_of
from fastbox.arrow.turned import BOX_FORMAT
from fastbox.datasets.by_image import MOST_HELD, Group, grouped, taken
from fastbox.datasets.dataset import Dataset, format_of, names_in
from fastbox.datasets.rotated import box_columns
from fastbox.kernels.codes import ROTATED_FORMATS
from fastbox.storage.in_memory import InMemory
from fastbox.tables.chunk import ROWS
from fastbox.tables.record import record_entry
from fastbox.values.groups import groups_of_rows

__all__ = ["DTYPES", "Changed", "keep", "named"]

pc = deferred("pyarrow.compute")
pq = deferred("pyarrow.parquet")

DTYPES = {"float32": pa.float32(), "float64": pa.float64()}

StrPath: TypeAlias = str | os.PathLike[str]


def keep(dataset: Dataset, path: StrPath) -> tuple[InMemory | str, NDArray[np.int64] | None]:
    """Keep a data set, sorted by image as it is written, for this process alone: quick to keep and to read.

    Parameters
    ----------
    dataset : Dataset
    path : path
        The Parquet file to write if memory holds too few boxes.

    Returns
    -------
    (InMemory or str, ndarray or None)
        The table, or the path; and the number that each row had in the data set, None if the rows keep them.
    """
    own = format_of(dataset.schema)
    table = Changed(dataset, own, own, DTYPES["float64"])
    groups = grouped(replace(dataset, batches=map(table.seen, dataset.batches)), path, ROWS)
    first = next(groups, None)
    schema = table.schema()
    orders: list[NDArray[np.int64] | None] = []

    def tables() -> Iterator[pa.Table]:
        for group in [] if first is None else chain([first], groups):
            orders.append(group.order)
            yield table.of(group, schema)

    record = record_entry("convert", {"kind": dataset.kind}, categories=named(dataset))
    data: InMemory | str
    if table.bytes <= MOST_HELD:
        data = InMemory(schema, [one for one in tables() if one.num_rows], record)
    else:
        data = os.fspath(path)
        _write_kept(data, schema, tables(), record)
    moved = [order for order in orders if order is not None]
    return data, np.concatenate(moved) if moved else None


def _write_kept(path: str, schema: pa.Schema, tables: Iterable[pa.Table], record: Mapping[str, str]) -> None:
    """Write tables to a Parquet file that is read once."""
    # Of values that repeat; the id of a box does not.
    codes = [field.name for field in schema if not pa.types.is_floating(field.type) and field.name != "id"]
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=codes) as writer:
        for table in tables:
            writer.write_table(table)
        writer.add_key_value_metadata(record)


def named(dataset: Dataset) -> dict[str, str]:
    """Return the names of categories by their numbers as text, for the record of a file."""
    return {str(number): name for number, name in dataset.categories.items()}


class Changed:
    """The change of the rows of a data set to the rows of a file."""

    def __init__(self, dataset: Dataset, own: str, format: str, dtype: pa.DataType) -> None:
        self._dataset = dataset
        self._own, self._format, self._dtype = own, format, dtype
        self._narrow = True
        self.bytes = 0

    def seen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch, and note its size and whether its categories fit int32."""
        self.bytes += batch.nbytes
        column = batch.column("category_id")
        if column.type == pa.int64() and not column.null_count and len(column):  # without pyarrow.compute
            values = column.to_numpy()
            least, most = int(values.min()), int(values.max())
        else:
            least, most = pc.min_max(column).as_py().values()
        if least is not None:
            self._narrow &= -(2**31) <= least <= most < 2**31
        return batch

    def schema(self) -> pa.Schema:
        """Return the schema of the file, once all batches have been seen."""
        fields = []
        for field in self._dataset.schema:
            if field.name in names_in(self._own):
                if field.name == names_in(self._own)[0]:
                    fields += [pa.field(name, self._dtype) for name in names_in(self._format)]
                continue
            if field.name == "category_id" and self._narrow:
                field = pa.field("category_id", pa.int32())
            fields.append(field)
        if self._dataset.kind == "truths" or self._has_sizes():
            fields += [pa.field("width", pa.int32()), pa.field("height", pa.int32())]
        return pa.schema(fields, {BOX_FORMAT: self._format} if self._format in ROTATED_FORMATS else None)

    def _has_sizes(self) -> bool:
        widths = self._dataset.images()["width"]
        return bool(widths.null_count < len(widths))

    def of(self, group: Group, schema: pa.Schema) -> pa.Table:
        """Return the rows of a group in a schema."""
        rows = group.rows
        # A box too large for its dtype becomes infinite; readers count it as invalid.
        with np.errstate(over="ignore"):
            dtype = self._dtype.to_pandas_dtype()
            box = [column.astype(dtype, copy=False) for column in box_columns(rows, self._format)]
        found: dict[str, Any] = {name: rows[name] for name in rows.column_names}
        found |= dict(zip(names_in(self._format), map(array_of, box), strict=True))
        if "width" in schema.names:
            sizes = taken(group.images.select(["width", "height"]), groups_of_rows(group.offsets))
            found |= {name: sizes[name] for name in ("width", "height")}
        return pa.table([_as_type(found[field.name], field) for field in schema], schema=schema)


def _as_type(column: Any, field: pa.Field) -> Any:
    """Return a column in the type of a field; most columns need no cast, which loads pyarrow.compute."""
    if column.type == field.type:
        return column
    if field.name == "category_id" and column.type == pa.int64() and field.type == pa.int32() and not column.null_count:
        return array_of(column.to_numpy().astype(np.int32))  # the numbers were seen to fit
    return column.cast(field.type)
