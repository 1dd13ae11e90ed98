"""COCO JSON with rotated boxes: a bbox of five numbers, an obb, or polygons of four points; element by element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from fastbox.datasets.dataset import BATCH_ROWS, boxes_schema
from fastbox.datasets.formats.coco.fields import Unusable, element_of
from fastbox.datasets.formats.coco.records import Document, Result, ScoredTruth
from fastbox.datasets.formats.coco.refusals import refused

__all__ = ["FORMATS", "POLYGON", "batches", "field_of", "schema_of"]

POLYGON = "segmentation"
FORMATS = {"bbox": "ccw_cxcywhd", "obb": "cxcywhr", POLYGON: "xyxyxyxy"}  # of detectron2, of hotcoco


class Turned(msgspec.Struct):
    """The fields of an element that may hold a rotated box."""

    bbox: Any = None
    obb: Any = None


def field_of(document: Document) -> str | None:
    """Return the field with the rotated boxes of a file: an obb of any annotation, or the bbox of the first one."""
    decoder, field = msgspec.json.Decoder(Turned), None
    for place, element in enumerate(document.boxes if document.turned else document.boxes[:1]):
        try:
            found = decoder.decode(element)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # the reader of plain boxes refuses the element
        if found.obb is not None:
            return "obb"
        if place == 0 and isinstance(found.bbox, list) and len(found.bbox) == 5:
            field = "bbox"
    return field


def schema_of(plain: pa.Schema, field: str) -> pa.Schema:
    """Return the schema of rotated boxes, given that of plain ones from x on."""
    more = [(one.name, one.type) for one in plain if one.name not in ("image_id", "category_id", "x", "y", "w", "h")]
    schema = boxes_schema(plain.field("image_id").type, *more, format=FORMATS[field])
    return schema.set(1, plain.field("category_id"))


def batches(document: Document, schema: pa.Schema, field: str, kinds: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """Yield the rotated boxes of a file; ``kinds`` has the types of the ids.

    Raises
    ------
    InputError
        An element can't be used; the message names it by its place and its ids.
    """
    struct: Any = Result if document.kind == "results" else ScoredTruth
    fields = {name: what for name, what in struct.fields.items() if name != "bbox"}
    fields[field] = "polygon" if field == POLYGON else "rotated box"
    wide = msgspec.json.Decoder(msgspec.defstruct("Wide", [(name, Any, None) for name in fields]))
    rows: list[dict[str, Any]] = []
    for place, element in enumerate(document.boxes):
        try:
            rows.append(element_of(fields, wide.decode(element), kinds))
        except (Unusable, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise refused(struct.what, place, document.path, element, error) from error
        if len(rows) == BATCH_ROWS:
            yield _batch(rows, schema, field)
            rows = []
    yield _batch(rows, schema, field)


def _batch(rows: list[dict[str, Any]], schema: pa.Schema, field: str) -> pa.RecordBatch:
    count = 8 if field == POLYGON else 5
    box = np.array([row[field] for row in rows], np.float64).reshape(-1, count).T
    made: dict[str, Any] = dict(zip(schema.names[2 : 2 + count], box, strict=True))
    for name in schema.names:
        if name not in made:
            made[name] = [row[name] for row in rows]
    for name in {"iscrowd", "ignore"} & made.keys():
        made[name] = [1 if flag else 0 for flag in made[name]]
    return pa.RecordBatch.from_arrays([pa.array(made[one.name], one.type) for one in schema], schema=schema)
