"""COCO JSON as a data set: by kernels, or element by element where the kernels don't take it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.arrays import array_of
from fastbox.datasets.dataset import COORDINATES, Dataset, images_schema
from fastbox.datasets.formats import cocojson
from fastbox.datasets.formats.cocojson import Category, Document, Image, Result, ScoredTruth, Truth, decode, id_types
from fastbox.datasets.formats.cocoscan import (
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
from fastbox.errors import InputError
from fastbox.kernels.json.codes import BOX, FLAG, REAL, SIZE, TEXT, WHOLE
from fastbox.storage.windows import Windows

__all__ = ["SIDES", "dataset_of"]

SIDES = COORDINATES["xywh"]
WINDOW = 8 << 20  # bytes that are read at a time
SMALL = 256 << 10  # bytes of a file that is read element by element before a kernel is loaded
TURNED = Field("obb", REAL)  # in any form but null, a file with it is left to the reader of rotated boxes

StrPath: TypeAlias = str | os.PathLike[str]


def dataset_of(source: StrPath, kind: str | None, quads: bool = False) -> Dataset:
    """Return a COCO file as a data set; ``kind`` refuses a file of the other kind, ``quads`` reads polygons."""
    if quads:
        return _decoded(source, kind, quads)
    try:
        return _scanned(source, kind)
    except (Unusual, OSError):
        return _decoded(source, kind)


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
                return _scanned_truths(windows, os.fspath(source))
        raise Unusual
    except BaseException:
        windows.close()
        raise


def _scanned_results(windows: Windows, source: StrPath) -> Dataset:
    windows.at += 1
    next_byte(windows)
    fields, _ = fields_of_first(windows, *map(_result_fields, (WHOLE, TEXT)))
    document = Document(os.fspath(source), "results", [], [], [])
    id_type = _id_type(fields, "image_id")
    schema = _schema(document, id_type, pa.int64())
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
            for columns in elements(windows, fields):
                made = _arrays(columns)
                yield pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)
                rows += columns.rows
            if next_byte(windows):
                raise Unusual
    except (Unusual, OSError):
        for batch in _decoded(source, "results").batches:
            if batch.num_rows > rows:
                yield batch.slice(rows)
            rows = max(0, rows - batch.num_rows)


def _scanned_truths(windows: Windows, path: str) -> Dataset:
    truths: list[dict[str, pa.Array]] | None = None
    images: list[dict[str, pa.Array]] = []
    fields = image_fields = None
    categories: list[msgspec.Raw] = []
    ignores = False
    for name in members(windows):
        first = next_byte(windows)
        if name not in ("annotations", "images"):
            value = skipped(windows)
            if name == "categories":
                categories = _raw(value)
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
                for columns in elements(windows, image_fields):
                    images.append(_arrays(columns))
                    ignores |= columns.hint
            continue
        truths = []
        if not empty:
            fields = _truth_fields_of(windows)
            for columns in elements(windows, fields):
                truths.append(_arrays(columns))
                ignores |= columns.hint or bool(columns.given("ignore").any())
    if next_byte(windows) or truths is None:
        raise Unusual
    id_type = _id_type(fields or image_fields, "image_id" if fields else "id")
    if image_fields is not None and _id_type(image_fields, "id") != id_type:
        raise Unusual
    scores = fields is not None and "score" in fields.fields
    document = Document(path, "truths", [], [], categories, ignores, scores)
    schema = _schema(document, id_type, _id_type(fields, "id"))
    listed = images_schema(id_type)
    table = pa.Table.from_batches([_batch(part, listed, {"image_id": "id"}) for part in images], schema=listed)
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_handed_on(truths, schema),
        ordered=False,
        images=lambda: table,
        categories=_categories(document),
    )


def _raw(value: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(value, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise Unusual from error


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
    return fields if first.given("score").all() else fields.without("score")


def _id_type(fields: Fields | None, name: str) -> pa.DataType:
    return pa.string() if fields is not None and fields.fields[name].form == TEXT else pa.int64()


def _arrays(columns: Columns) -> dict[str, pa.Array]:
    """Return the values of elements as Arrow arrays, null where no value is given; flags are then 0."""
    found: dict[str, pa.Array] = {}
    for name, field in columns.fields.fields.items():
        if field.form == BOX:
            found |= {side: array_of(columns.numbers(name, place)) for place, side in enumerate(SIDES)}
            continue
        given = columns.given(name)
        if field is TURNED:
            if given.any():
                raise Unusual
        elif field.form == TEXT:
            found[name] = _text_array(*columns.texts(name), given)
        elif field.form == FLAG:
            found[name] = array_of((columns.numbers(name) * given).astype(np.int8))
        else:
            values = columns.numbers(name)
            values = values.astype(np.int32) if field.form == SIZE else values
            found[name] = array_of(values, None if given.all() else given)
    return found


def _text_array(offsets: NDArray[np.int32], chars: NDArray[np.uint8], given: NDArray[np.bool_]) -> pa.Array:
    valid = None if given.all() else pa.py_buffer(np.packbits(given, bitorder="little"))
    array = pa.StringArray.from_buffers(len(given), pa.py_buffer(offsets), pa.py_buffer(chars), valid)
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


def _decoded(source: StrPath, kind: str | None, quads: bool = False) -> Dataset:
    """Return a data set whose elements are decoded one by one."""
    from fastbox.datasets.formats import cocorotated

    document = cocojson.read(source)
    if kind not in (None, document.kind):
        raise InputError(f"expected {kind} in {document.path}, got {document.kind}: convert it as {document.kind}")
    image_id, box_id = id_types(document)
    categories = _categories(document)
    schema = _schema(document, _arrow(image_id), _arrow(box_id))
    field = cocorotated.POLYGON if quads else cocorotated.field_of(document)
    if field is None:
        batches = _decoded_batches(document, schema)
    else:
        schema = cocorotated.schema_of(schema, field)
        kinds = {name: str if one is str else int for name, one in (("image_id", image_id), ("id", box_id))}
        batches = cocorotated.batches(document, schema, field, kinds)
    images = pa.Table.from_batches(
        [_image_columns(batch, _arrow(image_id)) for batch in decode(document.path, document.images, Image, image_id)]
    )
    return Dataset(
        kind=document.kind,
        schema=schema,
        batches=batches,
        ordered=False,
        images=lambda: images,
        categories=categories,
    )


def _arrow(kind: Any) -> pa.DataType:
    return pa.string() if kind is str else pa.int64()


def _schema(document: Document, image_id: pa.DataType, box_id: pa.DataType) -> pa.Schema:
    box = [(name, pa.float64()) for name in SIDES]
    # int64, as JSON's numbers are: a writer that has seen all of them may narrow the type.
    category = ("category_id", pa.int64())
    if document.kind == "results":
        return pa.schema([("image_id", image_id), category, *box, ("score", pa.float64())])
    more = [("iscrowd", pa.int8()), *([("ignore", pa.int8())] if document.ignores else []), ("area", pa.float64())]
    scores = [("score", pa.float64())] if document.scores else []
    return pa.schema([("image_id", image_id), ("id", box_id), category, *box, *more, *scores])


def _decoded_batches(document: Document, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    columns: Callable[[list[Any]], dict[str, Sequence[Any]]]
    if document.kind == "results":
        elements, columns = decode(document.path, document.boxes, Result, id_types(document)[0]), _result_columns
    else:
        kind = ScoredTruth if document.scores else Truth
        elements, columns = decode(document.path, document.boxes, kind, *id_types(document)), _truth_columns
    for batch in elements:
        found = columns(batch)
        if document.scores:
            found["score"] = [truth.score for truth in batch]
        if document.ignores:
            found["ignore"] = [1 if truth.ignore else 0 for truth in batch]
        boxes = np.fromiter(chain.from_iterable([box.bbox for box in batch]), np.float64, 4 * len(batch))
        found |= dict(zip(SIDES, boxes.reshape(-1, 4).T, strict=True))
        arrays = [pa.array(found[field.name], field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _truth_columns(batch: list[Truth[Any, Any]]) -> dict[str, Sequence[Any]]:
    return {
        "image_id": [truth.image_id for truth in batch],
        "id": [truth.id for truth in batch],
        "category_id": [truth.category_id for truth in batch],
        "iscrowd": [1 if truth.iscrowd else 0 for truth in batch],
        "area": [truth.area for truth in batch],
    }


def _result_columns(batch: list[Result[Any]]) -> dict[str, Sequence[Any]]:
    return {
        "image_id": [result.image_id for result in batch],
        "category_id": [result.category_id for result in batch],
        "score": [result.score for result in batch],
    }


def _image_columns(batch: list[Image[Any]], id_type: pa.DataType) -> pa.RecordBatch:
    rows = [(image.id, image.width, image.height, image.file_name) for image in batch]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    schema = images_schema(id_type)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _categories(document: Document) -> dict[int, str]:
    found: dict[int, str] = {}
    for category in chain.from_iterable(decode(document.path, document.categories, Category)):
        if category.name is not None and found.setdefault(category.id, category.name) != category.name:
            names = f"{found[category.id]!r} and {category.name!r}"
            raise InputError(f"expected one name of category {category.id} in {document.path}, got {names}: remove one")
    return found
