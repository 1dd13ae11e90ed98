"""Where a table keeps its boxes: four flat columns, a struct, a list, or a ragged list per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from fastbox.arrow.arrays import (
    Columns,
    Place,
    coordinates,
    flattened,
    image_runs,
    is_list,
    is_number,
    numbers,
    one_chunk,
    plain_type,
    rows_of,
)
from fastbox.arrow.held import UNREADABLE, as_column, columns_of, indexed, table_of_columns, unreadable, without_rows
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError, nearest
from fastbox.values.formats import as_format
from fastbox.values.names import BOX, BOXES, IMAGE, BoxArgument, advice_on, box_columns, column_of, one_box_column
from fastbox.values.numbers import shown

__all__ = [
    "IMAGE",
    "BoxColumns",
    "as_table",
    "find_boxes",
    "frame_boxes",
    "require",
    "rows_as_boxes",
    "to_boxes",
    "to_columns",
]

Names = tuple[str, ...]


@dataclass(frozen=True)
class BoxColumns:
    """The columns that hold a table's boxes.

    ``layout`` is ``"flat"`` (four columns), ``"struct"``, ``"fixed"`` (fixed-size list of 4), ``"list"`` (lists, each
    of 4) or ``"ragged"`` (a list of boxes: one row per image). ``names`` are the columns read, ``fields`` the fields of
    the struct or empty, both in the order of ``format``.
    """

    layout: str
    names: Names
    fields: Names
    format: str

    @property
    def paths(self) -> Names:
        """What a Parquet reader must read: of a struct only the four fields."""
        if self.layout == "struct":
            return tuple(f"{self.names[0]}.{field}" for field in self.fields)
        return self.names


def as_table(obj: Any, name: str = "table") -> pa.Table:
    """View anything with the Arrow C interface as a table, and a dict of columns; a series of lists becomes ``boxes``.

    A message calls it by its name.

    Raises
    ------
    TypeError
        The object is no dict and has neither ``__arrow_c_stream__`` nor ``__arrow_c_array__``.
    InputError
        A dict whose columns are of unequal lengths, or hold what no table can.

    Examples
    --------
    >>> import pyarrow as pa
    >>> as_table(pa.array([[0.0, 0.0, 1.0, 1.0]])).column_names
    ['boxes']
    """
    if isinstance(obj, pa.Table):
        return obj
    if isinstance(obj, pa.RecordBatch):
        return pa.Table.from_batches([obj])
    if isinstance(obj, Mapping):
        return table_of_columns(((str(column), values) for column, values in obj.items()), name)
    if hasattr(obj, "__arrow_c_stream__"):
        column = pa.chunked_array(obj)
    elif hasattr(obj, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(obj)])
    else:
        raise TypeError(f"expected a table with the Arrow C interface, got {type(obj).__name__}")
    return pa.Table.from_struct_array(column) if pa.types.is_struct(column.type) else pa.table({"boxes": column})


def frame_boxes(
    frame: Any,
    *,
    boxes: str | None = None,
    format: str | None = None,
    image: str | bool | None = True,
    size: tuple[ArrayLike, ArrayLike] | None = None,
    where: str = "table",
) -> Boxes:
    """View the boxes of a frame in memory, grouped by its image ids as :meth:`fastbox.Boxes.from_arrow` says.

    Raises
    ------
    InputError
        As :func:`find_boxes` and :func:`to_boxes`.
    """
    arrow, unread = _readable(frame, where)
    if boxes is None and arrow.schema.names == ["0", "1", "2", "3"]:  # a frame of an array
        boxes = "0,1,2,3"
    for name, given in (("boxes", boxes), ("image", None if isinstance(image, bool) else image)):
        if not isinstance(given, str | None):
            raise TypeError(f"expected {name} to be the name of a column, got {shown(given)}")
    found = find_boxes(
        arrow.schema, boxes, format, where=where, argument=BoxArgument("--box", "Boxes.from_arrow(frame, boxes={})")
    )
    named = _usual_ids(arrow.schema, where) if image is True else image or None
    for column in (*found.names, *([] if named is None else [named])):
        if column in unread:
            raise unread[column]
    if named is None:
        return to_boxes(arrow, found, where=where, size=size)
    calls = {
        "sort_values": f", as with frame.sort_values({named!r}, kind='stable')",
        "with_columns": f", as with frame.sort({named!r}, maintain_order=True)",
        "sort_by": f", as with frame.sort_by({named!r})",
    }
    call = next((call for method, call in calls.items() if hasattr(frame, method)), "")
    mend = f"sort the frame{call}, or leave the images out: Boxes.from_arrow(frame, image=False)"
    return to_boxes(arrow, found, image=named, where=where, size=size, mend=mend)


def _readable(frame: Any, where: str) -> tuple[pa.Table, dict[str, InputError]]:
    """The columns of a frame that can be read, and the errors of the others, which have no type then."""
    frame = indexed(frame)
    try:
        return without_rows(as_table(frame, where)), {}
    except UNREADABLE:
        if isinstance(frame, Mapping) or not hasattr(frame, "columns"):
            raise
    made, unread = {}, {}
    names = [str(column) for column in frame.columns]
    for column, values in columns_of(frame):
        if (count := names.count(column)) > 1:
            several = f"expected one column {column!r} in {where}, got {count}: rename all but one"
            made[column], unread[column] = pa.nulls(len(values)), InputError(several)
            continue
        try:
            made[column] = as_column(values)
        except UNREADABLE:
            made[column], unread[column] = pa.nulls(len(values)), unreadable(values, column, where)
    return pa.table(made), unread


def _usual_ids(schema: pa.Schema, where: str) -> str | None:
    """The column that has a usual name of image ids; one that may hold images themselves must hold numbers or text."""
    name = column_of(schema.names, IMAGE, where)
    kind = None if name is None else plain_type(require(schema, name, where).type)
    held = kind is not None and (is_number(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return name if held or column_of(schema.names, IMAGE.strictly) else None


def find_boxes(
    schema: pa.Schema,
    boxes: str | None = None,
    format: str | None = None,
    *,
    prefix: str = "",
    where: str = "table",
    argument: BoxArgument = BOX,
) -> BoxColumns:
    """Find the columns that hold the boxes.

    Parameters
    ----------
    schema : pyarrow.Schema
    boxes : str, optional
        One column, or four names with commas between; found by the usual names when left out.
    format : str, optional
        The format of the coordinates; told by the names when left out, ``"xyxy"`` where they don't tell.
    prefix : str
        Names that begin so are looked for first: ``"pred_"`` finds ``pred_xmin``, ``pred_bbox`` and ``pred``.
    where : str
        What a message calls the table.
    argument : BoxArgument
        What names the columns of boxes, as messages tell it.

    Raises
    ------
    InputError
        No such columns (the nearest name is suggested), a wrong type, or an unknown format.

    Examples
    --------
    >>> import pyarrow as pa
    >>> find_boxes(pa.schema([(name, pa.float32()) for name in ("id", "h", "w", "cy", "cx")]))
    BoxColumns(layout='flat', names=('cx', 'cy', 'w', 'h'), fields=(), format='cxcywh')
    """
    if boxes is not None and not isinstance(boxes, str):
        require(schema, boxes, str(where))
    told = None if format is None else str(format)
    return _found(schema, boxes, told, prefix, str(where), argument)  # the name alone, or tables would be kept


@lru_cache(64)
def _found(
    schema: pa.Schema, boxes: str | None, format: str | None, prefix: str, where: str, argument: BoxArgument
) -> BoxColumns:
    try:
        told = None if format is None else as_format(format)
    except ValueError as error:
        raise InputError(str(error)) from None
    if boxes is not None:
        if "," not in boxes or boxes in schema.names:
            return _one_column(schema, boxes, told, where, argument)
        names = tuple(name.strip() for name in boxes.split(","))
        return _flat(schema, *_ordered(names, told, where), where)
    for start in dict.fromkeys((prefix, "")):
        known = _known(schema.names, told, start)
        whole = one_box_column(schema.names, start)
        if known is None and not whole:
            alike = box_columns(schema.names, told, start, where, argument)
            known = None if alike is None else _as_asked(*alike, told)
        if known is not None:
            _check_rival(schema.names, *known, start, where, argument)
            return _flat(schema, *known, where)
        if whole:
            return _one_column(schema, whole[0], told, where, argument)
    raise _nothing_found(schema.names, prefix, where, argument)


def require(schema: pa.Schema, name: str, where: str) -> pa.Field:
    """Return the field of a column, or raise an InputError that names the table, its columns and the nearest name."""
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a column of {where} as text, four as 'A,B,C,D', got {name!r}")
    count = schema.names.count(name)
    if count == 1:
        return schema.field(name)
    if count > 1:
        raise InputError(f"expected one column {name!r} in {where}, got {count}: rename all but one")
    near = f"{_hint(name, schema.names)}{advice_on(name)}"
    raise InputError(f"expected a column {name!r} in {where}, got {_listing(schema.names)}{near}")


def to_boxes(
    batch: pa.RecordBatch | pa.Table,
    columns: BoxColumns,
    *,
    image: str | None = None,
    where: str = "table",
    first_row: int = 0,
    size: tuple[ArrayLike, ArrayLike] | None = None,
    mend: str | None = None,
) -> Boxes:
    """View the boxes of a batch: float32 and float64 without a copy, as long as a column is one chunk.

    With ``image`` the boxes are grouped by that column; a ragged batch without it is grouped by row. Rows in messages
    count from ``first_row``; the first row of a file is row 0. ``mend`` is what to do about unsorted ids.

    Raises
    ------
    InputError
        A null, a list that isn't of four, or image ids that are unsorted or neither integers nor strings.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"bbox": [[[0.0, 0.0, 1.0, 1.0]], []], "image_id": ["a", "b"]})
    >>> to_boxes(table, find_boxes(table.schema), image="image_id").offsets
    array([0, 1, 1])
    """
    found, offsets, images = to_columns(batch, columns, image=image, where=where, first_row=first_row, mend=mend)
    return Boxes.of(found, columns.format, offsets, images, size)


def to_columns(
    batch: pa.RecordBatch | pa.Table,
    columns: BoxColumns,
    *,
    image: str | None = None,
    where: str = "table",
    first_row: int = 0,
    mend: str | None = None,
) -> tuple[Columns, NDArray[np.int64] | None, NDArray[Any] | None]:
    """Return the four columns of the boxes of a batch, the offsets of its groups and their image ids.

    Arguments and errors are those of :func:`to_boxes`.
    """
    bounds = None
    if columns.layout == "flat":
        first, second, third, fourth = (
            numbers(one_chunk(batch.column(name)), Place(where, name, first_row)) for name in columns.names
        )
    else:
        name = columns.names[0]
        array = one_chunk(batch.column(name))
        if columns.layout == "ragged":
            array, bounds = flattened(array, Place(where, name, first_row))
        first, second, third, fourth = coordinates(array, columns.fields, Place(where, name, first_row, bounds))
    found = first, second, third, fourth
    if image is None:
        return found, bounds, None
    require(batch.schema, image, where)
    ids, offsets = image_runs(one_chunk(batch.column(image)), Place(where, image, first_row), mend)
    return found, offsets if bounds is None else bounds[offsets], ids


def rows_as_boxes(
    batch: pa.RecordBatch, columns: BoxColumns, names: Sequence[str], *, where: str = "table", first_row: int = 0
) -> pa.RecordBatch:
    """Return the named columns with one row per box: of a ragged batch lists are flattened and the rest is repeated.

    Raises
    ------
    InputError
        A list is not as long as the list of its row's boxes.
    """
    arrays = [batch.column(name) for name in names]
    counter = batch.column(columns.names[0])
    if columns.layout == "ragged":
        _, bounds = flattened(counter, Place(where, columns.names[0], first_row))
        counter = pa.array(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)))
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
        raise InputError(f"expected as many elements as the row has boxes, {want}, in {place(row)}, got {got}")
    return values


def _flat(schema: pa.Schema, names: Names, format: str, where: str) -> BoxColumns:
    for name in names:
        kind = require(schema, name, where).type
        if not is_number(kind):
            how = "cast it, and write decimals with a point" if pa.types.is_string(kind) else "cast it"
            raise InputError(f"expected numbers in column {name!r} of {where}, got {kind}: {how}")
    return BoxColumns("flat", names, (), format)


def _one_column(schema: pa.Schema, name: str, format: str | None, where: str, argument: BoxArgument) -> BoxColumns:
    kind = require(schema, name, where).type
    found = _single(kind, format)
    if found is None and is_list(kind):
        inner = _single(plain_type(kind).value_type, format)
        found = inner and ("ragged", *inner[1:])
    if found is None:
        raise InputError(
            f"expected column {name!r} of {where} to hold a struct of four numbers, lists of four, or lists of such, "
            f"got {kind}: name four columns where coordinates have one each, {argument.advice('A,B,C,D')}"
        )
    layout, fields, told = found
    return BoxColumns(layout, (name,), fields, told)


def _single(kind: pa.DataType, format: str | None) -> tuple[str, Names, str] | None:
    """The layout, fields and format of a type that holds one box; None for any other type."""
    kind = plain_type(kind)
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        numeric = [field.name for field in fields if is_number(field.type)]
        once = [name for name in numeric if numeric.count(name) == 1]
        known = _known(once, format, "")
        alike = box_columns(once, format, "", "a struct") if known is None else None
        known = known if alike is None else _as_asked(*alike, format)
        if known is None and format is not None and len(set(numeric)) == len(fields) == 4:
            known = tuple(numeric), format
        return None if known is None else ("struct", *known)
    if pa.types.is_fixed_size_list(kind) and kind.list_size == 4 and is_number(kind.value_type):
        return "fixed", (), format or "xyxy"
    if pa.types.is_null(kind) or (is_list(kind) and is_number(kind.value_type)):
        return "list", (), format or "xyxy"
    return None


def _known(names: Sequence[str], format: str | None, prefix: str) -> tuple[Names, str] | None:
    """The first set of known names that is all there, those of the asked format before the others."""
    asked = None if format is None else format.removeprefix("rel_")
    for known, told in sorted(BOXES, key=lambda entry: entry[1] != asked):
        full = tuple(prefix + name for name in known)
        if set(full) <= set(names):
            return _as_asked(full, told, format)
    return None


def _check_rival(
    names: Sequence[str], taken: Names, format: str, prefix: str, where: str, argument: BoxArgument
) -> None:
    """Refuse columns of an asked format where the same corner begins a box by the names of others, as beside sizes."""
    own = _known(names, None, prefix)
    if own is None or own[1] == format.removeprefix("rel_") or own[0] == taken or own[0][:2] != taken[:2]:
        return
    how = argument.advice(",".join(taken))
    raise InputError(
        f"expected one box in the columns of {where} with format {format!r}, got {', '.join(taken)} beside "
        f"{', '.join(own[0])}, which are {own[1]}: leave the format out, or give {how}"
    )


def _as_asked(names: Names, told: str, format: str | None) -> tuple[Names, str]:
    """Four columns in the order of the asked format, and the format they are in."""
    if told == "xyxy" and format is not None and format.removeprefix("rel_") == "yxyx":
        names = names[1], names[0], names[3], names[2]
    return names, format or told


def _ordered(names: Names, format: str | None, where: str) -> tuple[Names, str]:
    """Four names a user gave, and their format; names that tell a format may come in any order."""
    if len(names) != 4:
        raise InputError(f"expected four columns of boxes in {where}, got {len(names)}: {', '.join(names)}")
    if format is not None:
        return names, format
    shortest = min(names, key=len)
    for length in range(len(shortest)):
        known = _known(names, None, shortest[:length]) or box_columns(names, None, shortest[:length], where)
        if known is not None:
            return known
    return names, "xyxy"


def _nothing_found(names: Sequence[str], prefix: str, where: str, argument: BoxArgument) -> InputError:
    sets = [tuple(start + name for name in known) for start in dict.fromkeys((prefix, "")) for known, _ in BOXES]
    best = max(sets, key=lambda full: len(set(full) & set(names)))
    missing = [name for name in best if name not in names]
    hint = _hint(missing[0], [name for name in names if name not in best])
    if len(missing) == 1 or (len(missing) == 2 and hint):
        return InputError(f"expected columns {', '.join(best)} in {where}, got no {' and no '.join(missing)}{hint}")
    wanted = f"{prefix}xmin, {prefix}ymin, {prefix}xmax, {prefix}ymax, or one column {prefix}bbox"
    near = nearest(f"{prefix}bbox", names)
    how = f"{argument.advice(near or 'COLUMN')} or {argument.advice('A,B,C,D')}"
    return InputError(f"expected columns of boxes in {where} ({wanted}), got {_listing(names)}: name them with {how}")


def _hint(name: str, names: Sequence[str]) -> str:
    near = nearest(name, names)
    return f" (did you mean {near!r}?)" if near else ""


def _listing(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(map(repr, names[:most])) or "no columns"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
