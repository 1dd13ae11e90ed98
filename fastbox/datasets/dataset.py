"""A data set on its way between file formats: boxes in batches, images, and the names of categories."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field

import pyarrow as pa

from fastbox._record import dataclass
from fastbox.arrow.turned import BOX_FORMAT, coordinate_names, format_in
from fastbox.values import formats

__all__ = ["BATCH_ROWS", "COORDINATES", "IMAGES", "Dataset", "boxes_schema", "format_of", "images_schema", "names_in"]

COORDINATES = {name: formats.COORDINATES[name] for name in ("xyxy", "xywh", "cxcywh")}  # formats of annotations
BATCH_ROWS = 65_536  # boxes after which a reader of files or lines ends a batch, with the image that it reads
IMAGES = ("image_id", "width", "height", "file_name")


@dataclass
class Dataset:
    """A set of annotated images on its way from one file format to another, never whole in memory.

    Attributes
    ----------
    kind : str
        ``"truths"`` or ``"results"``; results have a score.
    schema : pyarrow.Schema
        The schema of the batches, made by :func:`boxes_schema`.
    batches : iterable of pyarrow.RecordBatch
        One row per box, read once.
    ordered : bool
        Whether the batches ascend by image_id.
    images : callable
        Returns the table of :func:`images_schema`, one row per image, also for images without boxes; complete after
        the last batch.
    categories : dict of int to str
        Names by id; complete after the last batch.
    unlisted : int
        The number of images without boxes that the source once had and no longer lists, where that is known.
    """

    kind: str
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    ordered: bool
    images: Callable[[], pa.Table]
    categories: dict[int, str] = field(default_factory=dict)
    unlisted: int = 0


def names_in(format: str) -> tuple[str, ...]:
    """Return the columns of boxes in a format, plain or rotated.

    >>> names_in("xywh"), names_in("cxcywhd")
    (('x', 'y', 'w', 'h'), ('cx', 'cy', 'w', 'h', 'angle'))
    """
    return COORDINATES[format] if format in COORDINATES else coordinate_names(format)


def format_of(schema: pa.Schema) -> str:
    """Return the format of the boxes of a data set, which its metadata have if the boxes are rotated.

    >>> format_of(boxes_schema(pa.string(), format="cxcywhd")), format_of(boxes_schema(pa.string(), format="xywh"))
    ('cxcywhd', 'xywh')
    """
    told = format_in(schema)
    return told or next(form for form, names in COORDINATES.items() if set(names) <= set(schema.names))


def boxes_schema(image_id: pa.DataType, *more: tuple[str, pa.DataType], format: str = "xyxy") -> pa.Schema:
    """Return the schema of boxes: image_id, category_id, the box in float64 pixels, and the format's other columns.

    Metadata have the format of rotated boxes.

    >>> boxes_schema(pa.string(), ("iscrowd", pa.int8())).names
    ['image_id', 'category_id', 'xmin', 'ymin', 'xmax', 'ymax', 'iscrowd']
    """
    box = [(name, pa.float64()) for name in names_in(format)]
    columns = [("image_id", image_id), ("category_id", pa.int32()), *box, *more]
    return pa.schema(columns, None if format in COORDINATES else {BOX_FORMAT: format})


def images_schema(image_id: pa.DataType) -> pa.Schema:
    """Return the schema of images: image_id, width and height in pixels and file_name, null where unknown."""
    return pa.schema(list(zip(IMAGES, (image_id, pa.int32(), pa.int32(), pa.string()), strict=True)))
