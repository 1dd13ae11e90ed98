"""COCO JSON where a table of boxes is expected: converted for as long as it is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fastbox.tables.dialects import coco, parquet
from fastbox.tables.files import Paths
from fastbox.tables.source import Source

__all__ = ["as_parquet", "is_json", "with_images"]


def is_json(path: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a path is of COCO JSON, as its extension tells."""
    return isinstance(path, str | os.PathLike) and os.fspath(path).lower().endswith(".json")


@contextmanager
def as_parquet(given: Source | Paths) -> Iterator[tuple[Source | Paths, NDArray[Any] | None]]:
    """Give a table as it is, and COCO JSON as Parquet in a temporary folder, with every number as it stands there.

    With COCO instances come the ids of the images that they list, ascending; else None.
    """
    if not is_json(given):
        yield given, None
        return
    with tempfile.TemporaryDirectory(prefix="fastbox-") as folder:
        table = os.path.join(folder, "boxes.parquet")
        dataset = coco.read(given)
        parquet.write(dataset, table)
        yield Source(table), None if dataset.kind == "results" else np.unique(dataset.images()["image_id"])


@contextmanager
def with_images(
    given: Source | Paths, images: Source | Paths | None
) -> Iterator[tuple[Source | Paths, Source | Paths | None]]:
    """Give a table and the table of its images as they are, and COCO JSON as Parquet in a temporary folder.

    COCO instances bring the table of their images, if none is named.
    """
    if not (is_json(given) or is_json(images)):
        yield given, images
        return
    with tempfile.TemporaryDirectory(prefix="fastbox-") as folder:
        boxes, listed = (os.path.join(folder, name) for name in ("boxes.parquet", "images.parquet"))
        if is_json(images):
            pq.write_table(coco.read(images, kind="truths").images().sort_by("image_id"), listed)
            images = listed
        if is_json(given):
            dataset = coco.read(given)
            parquet.write(dataset, boxes)
            given = Source(boxes)
            if images is None and dataset.kind == "truths":
                pq.write_table(dataset.images().sort_by("image_id"), listed)
                images = listed
        yield given, images
