"""COCO JSON where a table of boxes is expected: converted for as long as it is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastbox.tables.dialects import coco, parquet
from fastbox.tables.files import Paths
from fastbox.tables.source import Source

__all__ = ["as_parquet", "is_json"]


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
