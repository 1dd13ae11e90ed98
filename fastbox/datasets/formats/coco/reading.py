"""COCO JSON as a data set: by kernels, or element by element where the kernels don't take it."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.arrow.arrays import array_of
from fastbox.datasets.dataset import COORDINATES, Dataset, images_schema
from fastbox.datasets.formats.coco.scan import (
    Columns,
    Field,
    Fields,
    Unusual,
    elements,
    fields_of_first,
    members,
    next_byte,
    skipped,
)
from fastbox.kernels.json.codes import BOX, FLAG, REAL, SIZE, TEXT, WHOLE
from fastbox.storage.windows import Windows

__all__ = ["SIDES", "dataset_of", "schema_of"]

SIDES = COORDINATES["xywh"]
WINDOW = 8 << 20  # bytes that are read at a time
SMALL = 256 << 10  # bytes of a file that is read element by element before a kernel is loaded
GREATEST_ID = np.iinfo(np.int64).max
TURNED = Field("obb", REAL)  # in any form but null, a file with it is left to the reader of rotated boxes

StrPath: TypeAlias = str | os.PathLike[str]


def dataset_of(source: StrPath, kind: str | None, quads: bool = False) -> Dataset:
    """Return a COCO file as a data set; ``kind`` refuses a file of the other kind, ``quads`` reads polygons."""
    if not quads:
        with suppress(Unusual, OSError):
            return _scanned(source, kind)
    return _decoded(source, kind, quads)


def _decoded(source: StrPath, kind: str | None, quads: bool = False) -> Dataset:
    """Return a data set whose elements are decoded one by one, which takes a package more."""
    from fastbox.datasets.formats.coco.decoding import decoded

    return decoded(source, kind, quads)


def _scanned(source: StrPath, kind: str | None) -> Dataset:
    """Return a data set that the kernels read: the truths here, the results while the batches are read.

    Raises
    ------
    Unusual, OSError
        The file must be read element by element, perhaps only for its error.
    """
    size = os.path.getsize(source)
    if size < SMALL or not os.path.isfile(source):
        raise Unusual
    windows = Windows(source, WINDOW)
    try:
        if windows.data[windows.at : windows.at + 3].tobytes() == codecs.BOM_UTF8:
            windows.at += 3
        first = next_byte(windows)
        if first == b"[" and kind != "truths":
            return _scanned_results(windows, source)
        if first == b"{" and kind != "results":
            with windows:
                return _scanned_truths(windows)
        raise Unusual
    except BaseException:
        windows.close()
        raise


def _scanned_results(windows: Windows, source: StrPath) -> Dataset:
    windows.at += 1
    next_byte(windows)
    fields, _ = fields_of_first(windows, *map(_result_fields, (WHOLE, TEXT)))
    id_type = _id_type(fields, "image_id")
    schema = schema_of("results", id_type, pa.int64())
    batches = _result_batches(windows, fields, schema, source)
    ahead = [batch for batch in (next(batches, None), next(batches, None)) if batch is not None]
    return Dataset(
        kind="results",
        schema=schema,
        batches=chain(ahead, batches),
        ordered=False,
        images=images_schema(id_type).empty_table,
    )


def _result_batches(windows: Windows, fields: Fields, schema: pa.Schema, source: StrPath) -> Iterator[pa.RecordBatch]:
    """Yield the results, from where the kernels stop as the elements are decoded."""
    rows = 0
    try:
        with windows:
            for part in elements(windows, fields, _Part.of):
                yield _batch(part.arrays, schema, {})
                rows += part.rows
            if next_byte(windows):
                raise Unusual
    except (Unusual, OSError):
        for batch in _decoded(source, "results").batches:
            if batch.num_rows > rows:
                yield batch.slice(rows)
            rows = max(0, rows - batch.num_rows)


def _scanned_truths(windows: Windows) -> Dataset:
    truths: list[dict[str, pa.Array]] | None = None
    images: list[dict[str, pa.Array]] = []
    fields = image_fields = None
    categories: dict[int, str] = {}
    ignores = False
    for name in members(windows):
        first = next_byte(windows)
        if name not in ("annotations", "images"):
            value = skipped(windows)
            if name == "categories":
                categories = _categories(value)
            ignores |= name == "ignore" or b'"ignore"' in value
            continue
        if first != b"[":
            raise Unusual
        windows.at += 1
        empty = next_byte(windows) == b"]"
        windows.at += empty
        if name == "images":
            if not empty:
                image_fields, _ = fields_of_first(windows, *map(_image_fields, (WHOLE, TEXT)))
                for part in elements(windows, image_fields, _Part.of):
                    images.append(part.arrays)
                    ignores |= part.ignores
            continue
        truths = []
        if not empty:
            fields = _truth_fields_of(windows)
            for part in elements(windows, fields, _Part.of):
                truths.append(part.arrays)
                ignores |= part.ignores
    if next_byte(windows) or truths is None:
        raise Unusual
    id_type = _id_type(fields or image_fields, "image_id" if fields else "id")
    if image_fields is not None and _id_type(image_fields, "id") != id_type:
        raise Unusual
    scores = fields is not None and "score" in fields.fields
    schema = schema_of("truths", id_type, _id_type(fields, "id"), ignores=ignores, scores=scores)
    listed = images_schema(id_type)
    table = pa.Table.from_batches([_batch(part, listed, {"image_id": "id"}) for part in images], schema=listed)
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_handed_on(truths, schema),
        ordered=False,
        images=lambda: table,
        categories=categories,
    )


def _categories(value: bytes) -> dict[int, str]:
    """Return the names of categories by their numbers.

    Raises
    ------
    Unusual
        A category is written in another way than usual, or has two names.
    """
    try:
        listed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Unusual from error
    found: dict[int, str] = {}
    for one in listed if isinstance(listed, list) else [None]:
        number, name = (one.get("id"), one.get("name")) if isinstance(one, dict) else (None, None)
        if type(number) is not int or abs(number) > GREATEST_ID or (name is not None and not _is_text(name)):
            raise Unusual
        if name is not None and found.setdefault(number, name) != name:
            raise Unusual
    return found


def _is_text(value: object) -> bool:
    """Tell whether a value of JSON is text without half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)


def _result_fields(id_form: int) -> Fields:
    ids = Field("image_id", id_form, True), Field("category_id", WHOLE, True)
    return Fields(*ids, Field("bbox", BOX, True), Field("score", REAL, True), TURNED)


def _image_fields(id_form: int) -> Fields:
    sizes = Field("width", SIZE), Field("height", SIZE)
    return Fields(Field("id", id_form, True), *sizes, Field("file_name", TEXT))


def _truth_fields_of(windows: Windows) -> Fields:
    """Return the fields of truths, with scores if the truth that begins here has a score."""
    more = Field("iscrowd", FLAG), Field("ignore", FLAG), Field("area", REAL), Field("score", REAL), TURNED
    candidates = [
        Fields(
            Field("image_id", image, True), Field("category_id", WHOLE, True), Field("bbox", BOX, True),
            Field("id", own), *more,
        )
        for image in (WHOLE, TEXT) for own in (WHOLE, TEXT)
    ]  # fmt: skip
    fields, first = fields_of_first(windows, *candidates)
    return fields if first.in_all("score") else fields.without("score")


def _id_type(fields: Fields | None, name: str) -> pa.DataType:
    return pa.string() if fields is not None and fields.fields[name].form == TEXT else pa.int64()


class _Part(NamedTuple):
    """Some elements as Arrow arrays, and whether one of them has a key called ignore."""

    arrays: dict[str, pa.Array]
    rows: int
    ignores: bool

    @classmethod
    def of(cls, columns: Columns) -> _Part:
        ignores = columns.hint or ("ignore" in columns.fields.fields and columns.in_some("ignore"))
        return cls(_arrays(columns), columns.rows, ignores)


def _arrays(columns: Columns) -> dict[str, pa.Array]:
    """Return the values of elements as Arrow arrays, null where no value is given; flags are then 0."""
    found: dict[str, pa.Array] = {}
    for name, field in columns.fields.fields.items():
        if field.form == BOX:
            found |= {side: array_of(columns.numbers(name, place)) for place, side in enumerate(SIDES)}
            continue
        if field is TURNED:
            if columns.in_some(name):
                raise Unusual
            continue
        given = None if columns.in_all(name) else columns.given(name)
        if field.form == TEXT:
            found[name] = _text_array(*columns.texts(name), given)
        elif field.form == FLAG:
            values = columns.numbers(name).astype(np.int8)
            found[name] = array_of(values if given is None else values * given)
        else:
            values = columns.numbers(name)
            values = values.astype(np.int32) if field.form == SIZE else values
            found[name] = array_of(values, given)
    return found


def _text_array(offsets: NDArray[np.int32], chars: NDArray[np.uint8], given: NDArray[np.bool_] | None) -> pa.Array:
    valid = None if given is None else pa.py_buffer(np.packbits(given, bitorder="little"))
    array = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(chars), valid)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise Unusual from error
    return array


def _batch(made: dict[str, pa.Array], schema: pa.Schema, names: dict[str, str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([made[names.get(name, name)] for name in schema.names], schema=schema)


def _handed_on(made: list[dict[str, pa.Array]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield batches, and keep none that was yielded."""
    made.reverse()
    while made:
        yield _batch(made.pop(), schema, {})


def schema_of(
    kind: str, image_id: pa.DataType, box_id: pa.DataType, *, ignores: bool = False, scores: bool = False
) -> pa.Schema:
    """Return the columns of truths or results, of truths with these further columns."""
    box = [(name, pa.float64()) for name in SIDES]
    # int64, as JSON's numbers are: a writer that has seen all of them may narrow the type.
    category = ("category_id", pa.int64())
    if kind == "results":
        return pa.schema([("image_id", image_id), category, *box, ("score", pa.float64())])
    flags = [(name, pa.int8()) for name in ("iscrowd", "ignore") if name == "iscrowd" or ignores]
    more = [("area", pa.float64()), *([("score", pa.float64())] if scores else [])]
    return pa.schema([("image_id", image_id), ("id", box_id), category, *box, *flags, *more])
