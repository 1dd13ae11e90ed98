"""COCO JSON as a data set, decoded element by element: any form that is JSON, with errors that name the element."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fastbox.datasets.dataset import Dataset, images_schema
from fastbox.datasets.formats.coco import records, rotated
from fastbox.datasets.formats.coco.reading import SIDES, schema_of
from fastbox.datasets.formats.coco.records import (
    Category,
    Document,
    Image,
    Result,
    ScoredTruth,
    Truth,
    decode,
    id_types,
)
from fastbox.errors import InputError

__all__ = ["decoded"]

StrPath: TypeAlias = str | os.PathLike[str]


def decoded(source: StrPath, kind: str | None, quads: bool = False) -> Dataset:
    """Return a data set whose elements are decoded one by one."""
    document = records.read(source)
    if kind not in (None, document.kind):
        raise InputError(f"expected {kind} in {document.path}, got {document.kind}: convert it as {document.kind}")
    image_id, box_id = id_types(document)
    categories = _categories(document)
    schema = schema_of(
        document.kind, _arrow(image_id), _arrow(box_id), ignores=document.ignores, scores=document.scores
    )
    field = rotated.POLYGON if quads else rotated.field_of(document)
    if field is None:
        batches = _decoded_batches(document, schema)
    else:
        schema = rotated.schema_of(schema, field)
        kinds = {name: str if one is str else int for name, one in (("image_id", image_id), ("id", box_id))}
        batches = rotated.batches(document, schema, field, kinds)
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
