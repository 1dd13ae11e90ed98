"""Data sets in YOLO's layout, written out and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema

Image = pytest.importorskip("PIL.Image")


Rows = list[dict[str, Any]]


def put(folder: Path, files: dict[str, Any]) -> Path:
    """Write text, bytes, or an image of a size, to each path."""
    for name, what in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, tuple):
            Image.new("L", what).save(path)
        else:
            path.write_bytes(what.encode() if isinstance(what, str) else what)
    return folder


def rows_of(dataset: Dataset) -> Rows:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


LINES = ["0 0.5 0.5 0.1 0.2", "79 0.123456 1.0004 2 -0.25", "79 0.123456 1.0004 2 -0.25", "3.0 nan 1e-3 inf 0"]


def coco(**image: Any) -> Dataset:
    schema = boxes_schema(pa.int64(), ("iscrowd", pa.int8()), format="xywh")
    boxes = [(18, 10, 10, 5, 10), (1, 0, 0, 100, 50)]
    rows = [dict(zip(("category_id", "x", "y", "w", "h"), box, strict=True)) | {"image_id": 7} for box in boxes]
    listed = [{"image_id": 7, "width": 100, "height": 50, "file_name": "train/0007.jpg"} | image, {"image_id": 2}]
    return Dataset(
        "truths",
        schema,
        [pa.RecordBatch.from_pylist(rows, schema)],
        True,
        lambda: pa.Table.from_pylist(listed, images_schema(pa.int64())),
        {18: "dog", 1: "person"},
    )
