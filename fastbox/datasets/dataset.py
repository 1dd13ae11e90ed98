"""A data set on its way between file formats: boxes in batches, images, and the names of categories."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from fastbox.values import formats

__all__ = ["BATCH_ROWS", "COORDINATES", "IMAGES", "Dataset", "boxes_schema", "images_schema"]

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


def boxes_schema(image_id: pa.DataType, *more: tuple[str, pa.DataType], format: str = "xyxy") -> pa.Schema:
    """Return the schema of boxes: image_id, category_id, the box in float64 pixels, and the format's other columns.

    >>> boxes_schema(pa.string(), ("iscrowd", pa.int8())).names
    ['image_id', 'category_id', 'xmin', 'ymin', 'xmax', 'ymax', 'iscrowd']
    """
    box = [(name, pa.float64()) for name in COORDINATES[format]]
    return pa.schema([("image_id", image_id), ("category_id", pa.int32()), *box, *more])


def images_schema(image_id: pa.DataType) -> pa.Schema:
    """Return the schema of images: image_id, width and height in pixels and file_name, null where unknown."""
    return pa.schema(list(zip(IMAGES, (image_id, pa.int32(), pa.int32(), pa.string()), strict=True)))
