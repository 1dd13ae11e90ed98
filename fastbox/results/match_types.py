"""The rows that an evaluation writes: the match type of each detection."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbox.arrow import columns
from fastbox.errors import InputError
from fastbox.evaluation.matching import MATCH_TYPES, UNCOUNTED, Judged
from fastbox.tables.chunk import Chunk
from fastbox.tables.source import Plan
from fastbox.values.groups import values_of_rows

__all__ = ["match_batch", "match_schema"]


def match_schema(found: Plan, by: str | None, metric: str = "iou") -> Any:
    """Return the schema of the rows of detections, with the column that tells models apart, and that of the metric.

    Raises
    ------
    InputError
        That column has the name of another.
    """
    types = {"image_id": "int64" if found.ids == "integer" else "string", "detection": "int64"}
    ends = columns.schema_of({"match_type": "string", "truth": "int64", metric: "float64"})
    if by in (*types, *ends.names):
        raise InputError(f"expected a column of models whose name no output column has, got {by!r}: rename it")
    more = [] if by is None else [columns.schema_of({}, [found.columns.field(by)])]
    return columns.schema_of(types, *more, ends)


def match_batch(chunk: Chunk, judged: Judged, by: str | None, schema: Any) -> Any:
    """Return the rows of a chunk's detections."""
    assert chunk.images is not None and chunk.a.offsets is not None and chunk.b is not None
    ids = values_of_rows(chunk.images, chunk.a.offsets)
    beyond = judged.match_type == UNCOUNTED
    match_types = np.ma.masked_array(np.array([*MATCH_TYPES, ""], object)[judged.match_type], mask=beyond)
    partners = np.where(judged.truth < 0, 0, judged.truth)
    truths = np.ma.masked_array(chunk.b_rows(partners) if len(chunk.b) else partners, mask=judged.truth < 0)
    ious = np.ma.masked_array(judged.iou, mask=beyond)
    rows = chunk.a_rows(np.arange(len(ids)))
    model = [] if by is None else [chunk.a_columns.column(by)]
    return columns.batch_of([ids, rows, *model, match_types, truths, ious], schema)
