"""Write changed boxes back into their columns, in the layout and types of these columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.layouts import BoxColumns
from fastbox.errors import InputError
from fastbox.storage.opened import open_parquet

__all__ = ["common_schema", "coordinate_types", "own_schema", "rewritten", "with_schema"]

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


def own_schema(file: str) -> pa.Schema:
    """Return the schema of a file without fastbox's record."""
    with open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    kept: Mapping[bytes, bytes] = {k: v for k, v in (schema.metadata or {}).items() if k != b"fastbox"}
    return schema.with_metadata(kept or None)


def common_schema(schemas: Sequence[pa.Schema], files: Sequence[str]) -> pa.Schema:
    """Return the columns of the first file, which all files must have in any order; nullable if nullable in any file.

    Raises
    ------
    InputError
        A file lacks a column, has one more, or has it in another type.
    """
    common = schemas[0]
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        if sorted(schema.names) != sorted(common.names):
            lacks = [repr(name) for name in common.names if name not in schema.names]
            more = [repr(name) for name in schema.names if name not in common.names] or ["one more of a name"]
            got = f"none called {lacks[0]}" if lacks else f"{more[0]} too"
            raise InputError(f"expected the columns of {files[0]} in {file}, got {got}: write all files alike")
        for place, field in enumerate(common):
            other = schema.field(_place_in(schema, common, place))
            if other.type != field.type:
                alike = f"expected {field.type} in column {field.name!r} of {file}, as in {files[0]}"
                raise InputError(f"{alike}, got {other.type}: write all files alike")
            if other.nullable and not field.nullable:
                common = common.set(place, field.with_nullable(True))
    return common


def coordinate_types(schema: pa.Schema, boxes: BoxColumns) -> list[np.dtype[Any]]:
    """Return the stored types of the four coordinates.

    Raises
    ------
    InputError
        Boxes can't be written back: one row holds those of an image, or coordinates are decimals.
    """
    kind = schema.field(boxes.names[0]).type
    if boxes.layout == "ragged":
        came = f"got lists of boxes in {boxes.names[0]!r}: convert the table first"
        raise InputError(f"expected one row per box to write a cleaned copy, {came}")
    if boxes.layout == "flat":
        kinds = [schema.field(name).type for name in boxes.names]
    elif boxes.layout == "struct":
        kinds = [kind.field(name).type for name in boxes.fields]
    else:
        kinds = [kind.value_type] * boxes.count
    if any(pa.types.is_decimal(found) for found in kinds):
        came = f"got decimals in {boxes.names[0]!r}: cast the column"
        raise InputError(f"expected integers or floats to write a cleaned copy, {came}")
    return [np.dtype(found.to_pandas_dtype()) for found in kinds]


def rewritten(
    batch: pa.RecordBatch, boxes: BoxColumns, rows: NDArray[np.int64], values: Sequence[NDArray[Any]]
) -> pa.RecordBatch:
    """Return a batch with the coordinates of some rows replaced, given in the order and types of the columns.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from fastbox.arrow.find import find_boxes
    >>> batch = pa.record_batch({"bbox": [[0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 2.0, 2.0]], "id": [7, 8]})
    >>> where = find_boxes(batch.schema)
    >>> rewritten(batch, where, np.array([0]), [np.array([k]) for k in (0.0, 0.0, 8.0, 8.0)]).column("bbox")[0].as_py()
    [0.0, 0.0, 8.0, 8.0]
    """
    arrays = list(batch.columns)
    if boxes.layout == "flat":
        for name, new in zip(boxes.names, values, strict=True):
            place = batch.schema.get_field_index(name)
            arrays[place] = _replaced(arrays[place], rows, new)
    else:
        place = batch.schema.get_field_index(boxes.names[0])
        arrays[place] = _nested(arrays[place], boxes, rows, values)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def with_schema(batch: Rows, schema: pa.Schema) -> Rows:
    """Return the columns of a batch in the order and with the fields of a schema."""
    places = [_place_in(batch.schema, schema, place) for place in range(len(schema))]
    return type(batch).from_arrays([batch.column(place) for place in places], schema=schema)


def _place_in(schema: pa.Schema, common: pa.Schema, place: int) -> int:
    """Return the place of a column in another schema: by its name, and by its order among columns of one name."""
    name = common.names[place]
    before = common.names[:place].count(name)
    return int(schema.get_all_field_indices(name)[before])


def _nested(array: pa.Array, boxes: BoxColumns, rows: NDArray[np.int64], values: Sequence[NDArray[Any]]) -> pa.Array:
    kind = array.type
    if boxes.layout == "struct":
        children = array.flatten()
        for name, new in zip(boxes.fields, values, strict=True):
            place = kind.get_field_index(name)
            children[place] = _replaced(children[place], rows, new)
        return pa.StructArray.from_arrays(children, fields=list(kind))
    coordinates = _replaced(array.flatten(), (4 * rows[:, None] + np.arange(4)).ravel(), np.stack(values, 1).ravel())
    if boxes.layout == "fixed":
        return pa.FixedSizeListArray.from_arrays(coordinates, type=kind)
    make = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    ends = pa.array(4 * np.arange(len(array) + 1), pa.int64() if make is pa.LargeListArray else pa.int32())
    return make.from_arrays(ends, coordinates, type=kind)


def _replaced(array: pa.Array, rows: NDArray[np.int64], new: NDArray[Any]) -> pa.Array:
    values = array.to_numpy(zero_copy_only=False).copy()
    values[rows] = new
    return pa.array(values, array.type)
