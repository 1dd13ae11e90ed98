"""COCO JSON where a table of boxes is expected: converted for as long as it is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

from fastbox.tables.convert import convert
from fastbox.tables.files import Paths
from fastbox.tables.source import Source

__all__ = ["as_parquet", "is_json"]


def is_json(path: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a path is of COCO JSON, as its extension tells."""
    return isinstance(path, str | os.PathLike) and os.fspath(path).lower().endswith(".json")


@contextmanager
def as_parquet(given: Source | Paths) -> Iterator[Source | Paths]:
    """Give a table as it is, and COCO JSON as Parquet in a temporary folder, with every number as it stands there."""
    if not is_json(given):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="fastbox-") as folder:
        table = os.path.join(folder, "boxes.parquet")
        convert(given, table, out_dialect="parquet")
        yield Source(table)
