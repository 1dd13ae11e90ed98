"""Parquet files to stream, and what pyarrow alone needs for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = tuple(f"{side}_{name}" for side in ("pred", "target") for name in ("xmin", "ymin", "xmax", "ymax"))
METRICS = ("iou", "giou", "smooth_l1")
ROWS = 262_144  # in a batch and in a row group, as in fastbox

# How a writer may encode the same columns: as pyarrow does when nothing is said, and as fastbox's Sink does.
ENCODINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "as fastbox": {"compression": "zstd", "use_dictionary": False, "use_byte_stream_split": True},
}


def write_pairs(path: Path, rows: int, *, seed: int = 0) -> None:
    """Write rows of a target box and a prediction near it, float32 in eight flat columns."""
    rng = np.random.default_rng([seed, rows])
    with pq.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in COLUMNS])) as writer:
        for first in range(0, rows, 1 << 20):
            n = min(1 << 20, rows - first)
            corner = rng.uniform(0, 1000, (2, n)).astype(np.float32)
            target = np.concatenate([corner, corner + rng.uniform(1, 100, (2, n)).astype(np.float32)])
            pred = target + rng.uniform(-0.5, 0.5, (4, n)).astype(np.float32)
            writer.write_table(pa.table(dict(zip(COLUMNS, [*pred, *target], strict=True))), row_group_size=ROWS)


def decode(path: Path, columns: tuple[str, ...] = COLUMNS) -> int:
    """Read columns of a file with pyarrow, batch by batch, and do nothing with them."""
    with pq.ParquetFile(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches(ROWS, columns=list(columns)))


def reencode(path: Path, out: Path, encoding: str, more: tuple[str, ...] = ()) -> None:
    """Read the columns of pairs and write them again, batch by batch, until they are on the disk.

    ``more`` are columns to write besides, copies of the first ones.
    """
    schema = pa.schema([(name, pa.float32()) for name in COLUMNS + more])
    with pq.ParquetFile(path) as file, open(out, "wb") as sink:
        with pq.ParquetWriter(sink, schema, **ENCODINGS[encoding]) as writer:
            for batch in file.iter_batches(ROWS, columns=list(COLUMNS)):
                columns = batch.columns + batch.columns[: len(more)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        os.fsync(sink.fileno())


def encodings_of(path: Path, column: str) -> list[str]:
    """Return the codec and the encodings of a column in a file, without the encoding of levels."""
    group = pq.read_metadata(path).row_group(0)
    names = [group.column(k).path_in_schema for k in range(group.num_columns)]
    found = group.column(names.index(column))
    return [found.compression, *sorted(set(found.encodings) - {"RLE"})]
