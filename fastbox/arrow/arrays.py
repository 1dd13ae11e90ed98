"""Arrow columns seen as NumPy arrays: coordinates, list offsets and runs of image ids, with every bad value named."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.errors import InputError, advice
from fastbox.storage.backed import Backed
from fastbox.values.groups import groups_of
from fastbox.values.labels import WIDE
from fastbox.values.names import IMAGE

__all__ = [
    "Place",
    "UnsortedError",
    "array_of",
    "coordinates",
    "flattened",
    "id_kind",
    "image_runs",
    "is_flag",
    "is_list",
    "is_number",
    "numbers",
    "one_chunk",
    "plain",
    "plain_type",
    "rows_of",
    "sort_command",
    "unsorted",
]

pc = deferred("pyarrow.compute")

_ROTATED = {  # lists of rotated boxes, whose format no type tells
    5: ", or give the format cxcywhr (radians) or cxcywhd (degrees) of rotated boxes",
    8: ", or give the format xyxyxyxy of quadrilaterals",
}


class UnsortedError(InputError):
    """Raised if the image ids of a table do not ascend; ``file`` is the file that has the first descending id."""

    def __init__(self, message: str, file: str) -> None:
        super().__init__(message)
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return UnsortedError, (str(self), self.file)


@dataclass(frozen=True)
class Place:
    """The place of a value: file, column and row. With ``bounds``, value i belongs to the row whose list holds it.

    A row of a table that was sorted is given by its number before sorting.
    """

    where: str
    name: str
    first_row: int = 0
    bounds: NDArray[np.int64] | None = None

    def __call__(self, index: int) -> str:
        row = index if self.bounds is None else int(groups_of(index, self.bounds))
        row += self.first_row
        if isinstance(self.where, Backed) and self.where.original.rows is not None:
            row = int(self.where.original.rows[row])
        return f"column {self.name!r} of {self.where} at row {row}"


def array_of(values: NDArray[Any], given: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as an Arrow array that shares their memory, null where `given` is not set.

    ``pyarrow.array`` imports numpy.ma, and pandas where it is installed, to look for their objects.

    >>> array_of(np.array([5, 7]), np.array([True, False])).to_pylist()
    [5, None]
    """
    held = np.ascontiguousarray(values)
    valid = None if given is None else pa.py_buffer(np.packbits(given, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(held.dtype), len(held), [valid, pa.py_buffer(held)])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that :func:`plain` gives values of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(kind.value_type)
    return kind


def plain(array: pa.Array) -> pa.Array:
    """Return the same values in a plain layout: without dictionaries, views, run ends and extension types.

    A null in a dictionary is a null.

    >>> plain(pa.array(["a", "b", "a"]).dictionary_encode()).type
    DataType(string)
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary).take(array.indices)
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        # Arrow's own cast gives invalid offsets, which end the process when they are used (26.0).
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        return pa.LargeListArray.from_arrays(pa.array(ends), array.flatten(), mask=array.is_null())
    return array if (to := plain_type(kind)) == kind else array.cast(to)


def rows_of(array: pa.Array, rows: pa.Array) -> pa.Array:
    """Return rows of an array in the given order; a null row number gives a null.

    Arrow itself has no such function for views, nor for types that contain views.

    >>> rows_of(pa.array(["a", "b"], pa.string_view()), pa.array([1, None, 1])).to_pylist()
    ['b', None, 'b']
    """
    kind = array.type
    if pa.types.is_string_view(kind):
        return plain(array).take(rows).cast(kind)
    try:
        return array.take(rows)
    except pa.ArrowNotImplementedError:
        return pa.array([None if row is None else array[row].as_py() for row in rows.to_pylist()], kind)


def is_flag(kind: pa.DataType) -> bool:
    """Tell whether values of this type can be flags, as :func:`fastbox.arrow.columns.flag_column` reads them."""
    kind = plain_type(kind)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind) or text)


def is_number(kind: pa.DataType) -> bool:
    """Tell whether values of this type can be coordinates; values of the null type are missing coordinates."""
    kind = plain_type(kind)
    held = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(held or pa.types.is_null(kind))


def is_list(kind: pa.DataType) -> bool:
    """Tell whether this is a list of any length."""
    kind = plain_type(kind)
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def id_kind(kind: pa.DataType, name: str, where: str) -> str:
    """Return ``"integer"`` or ``"string"``, or raise an InputError for a type that can't be an id or a class.

    Values of the null type are missing; such a column is read as integers.
    """
    values = plain_type(kind)
    if pa.types.is_integer(values) or pa.types.is_null(values):
        return "integer"
    if pa.types.is_string(values) or pa.types.is_large_string(values):
        return "string"
    raise InputError(f"expected integers or strings in column {name!r} of {where}, got {kind}: cast it")


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a copy only where it is several chunks."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbers(array: pa.Array, place: Place, per_box: int = 1) -> NDArray[Any]:
    """View numbers without nulls; decimals become float64."""
    array = plain(array)
    _refuse_nulls(array, place, "a number", per_box)
    if pa.types.is_decimal(array.type) or pa.types.is_null(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy())


def coordinates(array: pa.Array, fields: tuple[str, ...], place: Place, count: int = 4) -> tuple[NDArray[Any], ...]:
    """View the coordinates of an array of structs or of lists of `count` numbers."""
    array = plain(array)
    _refuse_nulls(array, place, "a box")
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(pa.float64()))
    if fields:
        return tuple(numbers(array.field(name), place) for name in fields)
    if not pa.types.is_fixed_size_list(array.type):
        lengths = np.diff(array.offsets.to_numpy())
        wrong = np.flatnonzero(lengths != count)
        if wrong.size:
            index = int(wrong[0])
            how = "fix or drop the row" + (_ROTATED.get(int(lengths[index]), "") if count == 4 else "")
            raise InputError(f"expected a list of {count} coordinates in {place(index)}, got {lengths[index]}: {how}")
    return tuple(numbers(array.flatten(), place, per_box=count).reshape(-1, count).T)


def flattened(column: pa.Array, place: Place) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the elements of a list column and the (rows + 1,) bounds of each row's elements."""
    column = plain(column)
    _refuse_nulls(column, place, "a list (an empty one for an image without boxes)")
    offsets = column.offsets.to_numpy().astype(np.int64)
    return column.flatten(), offsets - offsets[0]


def image_runs(array: pa.Array, place: Place, fix: str | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the ids of an ascending column, int64 or text of shape (g,), and the (g + 1,) bounds of their rows.

    Text is as :func:`fastbox.values.labels.as_labels` has it.

    Raises
    ------
    InputError
        Ids that are null, out of order (``fix`` is the remedy), beyond int64, or neither integers nor strings.
    """
    if id_kind(array.type, place.name, place.where) == "integer":
        ids, bounds = _integer_runs(array, place)
    else:
        ids, bounds = _string_runs(array, place)
    falls = np.flatnonzero(ids[1:] < ids[:-1])
    if falls.size:
        run = int(falls[0]) + 1
        raise unsorted(place, int(bounds[run]), ids[run - 1], ids[run], fix)
    # Two codes of a dictionary may stand for one string: runs of codes aren't yet runs of ids.
    fresh = np.append(True, ids[1:] != ids[:-1])[: len(ids)]
    return ids[fresh], np.append(bounds[:-1][fresh], bounds[-1:])


def unsorted(place: Place, index: int, before: Any, after: Any, fix: str | None = None) -> UnsortedError:
    """Return the error for an id that follows a greater one, with the remedy."""
    came, earlier = (value.item() if isinstance(value, np.generic) else value for value in (after, before))
    how = fix or f"sort it with {sort_command(place.where, place.name)}"
    return UnsortedError(
        f"expected ascending ids in {place(index)}, got {came!r} after {earlier!r}: {how}", place.where
    )


def sort_command(file: str, image: str) -> str:
    """Return the command, or the call in Python, that sorts a file.

    >>> sort_command("my boxes.parquet", "img")
    "`jobs.sort('my boxes.parquet', 'sorted.parquet', image_column='img')`"
    """
    column = "" if image == IMAGE else advice(f" --image-column {shlex.quote(image)}", f", image_column={image!r}")
    command = f"`fastbox sort {shlex.quote(file)}{column} -o sorted.parquet`"
    return advice(command, f"`jobs.sort({str(file)!r}, 'sorted.parquet'{column})`")


def _integer_runs(array: pa.Array, place: Place) -> tuple[NDArray[Any], NDArray[np.int64]]:
    array = plain(array)
    _refuse_nulls(array, place, "an image id")
    try:
        values = (array if array.type == pa.int64() else array.cast(pa.int64())).to_numpy()
    except pa.ArrowInvalid:
        beyond = pc.index(pc.greater(array, pa.scalar(2**63 - 1, pa.uint64())), True).as_py()
        came = f"{array[beyond].as_py()}: cast the column to strings, in every table, and sort by it"
        raise InputError(f"expected ids from -2**63 to 2**63 - 1 in {place(beyond)}, got {came}") from None
    bounds = _bounds(values[1:] != values[:-1], len(values))
    return values[bounds[:-1]], bounds


def _string_runs(array: pa.Array, place: Place) -> tuple[NDArray[Any], NDArray[np.int64]]:
    _refuse_nulls(array, place, "an image id")
    if pa.types.is_dictionary(array.type):
        codes = array.indices.to_numpy()
        changes = codes[1:] != codes[:-1]
    else:
        array = plain(array)
        _refuse_nulls(array, place, "an image id")
        changes = pc.not_equal(array[1:], array[:-1]).to_numpy(zero_copy_only=False)
    bounds = _bounds(changes, len(array))
    firsts = plain(array.take(pa.array(bounds[:-1]))).cast(pa.large_string())
    if firsts.null_count:
        row = int(bounds[pc.index(pc.is_null(firsts), True).as_py()])
        raise InputError(f"expected an image id in {place(row)}, got null: fill it or drop the row")
    return _as_strings(firsts), bounds


def _as_strings(array: pa.Array) -> NDArray[Any]:
    """Convert large strings to NumPy strings; ASCII without Python objects, which takes a tenth of the time.

    They are Python strings if one string is so long that it would widen all strings, or has a NUL character, which
    NumPy drops at the end of a string.
    """
    _, ends, text = array.buffers()
    offsets = np.frombuffer(ends, np.int64)[array.offset : array.offset + len(array) + 1]
    lengths = np.diff(offsets)
    width = int(lengths.max(initial=0))
    if width == 0:
        return np.zeros(len(array), np.str_)
    letters = np.frombuffer(text, np.uint8)[offsets[0] : offsets[-1]]
    if width > WIDE or letters.min() == 0:
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=object)
    if letters.max() > 127:
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.str_)
    cells = np.zeros((len(array), width), np.uint32)
    cells[np.arange(width) < lengths[:, None]] = letters
    return cells.view(f"U{width}")[:, 0]


def _bounds(changes: NDArray[np.bool_], rows: int) -> NDArray[np.int64]:
    if rows == 0:
        return np.zeros(1, np.int64)
    return np.concatenate(([0], np.flatnonzero(changes) + 1, [rows]))


def _refuse_nulls(array: pa.Array, place: Place, expected: str, per_box: int = 1) -> None:
    if array.null_count:
        index = pc.index(pc.is_null(array), True).as_py()
        raise InputError(f"expected {expected} in {place(index // per_box)}, got null: fill it or drop the row")
