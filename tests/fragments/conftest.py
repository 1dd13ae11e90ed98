"""Tables of boxes on which jobs run in fragments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fragments import boxes, columns


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three small tables in row groups that cut images; the detections are two files. And one of images."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(3)
    made = {}
    for name, n in (("truths", 300), ("detections", 900)):
        ids = np.sort(rng.integers(0, 60, n))
        more = {"category_id": rng.integers(1, 4, n), "score": rng.uniform(0, 1, n).round(2)}
        more["id"] = rng.integers(0, 4 * n, n)  # some repeat one
        made[name] = pa.table({"image_id": ids, **columns(boxes(rng, n)), **more})
    sides = columns(boxes(rng, 700), "pred_") | columns(boxes(rng, 700), "target_")
    sides["pred_xmax"][5] = np.nan
    made["pairs"] = pa.table(sides)
    listed = np.delete(np.sort(np.append(np.arange(-3, 64), [9, 63])), [20, 21])
    made["images"] = pa.table({"image_id": listed, "width": [250] * len(listed), "height": [220] * len(listed)})
    paths = {}
    for name, table in made.items():
        paths[name] = folder / name
        paths[name].mkdir()
        half = len(table) // 2 if name == "detections" else len(table)
        for number, part in enumerate((table[:half], table[half:])):
            if len(part):
                groups = 7 if name == "images" else 50
                pq.write_table(part, paths[name] / f"{number}.parquet", row_group_size=groups)
    return paths
