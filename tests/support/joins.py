"""Tables of boxes by image, and their join by a plain loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fastbox.tables.chunk import Chunk

Joined = list[tuple[Any, list[list[float]], list[list[float]]]]


def boxes_of(ids: Sequence[Any], kind: pa.DataType | None = None, **more: Any) -> pa.Table:
    """A table whose box i is (i, 0, i + 1, 1): every row can be told from every other."""
    left = np.arange(len(ids), dtype=np.float32)
    quads = {"xmin": left, "ymin": left * 0, "xmax": left + 1, "ymax": left * 0 + 1}
    kind = kind or (pa.string() if any(isinstance(i, str) for i in ids) else pa.int64())
    return pa.table({"image_id": pa.array(list(ids), kind), **quads, **more})


def write(path: Path, table: pa.Table, group: int | None = None, parts: int = 1) -> Path:
    """Write a table to one file, or to several in a directory."""
    if parts == 1:
        pq.write_table(table, path, row_group_size=group)
        return path
    path.mkdir()
    cuts = np.linspace(0, len(table), parts + 1).astype(int)
    for k in range(parts):
        part = table.slice(cuts[k], cuts[k + 1] - cuts[k])
        pq.write_table(part, path / f"part-{k:03}.parquet", row_group_size=group)
    return path


def joined(chunks: Iterator[Chunk]) -> Joined:
    """Take chunks apart image by image, checking that they are sound."""
    found: Joined = []
    starts = [0, 0]
    for chunk in chunks:
        assert chunk.images is not None and chunk.images.dtype.kind in "iU"
        assert (chunk.a_start, chunk.b_start) == tuple(starts)
        parts: list[list[list[list[float]]]] = []
        for k, (boxes, columns) in enumerate(((chunk.a, chunk.a_columns), (chunk.b, chunk.b_columns))):
            if boxes is None or columns is None:
                parts.append([[]] * len(chunk.images))
                continue
            assert boxes.images is chunk.images and boxes.offsets is not None
            assert len(boxes.offsets) == len(chunk.images) + 1
            assert boxes.offsets[0] == 0 and boxes.offsets[-1] == len(boxes) == columns.num_rows
            starts[k] += len(boxes)
            parts.append([one.corners().tolist() for one in boxes])
        found.extend(zip(chunk.images.tolist(), *parts, strict=True))
    return found
