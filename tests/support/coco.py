"""COCO JSON, its conversion, and the boxes that json.load finds in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from fastbox.datasets.convert import convert as convert_file

Rows = list[dict[str, Any]]


def convert(coco: Any, folder: Path, **options: Any) -> tuple[dict[str, Any], pa.Table]:
    source = folder / "coco.json"
    source.write_bytes(
        coco if isinstance(coco, bytes) else (coco if isinstance(coco, str) else json.dumps(coco)).encode()
    )
    summary = convert_file(source, folder / "out.parquet", **options)
    return summary, pq.read_table(folder / "out.parquet")


def same_bits(table: pa.Table, rows: Rows) -> None:
    assert table.num_rows == len(rows)
    for name in table.column_names:
        got, expected = table[name].to_pylist(), [row[name] for row in rows]
        if pa.types.is_float64(table.schema.field(name).type):
            got = [None if value is None else value.hex() for value in got]
            expected = [None if value is None else float(value).hex() for value in expected]
        assert got == expected, name


def truth(image_id: Any, box: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": list(box), **more}


def result(image_id: Any, box: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": list(box), "score": 0.5, **more}


numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))


boxes = st.lists(numbers, min_size=4, max_size=4)
